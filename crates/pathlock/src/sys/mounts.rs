//! What a directory is, and what it is on: one call of the kernel where it would be two.
//!
//! # Invariant
//!
//! *What is remembered of a mount is true of that mount for ever.* It is remembered by its unique id, which statx(2)
//! gives since Linux 6.8 and no later mount ever has again; not by the number of a device, nor by the old id of a mount,
//! which the next mount may get. What a mount shows does not change: what is mounted over it is another mount.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode as Bits, OFlags, Statx, StatxFlags};

use super::platform::kind_of_filesystem;
use super::stat::{WITHOUT_TIMES, stat_by_name, stat_of_statx};
use super::{FileId, Filesystem};

/// `STATX_MNT_ID_UNIQUE` of statx(2).
const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Some mounts, each where its id says: the id, and whether it is local in the last bit. Zero is no mount.
static KNOWN: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

/// What the directory at `path` is, and what it is on where that costs nothing.
pub(crate) fn locate(path: &Path) -> io::Result<(FileId, Option<Filesystem>)> {
    let Ok(raw) = rustix::fs::statx(CWD, path, AtFlags::empty(), WITHOUT_TIMES | UNIQUE) else {
        return Ok((stat_by_name(CWD, path, AtFlags::empty())?.id, None));
    };
    let id = stat_of_statx(&raw).id;
    let Some(mount) = unique_mount(&raw) else { return Ok((id, None)) };
    let known = place(mount).load(Ordering::Relaxed);
    let filesystem = if known >> 1 == mount { kind(known) } else { learn(path, mount) };
    Ok((id, filesystem))
}

/// `None` on an older kernel.
fn unique_mount(raw: &Statx) -> Option<u64> {
    let unique = StatxFlags::from_bits_retain(raw.stx_mask).contains(UNIQUE);
    unique.then_some(raw.stx_mnt_id).filter(|&id| id != 0 && id <= u64::MAX >> 1)
}

fn place(mount: u64) -> &'static AtomicU64 {
    &KNOWN[(mount % KNOWN.len() as u64) as usize]
}

fn kind(known: u64) -> Option<Filesystem> {
    Some(if known & 1 == 1 { Filesystem::Local } else { Filesystem::Remote })
}

/// Asks by an open directory, so that both answers are of one mount. What can't be asked that way is asked later.
fn learn(path: &Path, mount: u64) -> Option<Filesystem> {
    let directory = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Bits::empty()).ok()?;
    let raw = rustix::fs::statx(&directory, "", AtFlags::EMPTY_PATH, WITHOUT_TIMES | UNIQUE).ok()?;
    let filesystem = kind_of_filesystem(&rustix::fs::fstatfs(&directory).ok()?);
    if unique_mount(&raw)? == mount {
        place(mount).store(mount << 1 | u64::from(filesystem == Filesystem::Local), Ordering::Relaxed);
    }
    Some(filesystem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_statfs_says_also_when_it_is_remembered() {
        for path in ["/", "/proc", "/dev/shm", "/tmp", "/sys"].map(Path::new) {
            let said = super::super::filesystem(path).expect("it can be asked");
            for _ in 0..2 {
                let (id, filesystem) = locate(path).expect("it is there");
                assert_eq!(id, stat_by_name(CWD, path, AtFlags::empty()).expect("it is there").id);
                assert!(
                    filesystem.is_none_or(|filesystem| filesystem == said),
                    "{path:?}: {filesystem:?}, {said:?}"
                );
            }
        }
    }
}
