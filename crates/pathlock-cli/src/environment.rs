//! What the command is told in its environment, and what we were told by a `pathlock` above us.
//!
//! - `PATHLOCK_PATH`: the path that is locked, absolute; the first of several.
//! - `PATHLOCK_MODE`: `exclusive` or `shared`.
//! - `PATHLOCK_TOKEN`: the fencing token of the first, where its scheme counts them.
//! - `PATHLOCK_SLOT`: which of the slots of the first, from zero, where there are slots.
//! - `PATHLOCK_HELD`: the lock files held by this run and those around it, outermost first,
//!   written as `PATH` is.
//! - `PATHLOCK_HELD_BY`: the pids that their records show, in the same order.
//!
//! A command that waits for a lock its own ancestor holds waits for ever, so such a wait is
//! refused. The pids tell it from the wait of a daemon that outlived the run which started it: the
//! variables are still set there, but the lock has passed on to somebody else.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use pathlock::{AnyLockFile, Guard, Mode, Owner};

use crate::exit::{self, Failure};
use crate::say::shown;

/// Tells `command` which locks it runs under.
pub(crate) fn describe(command: &mut Command, locks: &[AnyLockFile], guards: &[Guard], mode: Mode) {
    if let Some(first) = locks.first() {
        let path = first.path();
        command.env("PATHLOCK_PATH", std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }
    command.env("PATHLOCK_MODE", mode.name());
    // Those of a run around this one are not this one's.
    command.env_remove("PATHLOCK_TOKEN").env_remove("PATHLOCK_SLOT");
    if let Some(token) = guards.first().and_then(Guard::token) {
        command.env("PATHLOCK_TOKEN", token.to_string());
    }
    if let Some(slot) = guards.first().and_then(Guard::slot) {
        command.env("PATHLOCK_SLOT", slot.to_string());
    }

    let (mut files, mut pids): (Vec<_>, Vec<_>) = held().into_iter().unzip();
    files.extend(guards.iter().map(|guard| settled(guard.lock_file())));
    pids.extend(guards.iter().map(|guard| guard.owner().pid().to_string()));
    // A path with the separator in its name can't be listed. All that is lost is the refusal.
    if let Ok(files) = env::join_paths(files) {
        command.env("PATHLOCK_HELD", files).env("PATHLOCK_HELD_BY", pids.join(":"));
    }
}

/// Whether `owner`, who holds `lock_file`, is a `pathlock run` that we run under.
pub(crate) fn is_held_by_ancestor(lock_file: &Path, owner: Option<&Owner>) -> bool {
    let ours = settled(lock_file);
    let pid = owner.map(|owner| owner.pid().to_string());
    held()
        .into_iter()
        .any(|(file, by)| file == ours && (by.is_empty() || pid.as_ref().is_none_or(|pid| *pid == by)))
}

/// Why a wait for such a lock is refused.
pub(crate) fn never_ends(path: &Path) -> Failure {
    let message = format!(
        "{} is already held by this command's own ancestor (PATHLOCK_HELD): waiting would never end. \
         What runs under a lock need not wait for it",
        shown(path),
    );
    Failure::new(exit::BUSY, message)
}

/// The lock files held around us, each with the pid of its holder; empty where that is not told.
fn held() -> Vec<(PathBuf, String)> {
    let Some(files) = env::var_os("PATHLOCK_HELD").filter(|files| !files.is_empty()) else {
        return Vec::new();
    };
    let pids = env::var("PATHLOCK_HELD_BY").unwrap_or_default();
    let pids = pids.split(':').map(str::to_owned).chain(std::iter::repeat_with(String::new));
    env::split_paths(&files).zip(pids).collect()
}

/// `lock_file` by the one name that all spellings of its directory lead to. The last part is left
/// alone: it need not exist, and when it does it may be the lock, as a symlink.
fn settled(lock_file: &Path) -> PathBuf {
    let absolute = std::path::absolute(lock_file).unwrap_or_else(|_| lock_file.to_owned());
    match (absolute.parent().map(Path::canonicalize), absolute.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => absolute,
    }
}
