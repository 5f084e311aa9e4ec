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

/// Takes the lock's name away from what has it, if `is_it` says so of that thing, and removes it.
///
/// To look and then to remove would be two steps, and the lock could change hands between them. So
/// the name is taken away in one step, from whatever has it; and given back if that was another's.
/// A name that a third has made in that moment stays: nobody's name is ever taken over.
pub(crate) fn remove_if(
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
        sys::rename_new(&aside, site.lock_file())?;
    }
    answer
}

/// Removes a file or directory of ours that has such a name. What others have put into the
/// directory stays, and the directory with it.
pub(crate) fn discard(path: &Path) {
    match sys::stat_at(path).ok().flatten().map(|stat| stat.kind) {
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
