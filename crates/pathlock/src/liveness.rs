//! Whether an owner still runs, and how that is known.
//!
//! Invariant: `Dead` is a proof. A process is named by boot, pid namespace, pid and start time
//! together: the kernel gives that name to no two processes. Whatever cannot be looked at from
//! here is `Unknown`, and unknown means held.

use crate::owner::{self, Owner};
use crate::sys::{self, ProcessState};

/// Whether the process behind an [`Owner`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs: same boot, pid namespace, pid and start time.
    Alive,
    /// Proven gone: nothing has its pid, or what has it started at another time.
    Dead,
    /// Cannot be told from here: another host, boot or container, or a record that does not say.
    Unknown,
}

/// Why an owner is judged as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The very process runs.
    Runs,
    /// No process has the pid, or it has ended and waits to be reaped.
    Gone,
    /// The pid belongs to a process that started at another time.
    Reused,
    /// The owner ran under another boot. Proof of death on a local filesystem alone.
    OtherBoot,
    /// The owner runs under this boot in a pid namespace that is not ours.
    Elsewhere,
    /// The record does not say enough to name a process.
    Unidentified,
    /// A process has the pid, and its start time may not be read.
    Hidden,
}

impl Evidence {
    pub(crate) fn liveness(self) -> Liveness {
        match self {
            Evidence::Runs => Liveness::Alive,
            Evidence::Gone | Evidence::Reused => Liveness::Dead,
            Evidence::OtherBoot | Evidence::Elsewhere | Evidence::Unidentified | Evidence::Hidden => {
                Liveness::Unknown
            }
        }
    }

    /// One clause, for people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Evidence::Runs => "the process runs",
            Evidence::Gone => "the process is gone",
            Evidence::Reused => "the process is gone and its pid belongs to another one",
            Evidence::OtherBoot => "the record is from another boot or another host",
            Evidence::Elsewhere => {
                "the owner lives in another container (pid namespace), where it can't be seen"
            }
            Evidence::Unidentified => "the record does not say which host and boot the pid belongs to",
            Evidence::Hidden => "a process has that pid, and its start time can't be read",
        }
    }
}

pub(crate) fn judge(owner: &Owner) -> Evidence {
    let me = owner::my_identity();
    match (&owner.identity.boot, &me.boot) {
        (Some(theirs), Some(mine)) if theirs == mine => {}
        (Some(_), Some(_)) => return Evidence::OtherBoot,
        _ => return Evidence::Unidentified,
    }
    if owner.identity.namespace != me.namespace {
        return Evidence::Elsewhere;
    }
    match sys::process_state(owner.pid) {
        ProcessState::Gone => Evidence::Gone,
        ProcessState::Running { start } => match (owner.start, start) {
            (Some(recorded), Some(seen)) if recorded == seen => Evidence::Runs,
            (Some(_), Some(_)) => Evidence::Reused,
            _ => Evidence::Hidden,
        },
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::owner::Identity;
    use std::sync::Arc;

    fn changed(change: impl FnOnce(&mut Owner, &mut Identity)) -> Evidence {
        let mut owner = Owner::of_this_thread();
        let mut identity = (*owner.identity).clone();
        change(&mut owner, &mut identity);
        owner.identity = Arc::new(identity);
        judge(&owner)
    }

    #[test]
    fn this_process_is_alive() {
        assert_eq!(judge(&Owner::of_this_thread()), Evidence::Runs);
    }

    #[test]
    fn a_reused_pid_does_not_pass_for_its_first_owner() {
        assert_eq!(changed(|owner, _| owner.start = owner.start.map(|start| start - 1)), Evidence::Reused);
    }

    #[test]
    fn a_pid_that_nobody_has_is_dead() {
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let pid = child.id();
        child.wait().expect("it ends");
        assert_eq!(changed(|owner, _| owner.pid = pid), Evidence::Gone);
    }

    #[test]
    fn a_killed_process_is_dead_before_it_is_reaped() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().expect("cat");
        let pid = child.id();
        let start = sys::process_state(pid).start();
        let alive = changed(|owner, _| (owner.pid, owner.start) = (pid, start));
        child.kill().expect("it can be killed");
        let exit = sys::Exit::of(pid).expect("a zombie can be watched").expect("pidfd_open is there");
        sys::poll(&[exit.source()], None).expect("it ends");
        let dead = changed(|owner, _| (owner.pid, owner.start) = (pid, start));
        child.wait().expect("it is reaped");
        assert_eq!((alive, dead), (Evidence::Runs, Evidence::Gone));
    }

    #[test]
    fn what_cannot_be_seen_is_unknown() {
        assert_eq!(changed(|_, identity| identity.boot = Some("another".into())), Evidence::OtherBoot);
        assert_eq!(changed(|_, identity| identity.namespace = Some(1)), Evidence::Elsewhere);
        assert_eq!(changed(|_, identity| identity.boot = None), Evidence::Unidentified);
        assert_eq!(changed(|owner, _| owner.start = None), Evidence::Hidden);
        assert_eq!(judge(&Owner::bare(std::process::id())), Evidence::Unidentified);
    }
}
