//! Where a lock is: the path it guards, its lock file, and the filesystem that is on.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{FailureReason, Obstacle};
use crate::liveness::{self, Evidence, Liveness};
use crate::owner::Owner;
use crate::sys::{self, FileId, Filesystem};

/// The place of a lock. Absolute: a later `chdir` changes nothing.
#[derive(Debug, Clone)]
pub struct Site {
    names: Arc<Names>,
    /// What the directory was on when the acquisition began, where that was to be had for nothing.
    filesystem: Option<Filesystem>,
}

#[derive(Debug)]
struct Names {
    path: Arc<Path>,
    lock_file: Arc<Path>,
    directory: PathBuf,
    name: Arc<OsStr>,
}

/// What a [`Site`] is known by in this process: two spellings of a path are one lock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    directory: FileId,
    name: Arc<OsStr>,
    /// Which of the locks in the file.
    part: String,
}

impl Site {
    pub(crate) fn new(path: Arc<Path>, lock_file: Arc<Path>) -> Result<Site, Obstacle> {
        let (Some(directory), Some(name)) = (lock_file.parent(), lock_file.file_name()) else {
            return Err(Obstacle::new(
                FailureReason::BadPath,
                "it names no file in a directory: give the path of the file to protect",
            ));
        };
        let (directory, name) = (directory.into(), name.into());
        Ok(Site { names: Arc::new(Names { path, lock_file, directory, name }), filesystem: None })
    }

    /// The place of the lock file at `lock_file`, which protects what is at `path`. Both are absolute.
    ///
    /// # Errors
    /// When `lock_file` names no file in a directory.
    pub fn of(path: impl Into<PathBuf>, lock_file: impl Into<PathBuf>) -> Result<Site, Obstacle> {
        Site::new(path.into().into(), lock_file.into().into())
    }

    /// What is protected.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.names.path
    }

    /// The file, directory or link that is the lock.
    #[must_use]
    pub fn lock_file(&self) -> &Path {
        &self.names.lock_file
    }

    /// The directory of the lock file.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.names.directory
    }

    /// The name of the lock file in its directory.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        &self.names.name
    }

    /// Whether this kernel alone can change what is there: its locks and its notifications tell the whole
    /// truth. `false` for a network filesystem, and for one that is not known.
    ///
    /// # Errors
    /// When the directory can't be looked at.
    pub fn is_local(&self) -> Result<bool, Obstacle> {
        Ok(self.filesystem()? == Filesystem::Local)
    }

    /// What is proven of an owner whose record is in a lock here. On a local filesystem one of another
    /// boot is dead: a kernel that is gone runs nothing. Elsewhere it may be another host's.
    #[must_use]
    pub fn liveness(&self, owner: &Owner) -> Liveness {
        match liveness::judge(owner) {
            Evidence::OtherBoot if self.is_local().unwrap_or(false) => Liveness::Dead,
            _ => owner.liveness(),
        }
    }

    /// Looks at the directory: the key of the lock that is called `part` in the lock file.
    ///
    /// # Errors
    /// When the directory is not there.
    pub(crate) fn locate(&mut self, part: &str) -> Result<Key, Obstacle> {
        let (directory, filesystem) =
            sys::locate(&self.names.directory).map_err(|error| self.no_directory(error))?;
        self.filesystem = filesystem;
        Ok(Key { directory, name: Arc::clone(&self.names.name), part: part.to_owned() })
    }

    /// Sees to it that the next look is at what is there now: opening the directory makes an NFS client ask the
    /// server again, which may else show the last lock.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        sys::open_directory(&self.names.directory).map(drop)
    }

    pub(crate) fn filesystem(&self) -> Result<Filesystem, Obstacle> {
        if let Some(filesystem) = self.filesystem {
            return Ok(filesystem);
        }
        sys::filesystem(&self.names.directory).map_err(|error| self.no_directory(error))
    }

    fn no_directory(&self, error: io::Error) -> Obstacle {
        let directory = self.names.directory.display();
        match error.kind() {
            io::ErrorKind::NotFound => {
                Obstacle::os(error).saying(format!("there is no directory {directory}: make it first"))
            }
            io::ErrorKind::NotADirectory => Obstacle::os(error)
                .saying(format!("{directory} is not a directory: the lock file must be in one")),
            _ => Obstacle::os(error).saying(format!("the directory {directory} can't be looked at")),
        }
    }
}
