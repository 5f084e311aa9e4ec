//! Every crash point: a process that acquires and releases a lock is killed before each of its
//! system calls, one run for each. Whatever the moment,
//!
//! - the lock is not held any more, and another process acquires it *at once*: the first that
//!   tries, and the one that was already waiting;
//! - no file of others is touched;
//! - what is left beside the lock is gone after the next recovery of a stale lock.
//!
//! Five stories are told so, of writers and of readers: of a process that is alone, of one that takes over a stale lock, of a
//! holder that lets go while another waits, of a waiter whose turn comes, and of one that breaks a lock,
//! which is then broken or as it was.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use pathlock::State;
use verify::scene::Scene;
use verify::strace::{Call, Interference};

mod support;
use support::{Lock, calls, leave_stale, scene, scheme_of, start, variants, visit};

/// A waiter that misses its wake-up looks again after more than two seconds.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How long an actor waits for the lock, in milliseconds.
const PATIENCE: u64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Alone,
    OverStale,
    HandingOver,
    TakingOver,
    Breaking,
}

/// Tells the story once; whether the actor came to its end.
fn tell(story: Story, scheme: &str, scene: &Scene, interference: Interference<'_>) -> Result<bool, String> {
    // Who waits, and for whom is waited, is a writer: a reader would not wait for a reader.
    let lock = verify::lock(scheme_of(scheme), &scene.path())?;
    let held = if story == Story::Breaking { verify::lock(scheme, &scene.path())? } else { lock.clone() };
    let text = |error: std::io::Error| error.to_string();
    let ours = matches!(story, Story::TakingOver | Story::Breaking)
        .then(|| held.acquire().expect("nobody else has it"));
    if story == Story::Breaking {
        let broken = see_broken(scheme, scene, interference);
        let guard = ours.ok_or("the lock is ours")?;
        let valid = guard.is_valid();
        let other = lock.try_acquire();
        if other.is_ok() == valid {
            return Err(format!("our guard is valid: {valid}, and another's try: {other:?}"));
        }
        // It is ours to release, or it says that it was broken.
        if guard.release().is_ok() != valid {
            return Err("a lock that was broken is released, or one that was not is lost".to_owned());
        }
        return broken;
    }
    let mut actor = start("cycle", scheme, scene, interference, PATIENCE);
    // `held`, or `waiting` for the waiter; nothing when it has been killed by then.
    let said = actor.line().map_err(text)?;
    if let Some(guard) = ours {
        guard.release().map_err(|error| error.to_string())?;
    }
    let waiter = (story == Story::HandingOver && said.is_some()).then(|| {
        let (waits, is_waiting) = mpsc::channel();
        let lock = lock.on_wait(move |_| {
            // It is told again when the wait goes on.
            let _ = waits.send(());
        });
        let waiter = thread::spawn(move || {
            let began = Instant::now();
            let guard = lock.acquire_within(2 * AT_ONCE).map_err(|error| format!("the waiter: {error}"))?;
            let waited = began.elapsed();
            guard.release().map_err(|error| format!("the waiter: {error}"))?;
            Ok::<_, String>(waited)
        });
        // One that has not to wait has found the actor dead: then this end is closed.
        let _ = is_waiting.recv();
        waiter
    });
    let (status, rest) = actor.dismiss().map_err(text)?;
    if let Some(waiter) = waiter {
        let waited = waiter.join().expect("the waiter does not panic")?;
        if waited > AT_ONCE {
            return Err(format!("the waiter has missed its wake-up: {waited:?}"));
        }
    }
    let ended = status.success() && rest.last().is_some_and(|line| line == "released");
    match (ended, status.code()) {
        (true, _) | (_, None | Some(137)) => Ok(ended),
        _ => Err(format!("the actor ended with {status} after {said:?} and {rest:?}")),
    }
}

/// Has a process break the lock; whether it came to its end.
fn see_broken(scheme: &str, scene: &Scene, interference: Interference<'_>) -> Result<bool, String> {
    let actor = start("break", scheme, scene, interference, PATIENCE);
    let (status, said) = actor.dismiss().map_err(|error| error.to_string())?;
    match (said.last().is_some_and(|line| line == "broken"), status.code()) {
        (broken, Some(0) | None | Some(137)) => Ok(broken),
        _ => Err(format!("the breaker ended with {status} after {said:?}")),
    }
}

/// What must be true when the actor is dead. Returns the litter that was there before a recovery.
/// On a local filesystem nothing is unknown, so neither `Held` nor `Unknown` will do.
fn examine(scheme: &str, scene: &Scene) -> Result<Vec<String>, String> {
    let status = verify::lock(scheme, &scene.path())?.status().map_err(|error| error.to_string())?;
    if !matches!(status.state(), State::Free | State::Stale) {
        return Err(format!("the lock of the dead is {:?}: {}", status.state(), status.detail()));
    }
    visit(scheme, scene).map_err(|error| format!("not acquired at once: {error}"))?;
    let litter = scene.litter().map_err(|error| error.to_string())?;
    leave_stale(scheme, &scene.path());
    visit(scheme, scene).map_err(|error| format!("no recovery after that: {error}"))?;
    let left = scene.litter().map_err(|error| error.to_string())?;
    if !left.is_empty() {
        return Err(format!("a recovery has not swept {left:?}"));
    }
    scene.damage().map_or(Ok(litter), |damage| Err(format!("a file of others: {damage}")))
}

/// Whether one can be killed there and nowhere else. strace counts calls for each thread: a call of
/// another thread is meant only if the main thread makes none of that name.
fn can_be_meant(call: &Call, calls: &[Call]) -> bool {
    call.by_main_thread || !calls.iter().any(|other| other.by_main_thread && other.name == call.name)
}

/// How often a point is tried.
const TRIES: u32 = 5;

fn survives_every_crash(story: Story) {
    let mut failures = Vec::new();
    for scheme in variants() {
        let lock = if story == Story::OverStale { Lock::Stale } else { Lock::Free };
        let rehearsal = scene(scheme, lock);
        let ended = tell(story, scheme, &rehearsal, Interference::None).expect("nobody interferes");
        assert!(ended, "{scheme}, {story:?}: the actor acquires and releases");
        let calls = calls(&rehearsal);
        let (mut missed, mut recovered) = (0, 0);
        let mut litter = BTreeSet::new();
        let points: Vec<&Call> = calls.iter().filter(|call| can_be_meant(call, &calls)).collect();
        for call in &points {
            // A waiter's calls differ from time to time: a point that was not reached is tried again.
            let attempt = || {
                let scene = scene(scheme, lock);
                let result = tell(story, scheme, &scene, Interference::Kill(call));
                (scene, result)
            };
            let (mut scene, mut result) = attempt();
            for _ in 1..TRIES {
                if matches!(result, Ok(true)) {
                    (scene, result) = attempt();
                }
            }
            match result.and_then(|ended| Ok((ended, examine(scheme, &scene)?))) {
                Ok((ended, left)) => {
                    missed += usize::from(ended);
                    recovered += usize::from(!ended);
                    litter.extend((!left.is_empty()).then(|| format!("{}#{}", call.name, call.nth)));
                }
                Err(failure) => failures.push(format!(
                    "{scheme}, {story:?}, killed before {}#{} {}: {failure}\n{}",
                    call.name,
                    call.nth,
                    call.text,
                    scene.describe()
                )),
            }
        }
        println!(
            "{scheme:8} {story:?}: {} crash points, {recovered} recovered at once, {missed} not reached; \
             litter until the next recovery after {}: {litter:?}",
            points.len(),
            litter.len(),
        );
        assert!(points.len() >= 8, "{scheme}, {story:?}: the window has the calls of a lock: {calls:?}");
        assert!(
            missed * 4 <= points.len(),
            "{scheme}, {story:?}: a story that changes each time proves little"
        );
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_process_can_die_at_any_point_of_a_cycle() {
    survives_every_crash(Story::Alone);
}

#[test]
fn a_process_can_die_at_any_point_of_a_recovery() {
    survives_every_crash(Story::OverStale);
}

#[test]
fn a_holder_can_die_at_any_point_of_a_hand_over() {
    survives_every_crash(Story::HandingOver);
}

#[test]
fn a_breaker_can_die_at_any_point_of_a_break() {
    survives_every_crash(Story::Breaking);
}

#[test]
fn a_waiter_can_die_at_any_point_of_its_turn() {
    survives_every_crash(Story::TakingOver);
}
