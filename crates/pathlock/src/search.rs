//! Finding locks: what of a directory's files is one, and of which scheme.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::any::AnyLockFile;
use crate::owner::Record;
use crate::scheme::{Scheme, scheme_named};
use crate::sys;

/// How the names of lock files end, by custom.
const ENDINGS: [&str; 3] = ["lock", "lck", "pid"];

/// Every lock below `directory`, however deep, on the same filesystem: the lock files of this
/// library and of pylockfile whose names end in `.lock`, `.lck` or `.pid`, and every file that has a
/// kernel lock. In no order. What can't be read is passed over.
///
/// A lock file that nobody holds, as those of scheme flock stay behind, is found too.
///
/// # Errors
/// When `directory` can't be listed.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let _guard = pathlock::LockFile::new(dir.path().join("job")).acquire()?;
/// let found: Vec<_> = pathlock::locks_below(dir.path())?.collect();
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].lock_file(), dir.path().join("job.lock"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn locks_below(directory: impl AsRef<Path>) -> io::Result<Locks> {
    let directory = std::path::absolute(directory)?;
    let device = device(&fs::metadata(&directory)?);
    let entries = fs::read_dir(&directory)?;
    let locked = sys::locked_inodes().into_iter().collect();
    Ok(Locks { entries: vec![entries], device, locked })
}

/// The iterator of [`locks_below`].
#[derive(Debug)]
pub struct Locks {
    /// The directories that are being read, the innermost last.
    entries: Vec<fs::ReadDir>,
    device: u64,
    /// Inodes with a kernel lock, of whatever device.
    locked: HashSet<u64>,
}

impl Iterator for Locks {
    type Item = AnyLockFile;

    fn next(&mut self) -> Option<AnyLockFile> {
        loop {
            let Some(entry) = self.entries.last_mut()?.next() else {
                self.entries.pop();
                continue;
            };
            let Ok(entry) = entry else { continue };
            // Of the entry itself: a symbolic link is not followed.
            let Ok(data) = entry.metadata() else { continue };
            let path = entry.path();
            let found = self.scheme_of(&path, &data);
            if found.is_none() && data.is_dir() && device(&data) == self.device {
                self.entries.extend(fs::read_dir(&path).ok());
            }
            if let Some(scheme) = found {
                return Some(AnyLockFile::at_with_scheme(path, scheme));
            }
        }
    }
}

impl Locks {
    /// The scheme of the lock that is at `path`, if it is one.
    fn scheme_of(&self, path: &PathBuf, data: &Metadata) -> Option<Arc<dyn Scheme>> {
        let by_custom = path.extension().is_some_and(|end| ENDINGS.iter().any(|ending| end == *ending));
        let has_kernel_lock = self.locked.contains(&inode(data));
        if !by_custom && !has_kernel_lock {
            return None;
        }
        if data.is_symlink() {
            let target = sys::read_symlink(path).ok()??;
            return matches!(Record::parse_target(&target), Record::Owned(..))
                .then(|| scheme_named("symlink"))?;
        }
        if data.is_dir() {
            let scheme = scheme_named("mkdir")?;
            let lock = AnyLockFile::at_with_scheme(path, Arc::clone(&scheme));
            // A directory that nobody has written a record into may be a user's own.
            return lock.status().ok()?.holders().next().map(|_| scheme);
        }
        if !data.is_file() {
            return None;
        }
        let (file, _) = sys::open_existing(path).ok()?;
        let text = Record::text_in(&file).ok()?;
        match Record::parse(&text) {
            Record::Owned(owner, _) => scheme_named(owner.scheme()).or_else(|| scheme_named("link")),
            Record::Free(_) => scheme_named("link"),
            Record::Empty | Record::Idle(_) | Record::Bare(_) | Record::Foreign if has_kernel_lock => {
                let whole = sys::lock_held_as(&file).ok()?.is_some();
                scheme_named(if whole { "flock" } else { "ofd" })
            }
            Record::Bare(_) if path.extension().is_some_and(|end| end == "pid") => scheme_named("pid"),
            Record::Bare(_) => scheme_named("link"),
            Record::Idle(scheme) => scheme_named(&scheme),
            // A kernel lock's file that was empty before it was locked.
            Record::Empty => scheme_named("flock"),
            Record::Foreign => None,
        }
    }
}

#[cfg(unix)]
fn device(data: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(data)
}

#[cfg(unix)]
fn inode(data: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn device(_data: &Metadata) -> u64 {
    0
}

#[cfg(not(unix))]
fn inode(_data: &Metadata) -> u64 {
    0
}
