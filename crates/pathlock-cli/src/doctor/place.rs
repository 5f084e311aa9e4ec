//! The directory: its filesystem, and whether `flock(2)` does anything there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::exit::{self, Failure};
use crate::say::shown;

/// Where locks are to be.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory, absolute.
    pub(super) directory: PathBuf,
    /// The name of its filesystem's type.
    pub(super) filesystem: String,
    /// Who else may write there.
    pub(super) reach: Reach,
}

/// Who else may write to a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nobody but this host.
    Local,
    /// Other hosts.
    Network,
    /// It can't be told; it is treated as if other hosts could.
    Unknown,
}

/// What two exclusive locks of `flock(2)` on one file come to.
#[derive(Debug)]
pub(super) enum FlockTest {
    /// The second is refused.
    Excludes,
    /// Both are granted: the call does nothing.
    NoOp,
    /// The call fails.
    Fails(io::Error),
}

impl Place {
    /// Looks at a directory.
    pub(super) fn look(directory: &Path) -> Result<Place, Failure> {
        let cannot = |reason: &dyn std::fmt::Display| {
            Failure::new(exit::CANNOT_LOCK, format_args!("can't try {}: {reason}", shown(directory)))
        };
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(cannot(&"it is not a directory; name the directory where the locks are to be"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(cannot(&"there is no such directory; make it first"));
            }
            Err(error) => return Err(cannot(&error)),
        }
        let (filesystem, reach) = system::filesystem(directory).map_err(|error| cannot(&error))?;
        let directory = std::path::absolute(directory).map_err(|error| cannot(&error))?;
        Ok(Place { directory, filesystem, reach })
    }
}

/// Asks the kernel itself, and not the library, whether `flock(2)` excludes on this new file: where a
/// filesystem makes nothing of it, the call succeeds and the lock means nothing.
pub(super) fn test_flock(file: &Path) -> FlockTest {
    let lock = |file: &File| flock(file, FlockOperation::NonBlockingLockExclusive);
    let test = || {
        let first = File::options().create_new(true).write(true).open(file)?;
        let second = File::options().write(true).open(file)?;
        lock(&first)?;
        match lock(&second) {
            Ok(()) => Ok(FlockTest::NoOp),
            Err(Errno::WOULDBLOCK) => Ok(FlockTest::Excludes),
            Err(error) => Err(error.into()),
        }
    };
    test().unwrap_or_else(FlockTest::Fails)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::{Path, Reach, io};
    use Reach::{Local, Network, Unknown};

    /// The magic numbers of statfs(2). Local is what the library takes for local.
    const TYPES: &[(u64, &str, Reach)] = &[
        (0xef53, "ext4 (or ext2, ext3)", Local),
        (0x0102_1994, "tmpfs", Local),
        (0x5846_5342, "xfs", Local),
        (0x9123_683e, "btrfs", Local),
        (0x8584_58f6, "ramfs", Local),
        (0x794c_7630, "overlay", Local),
        (0xf2f5_2010, "f2fs", Local),
        (0x2fc1_2fc1, "zfs", Local),
        (0xca45_1a4e, "bcachefs", Local),
        (0x3153_464a, "jfs", Local),
        (0x5265_4973, "reiserfs", Local),
        (0x4d44, "vfat", Local),
        (0x2011_bab0, "exfat", Local),
        (0x7366_746e, "ntfs3", Local),
        (0xf15f, "ecryptfs", Local),
        (0x9fa0, "proc", Local),
        (0x6265_6572, "sysfs", Local),
        (0x6969, "nfs", Network),
        (0x517b, "smb", Network),
        (0xff53_4d42, "cifs", Network),
        (0xfe53_4d42, "smb2", Network),
        (0x00c3_6400, "ceph", Network),
        (0x0102_1997, "9p", Network),
        (0x5346_414f, "afs", Network),
        (0x6b41_4653, "afs", Network),
        (0x7375_7245, "coda", Network),
        (0x7461_636f, "ocfs2", Network),
        (0x0116_1970, "gfs2", Network),
        (0x0bd0_0bd0, "lustre", Network),
        (0x6573_5546, "fuse", Unknown),
        (0x786f_4256, "vboxsf", Unknown),
        (0x3434, "nilfs", Unknown),
        (0x9660, "iso9660", Unknown),
        (0x7371_7368, "squashfs", Unknown),
    ];

    pub(super) fn filesystem(directory: &Path) -> io::Result<(String, Reach)> {
        // `as`: the field's type differs between architectures; the numbers are 32 bits wide.
        let magic = rustix::fs::statfs(directory)?.f_type as u64 & 0xffff_ffff;
        Ok(match TYPES.iter().find(|(number, ..)| *number == magic) {
            Some((_, name, reach)) => ((*name).to_owned(), *reach),
            None => (format!("a filesystem of type {magic:#x}"), Unknown),
        })
    }
}

#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
mod system {
    use super::{Path, Reach, io};

    pub(super) fn filesystem(directory: &Path) -> io::Result<(String, Reach)> {
        const MNT_LOCAL: u64 = 0x1000;
        let found = rustix::fs::statfs(directory)?;
        // `as`: the flags are 32 bits wide on one system and 64 on the other, and C's characters may
        // be signed.
        let name: Vec<u8> = found.f_fstypename.iter().map(|&c| c as u8).take_while(|&c| c != 0).collect();
        let name = String::from_utf8_lossy(&name).into_owned();
        let reach = match found.f_flags as u64 & MNT_LOCAL {
            0 if name.contains("fuse") => Reach::Unknown,
            0 => Reach::Network,
            _ => Reach::Local,
        };
        Ok((name, reach))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd")))]
mod system {
    use super::{Path, Reach, io};

    pub(super) fn filesystem(_directory: &Path) -> io::Result<(String, Reach)> {
        Ok(("a filesystem of an unknown type".to_owned(), Reach::Unknown))
    }
}
