//! Every error: each system call of an acquisition and a release fails once with each error that it
//! may return, one run for each. Whatever fails,
//!
//! - the process says so by a typed error, or gets by; it neither panics nor hangs;
//! - if it has not acquired the lock, it has left nothing behind and holds nothing: another process
//!   acquires the lock at once, while the failed one is still alive;
//! - if it has not released the lock, another process acquires it as soon as the failed one has
//!   ended, if not before;
//! - no file of others is touched, and what is left is gone after the next recovery.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use verify::scene::Scene;
use verify::strace::{Call, Interference};

mod support;
use support::{Lock, calls, leave_stale, scene, scheme_of, start, variants, visit};

/// How long an actor waits for the lock, in milliseconds: where a fault keeps it from proving that
/// an owner is dead, it has to wait, and in vain.
const PATIENCE: u64 = 300;

/// The errors that a call may return, beyond those that the library asks for.
fn errors_of(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "open" | "openat" => {
            &["EINTR", "EACCES", "ENOSPC", "EMFILE", "EIO", "EROFS", "EPERM", "ESTALE", "ENAMETOOLONG"]
        }
        "mkdir" | "mkdirat" | "symlink" | "symlinkat" | "link" | "linkat" | "rename" | "renameat"
        | "renameat2" => &["EACCES", "ENOSPC", "EIO", "EROFS", "EPERM", "ESTALE", "ENAMETOOLONG", "EMLINK"],
        "unlink" | "unlinkat" | "rmdir" => &["EACCES", "EIO", "EROFS", "EPERM", "ESTALE", "EBUSY"],
        "flock" => &["EINTR", "ENOLCK", "EIO"],
        "fcntl" => &["EINTR", "ENOLCK", "EIO"],
        "write" | "pwrite64" => &["EINTR", "ENOSPC", "EDQUOT", "EIO"],
        "ftruncate" => &["EINTR", "EIO", "EPERM"],
        "read" | "pread64" | "getdents64" => &["EINTR", "EIO", "ESTALE"],
        "fstat" | "stat" | "lstat" | "newfstatat" | "statx" => &["EACCES", "EIO", "ESTALE"],
        "readlink" | "readlinkat" => &["EACCES", "EIO", "ESTALE"],
        "madvise" => &["EINVAL", "ENOMEM"],
        "statfs" | "fstatfs" => &["EACCES", "EIO", "ENOSYS"],
        "lseek" => &["EIO"],
        "kill" => &["EPERM"],
        "inotify_init1" => &["EMFILE", "ENOMEM"],
        "inotify_add_watch" => &["ENOSPC", "EACCES"],
        "pidfd_open" | "eventfd2" => &["EMFILE"],
        "poll" | "ppoll" => &["EINTR"],
        // These do not fail, or only where nobody could go on: out of memory, bad pointers.
        "close" | "brk" | "mmap" | "munmap" | "mremap" | "mprotect" | "futex" | "gettid" | "getpid"
        | "geteuid" | "getuid" | "uname" | "prctl" | "getrandom" | "rt_sigprocmask" | "sigaltstack"
        | "clock_gettime" | "sched_yield" | "inotify_rm_watch" => &[],
        // The actor's own: it talks, and makes its marks.
        "readv" | "writev" | "access" | "faccessat" | "faccessat2" => &[],
        other => panic!("say in `errors_of` how `{other}` may fail: {}", call.text),
    }
}

/// What came of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// None that one can see.
    GotBy,
    /// The lock was not acquired, and that was said.
    NotAcquired,
    /// It could not be told whether the owner was dead: the lock counted as held.
    CouldNotTell,
    /// The lock was not released, and is free all the same.
    NotReleasedButFree,
    /// The lock was not released, and stays held until its owner ends.
    HeldUntilTheEnd,
}

/// Runs a cycle in which one call fails, and checks what it leaves.
fn suffer(scheme: &str, lock: Lock, call: &Call, error: &str) -> Result<Effect, String> {
    let scene = scene(scheme, lock);
    let before = additions(&scene)?;
    let text = |error: std::io::Error| error.to_string();
    let mut actor = start("cycle", scheme, &scene, Interference::Fail(call, error), PATIENCE);
    let said = loop {
        match actor.line().map_err(text)? {
            Some(line) if line == "waiting" => {}
            Some(line) if line == "held" => actor.go_on(),
            said => break said.unwrap_or_default(),
        }
    };
    let effect = verdict(scheme, lock, &scene, &said, &before);
    let (status, _) = actor.dismiss().map_err(text)?;
    let expected = if said == "released" { 0 } else { 1 };
    if status.code() != Some(expected) {
        return Err(format!("it ended with {status} after {said:?}"));
    }
    let effect = effect?;
    visit(scheme, &scene).map_err(|error| format!("after the end of {said:?}: {error}"))?;
    leave_stale(scheme, &scene.path());
    visit(scheme, &scene).map_err(|error| format!("no recovery after {said:?}: {error}"))?;
    let left = scene.litter().map_err(text)?;
    if !left.is_empty() {
        return Err(format!("a recovery has not swept {left:?}"));
    }
    scene.damage().map_or(Ok(effect), |damage| Err(format!("a file of others: {damage}")))
}

/// What the actor, still alive, has come to.
fn verdict(scheme: &str, lock: Lock, scene: &Scene, said: &str, before: &[String]) -> Result<Effect, String> {
    let more: Vec<_> = additions(scene)?
        .into_iter()
        .filter(|name| !before.contains(name) && !may_stay(scheme, name))
        .collect();
    if said == "released" {
        visit(scheme, scene).map_err(|error| format!("released and not free: {error}"))?;
        return Ok(Effect::GotBy);
    }
    if let Some(failure) = said.strip_prefix("acquire: ") {
        if !more.is_empty() {
            return Err(format!("not acquired, and left {more:?} behind: {failure}"));
        }
        let cannot_tell = lock == Lock::Stale && failure.starts_with("LockTimeout Unknown");
        if !cannot_tell && !failure.starts_with("LockFailed") {
            return Err(format!("no such lock was held: {failure}"));
        }
        visit(scheme, scene)
            .map_err(|error| format!("not acquired, and not free: {error}; it had said {failure}"))?;
        return Ok(if cannot_tell { Effect::CouldNotTell } else { Effect::NotAcquired });
    }
    if said.starts_with("release: Failed") {
        let free = visit(scheme, scene).is_ok();
        return Ok(if free { Effect::NotReleasedButFree } else { Effect::HeldUntilTheEnd });
    }
    Err(format!("neither acquired nor a typed error: {said:?}"))
}

/// Whether a file is no lock by being there, and can't be removed without its lock in hand: it stays
/// when that can't be had.
fn may_stay(scheme: &str, name: &str) -> bool {
    match scheme_of(scheme) {
        "flock" | "ofd" => name == "job.lock",
        // Until the next that breaks a stale lock, which uses it and removes it.
        "symlink" => name.starts_with(".pathlock-breaker-"),
        _ => false,
    }
}

fn additions(scene: &Scene) -> Result<Vec<String>, String> {
    scene.additions().map_err(|error| error.to_string())
}

fn survives_every_fault(lock: Lock) {
    let mut failures = Vec::new();
    for scheme in variants() {
        let rehearsal = scene(scheme, lock);
        let mut actor = start("cycle", scheme, &rehearsal, Interference::None, PATIENCE);
        assert_eq!(actor.line().expect("it talks").as_deref(), Some("held"), "{scheme}: the lock can be had");
        let (status, _) = actor.dismiss().expect("it ends");
        assert!(status.success(), "{scheme}: nobody interferes: {status}");
        let mut effects: BTreeMap<Effect, Vec<String>> = BTreeMap::new();
        let mut faults = 0;
        for call in calls(&rehearsal).iter().filter(|call| call.by_main_thread) {
            for error in errors_of(call) {
                faults += 1;
                let fault = format!("{}#{} {error}", call.name, call.nth);
                match suffer(scheme, lock, call, error) {
                    Ok(effect) => effects.entry(effect).or_default().push(fault),
                    Err(failure) => {
                        failures.push(format!("{scheme}, {lock:?}, {fault} in {}: {failure}", call.text))
                    }
                }
            }
        }
        let counts: Vec<_> =
            effects.iter().map(|(effect, faults)| format!("{effect:?} {}", faults.len())).collect();
        println!("{scheme:8} {lock:?}: {faults} faults: {}", counts.join(", "));
        for effect in [Effect::CouldNotTell, Effect::NotReleasedButFree, Effect::HeldUntilTheEnd] {
            if let Some(faults) = effects.get(&effect) {
                println!("         {effect:?}: {}", faults.join(", "));
            }
        }
        assert!(faults >= 20, "{scheme}, {lock:?}: the calls of a lock can fail in many ways");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn any_call_of_a_cycle_can_fail() {
    survives_every_fault(Lock::Free);
}

#[test]
fn any_call_of_a_recovery_can_fail() {
    survives_every_fault(Lock::Stale);
}
