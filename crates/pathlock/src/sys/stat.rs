//! What is behind a path or an open file: kind and identity, and not when it was changed.
//!
//! Who asks a filesystem for the times of a file has the next write take a new one, finer than the clock's tick,
//! and note it in the inode: on ext4 that makes a write of a record half as dear again. So the times are
//! left out, by statx(2); everything else is asked for, as a network filesystem might answer less from what it
//! remembers.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags};
use rustix::io::{Errno, Result};

use super::unix::{kind_of, stat_of_raw};
use super::{FileId, Stat};

pub(super) const WITHOUT_TIMES: StatxFlags =
    StatxFlags::BASIC_STATS.difference(StatxFlags::ATIME.union(StatxFlags::MTIME).union(StatxFlags::CTIME));

/// `path` is relative to `directory`, if it is relative.
pub(super) fn stat_by_name(directory: impl AsFd, path: &Path, flags: AtFlags) -> Result<Stat> {
    let directory = directory.as_fd();
    statx(directory, path, flags)
        .unwrap_or_else(|| Ok(stat_of_raw(&rustix::fs::statat(directory, path, flags)?)))
}

pub(super) fn stat_by_file(file: &File) -> Result<Stat> {
    statx(file, Path::new(""), AtFlags::EMPTY_PATH)
        .unwrap_or_else(|| Ok(stat_of_raw(&rustix::fs::fstat(file)?)))
}

/// `None` where there is no such call: Linux before 4.11, and sandboxes of that time.
fn statx(directory: impl AsFd, path: &Path, flags: AtFlags) -> Option<Result<Stat>> {
    match rustix::fs::statx(directory, path, flags, WITHOUT_TIMES) {
        Ok(raw) => Some(Ok(stat_of_statx(&raw))),
        Err(Errno::NOSYS | Errno::PERM) => None,
        Err(error) => Some(Err(error)),
    }
}

pub(super) fn stat_of_statx(raw: &Statx) -> Stat {
    let device = rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor);
    let kind = kind_of(FileType::from_raw_mode(raw.stx_mode.into()));
    Stat { id: FileId { device, inode: raw.stx_ino }, kind }
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn it_is_what_fstatat_says() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let name = |name: &str| dir.path().join(name);
        std::fs::write(name("file"), "").expect("a file can be made");
        std::os::unix::fs::symlink("file", name("link")).expect("a link can be made");
        for path in [dir.path().to_owned(), name("file"), name("link"), "/dev/null".into(), name("nothing")] {
            for flags in [AtFlags::empty(), AtFlags::SYMLINK_NOFOLLOW] {
                let said = rustix::fs::statat(CWD, &path, flags).map(|raw| stat_of_raw(&raw));
                assert_eq!(stat_by_name(CWD, &path, flags), said, "{path:?}");
            }
        }
        let file = File::open(name("file")).expect("it is there");
        let said = rustix::fs::fstat(&file).map(|raw| stat_of_raw(&raw));
        assert_eq!(stat_by_file(&file), said, "an open file");
    }
}
