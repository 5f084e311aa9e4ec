//! Names of the files that exist beside a lock for moments only, and the sweeping of those whose
//! makers were killed in that moment.
//!
//! A name says who made it (pid, start time, a digest of boot and pid namespace) and for which
//! lock: a sweep removes nothing whose maker is not proven dead, and nothing of another lock.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::owner::{Owner, my_identity};
use crate::recover::Breaker;
use crate::site::Site;
use crate::sys::{self, Kind, ProcessState};

/// What every such name begins with.
const PREFIX: &str = ".pathlock-";
/// More entries of a directory than this are not looked at in one sweep.
const MOST: usize = 10_000;
/// A short digest. It need only agree between builds of one version on one machine: a name that
/// another build made is left where it is.
fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What a lock's name is known by beside it.
pub(crate) fn place(site: &Site) -> u64 {
    digest(site.name())
}

fn maker() -> u64 {
    let me = my_identity();
    digest((&me.boot, me.namespace))
}

/// The file that serialises the breakers of one lock.
pub(crate) fn breaker_name(site: &Site) -> String {
    format!("{PREFIX}breaker-{:016x}", place(site))
}

/// A name that nobody else uses, now or later.
pub(crate) fn fresh_name(site: &Site, owner: &Owner) -> PathBuf {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let start = owner.start.unwrap_or(0);
    let name = format!("{PREFIX}{:016x}-{:016x}-{}-{start}-{serial}", place(site), maker(), owner.pid);
    site.directory().join(name)
}

/// Removes what killed processes have left beside this lock.
pub(crate) fn sweep(site: &Site) {
    let names = sys::open_directory(site.directory()).and_then(|directory| sys::names_in(&directory, MOST));
    let breaker = breaker_name(site);
    for name in names.unwrap_or_default() {
        if *name == *breaker {
            // One that nobody has goes with the next, which is this one.
            drop(Breaker::try_become(site));
        } else if is_dead_litter(site, &name) {
            discard(&site.directory().join(name));
        }
    }
}

fn is_dead_litter(site: &Site, name: &OsStr) -> bool {
    let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { return false };
    let fields: Vec<&str> = rest.split('-').collect();
    let [site_digest, maker_digest, pid, start, _serial] = fields[..] else { return false };
    if site_digest != format!("{:016x}", place(site)) || maker_digest != format!("{:016x}", maker()) {
        return false;
    }
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
    match sys::process_state(pid) {
        ProcessState::Gone => true,
        // A maker that could not read when it started has written 0.
        ProcessState::Running { start: Some(seen) } => start != 0 && seen != start,
        ProcessState::Running { start: None } => false,
    }
}

/// Removes what has the lock's name, if `is_it` says so of that thing. The caller is the only breaker: that another
/// breaker was there before it, and somebody has acquired the lock since, is seen before anything is touched.
pub(crate) fn remove_if(
    site: &Site,
    owner: &Owner,
    is_it: impl Fn(&Path) -> io::Result<bool>,
) -> io::Result<bool> {
    site.refresh()?;
    Ok(is_it(site.lock_file())? && take_away(site, owner, is_it)?)
}

/// Takes the lock's name away from what has it, if `is_it` says so of that thing, and removes it.
///
/// To look and then to remove would be two steps, and the lock could change hands between them. So
/// the name is taken away in one step, from whatever has it; and given back if that was another's.
/// A name that a third has made in that moment stays: nobody's name is ever taken over.
pub(crate) fn take_away(
    site: &Site,
    owner: &Owner,
    is_it: impl FnOnce(&Path) -> io::Result<bool>,
) -> io::Result<bool> {
    let aside = fresh_name(site, owner);
    match sys::rename(site.lock_file(), &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        result => result?,
    }
    let answer = is_it(&aside);
    if matches!(answer, Ok(true)) {
        discard(&aside);
    } else {
        give_back(&aside, site.lock_file())?;
    }
    answer
}

fn give_back(aside: &Path, path: &Path) -> io::Result<()> {
    match sys::rename_new(aside, path) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => give_back_in_steps(aside, path),
        result => result,
    }
}

/// NFS and some other filesystems have no rename that replaces nothing. A hard link replaces nothing either; a
/// directory replaces an empty one at most.
fn give_back_in_steps(aside: &Path, path: &Path) -> io::Result<()> {
    match sys::stat_at(aside)?.map(|stat| stat.kind) {
        Some(Kind::Directory) => sys::rename(aside, path),
        _ => {
            sys::hard_link(aside, path)?;
            sys::remove_name(aside)
        }
    }
}

/// Removes a file or directory of ours that has such a name. What others have put into the
/// directory stays, and the directory with it.
pub(crate) fn discard(path: &Path) {
    match sys::stat_at(path).ok().flatten().map(|stat| stat.kind) {
        Some(Kind::Directory) if sys::remove_directory(path).is_ok() => {}
        Some(Kind::Directory) => {
            if let Ok(directory) = sys::open_directory(path) {
                for name in sys::names_in(&directory, MOST).unwrap_or_default() {
                    if crate::scheme::is_owner_file(&directory, &name) {
                        let _ = sys::remove_name_in(&directory, &name);
                    }
                }
            }
            let _ = sys::remove_directory(path);
        }
        Some(Kind::File | Kind::Symlink) => {
            let _ = sys::remove_name(path);
        }
        Some(Kind::Special) | None => {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_another_breakers_work_keeps_its_name() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let lock = dir.path().join("job.lock");
        fs::write(&lock, "the next owner's").expect("a file can be made");
        let site = Site::of(dir.path().join("job"), &lock).expect("it names a file");
        let removed = remove_if(&site, &Owner::of_this_thread(), |path| {
            assert_eq!(path, lock, "it is looked at where it is");
            Ok(false)
        });
        assert!(!removed.expect("it can be looked at"), "it was another lock");
        assert!(lock.exists(), "and stays");
    }

    #[test]
    fn without_an_exclusive_rename_a_name_is_given_back_and_none_replaced() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let name = |name: &str| dir.path().join(name);
        fs::write(name("file"), "a record").expect("a file can be made");
        std::os::unix::fs::symlink("nowhere", name("link")).expect("a link can be made");
        fs::create_dir_all(name("directory/owner")).expect("a directory can be made");
        for kind in ["file", "link", "directory"] {
            let (aside, lock) = (name(kind), name("lock"));
            give_back_in_steps(&aside, &lock).expect("the name is free");
            assert!(fs::symlink_metadata(&lock).is_ok() && fs::symlink_metadata(&aside).is_err(), "{kind}");
            fs::rename(&lock, &aside).expect("it can be renamed");

            fs::create_dir_all(name("lock/third")).expect("a directory can be made");
            assert!(give_back_in_steps(&aside, &lock).is_err(), "{kind}: a third has the name");
            assert!(name("lock/third").exists(), "{kind}: and keeps it");
            fs::rename(&lock, name(&format!("third beside {kind}"))).expect("it can be renamed");
        }
    }
}
