//! Hand-over: one lets go, or is killed, and the next is in.
//!
//! A round has a holder and waiters. Once all wait, the holder lets go; each waiter works inside for a moment, in which
//! those behind it go to sleep again, and lets go in turn. A hand-over is from where one begins to release to where the
//! next is in, by the clock that all share.

use std::time::{Duration, Instant};

use crate::actor::now;
use crate::contender::Error;
use crate::crew::{Actor, Lock, Stage, settle};
use crate::results::HandOver;
use crate::stats;

/// How long a waiter works inside.
const SECTION_NS: u64 = 100_000;
/// A lock that lets nobody in for so long after a kill has not been recovered.
const GIVE_UP: Duration = Duration::from_secs(2);

/// The hand-overs of each lock, in turns, each for about `time` in all, and one round at least.
pub(crate) fn measure(
    stage: &Stage,
    locks: &[Lock],
    waiters: usize,
    time: Duration,
) -> Result<Vec<HandOver>, Error> {
    const PASSES: u32 = 3;
    let mut samples = vec![Vec::new(); locks.len()];
    let mut used = vec![Duration::ZERO; locks.len()];
    for pass in 1..=PASSES {
        let all = locks.iter().zip(&mut samples).zip(&mut used);
        for ((lock, samples), used) in all.filter(|(_, used)| **used < time * pass / PASSES) {
            let began = Instant::now();
            let mut holder = stage.actor(lock)?;
            let mut crew = stage.crew(lock, waiters)?;
            // The first round of a process is its slowest: it reads its own pages. It counts where it takes all the time.
            let first = round(&mut holder, &mut crew)?;
            if *used + began.elapsed() > time {
                samples.extend(first);
            }
            while *used + began.elapsed() < time * pass / PASSES {
                samples.extend(round(&mut holder, &mut crew)?);
            }
            *used += began.elapsed();
        }
    }
    let results =
        locks.iter().zip(&samples).map(|(lock, samples)| result(stage, lock, waiters, false, samples));
    Ok(results.collect())
}

/// The hand-overs of one round, in microseconds.
fn round(holder: &mut Actor, crew: &mut [Actor]) -> Result<Vec<f64>, Error> {
    holder.tell("hold")?;
    holder.answer()?;
    for actor in &mut *crew {
        actor.tell(&format!("turn {SECTION_NS}"))?;
    }
    settle(crew.len());
    holder.tell("release")?;
    // Who reads answers now would be woken by each, and need a processor.
    settle(crew.len());
    let mut last = holder.numbers()?[0];
    let mut turns = Vec::new();
    for actor in crew {
        let turn = actor.numbers()?;
        turns.push((turn[0], turn[1]));
    }
    turns.sort_unstable();
    let mut samples = Vec::new();
    for (came_in, began) in turns {
        samples.push(came_in.saturating_sub(last) as f64 / 1e3);
        last = began;
    }
    Ok(samples)
}

/// The same after the holder was killed; one waiter.
pub(crate) fn measure_kills(stage: &Stage, locks: &[Lock], rounds: usize) -> Result<Vec<HandOver>, Error> {
    let mut samples = vec![Vec::new(); locks.len()];
    for round in 0..=rounds {
        for (lock, samples) in locks.iter().zip(&mut samples) {
            // One that is not recovered is not tried again.
            if round > 1 && samples.is_empty() {
                continue;
            }
            let path = stage.path(&format!("{} killed {round}", lock.shown()))?;
            let mut holder = stage.actor_at(lock, &path)?;
            let mut waiter = stage.actor_at(lock, &path)?;
            holder.tell("hold")?;
            holder.answer()?;
            waiter.tell("turn 0")?;
            settle(1);
            let killed = now();
            holder.kill()?;
            let Some(turn) = answer_within(waiter, GIVE_UP)? else { continue };
            if round > 0 {
                samples.push(turn[0].saturating_sub(killed) as f64 / 1e3);
            }
        }
    }
    let results = locks.iter().zip(&samples).map(|(lock, samples)| result(stage, lock, 1, true, samples));
    Ok(results.collect())
}

fn answer_within(mut actor: Actor, time: Duration) -> Result<Option<Vec<u64>>, Error> {
    let pid = actor.pid();
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = sender.send(actor.numbers());
    });
    let answer = receiver.recv_timeout(time);
    if answer.is_err() {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).ok_or("no pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    let _ = thread.join();
    answer.map_or(Ok(None), |answer| answer.map(Some))
}

fn result(stage: &Stage, lock: &Lock, waiters: usize, killed: bool, samples: &[f64]) -> HandOver {
    let known = |value: f64| value.is_finite().then_some(value);
    HandOver {
        filesystem: stage.filesystem.clone(),
        lock: lock.shown(),
        waiters,
        killed,
        samples: samples.len(),
        median_us: known(stats::median(samples)),
        p99_us: known(stats::percentile(samples, 0.99)),
    }
}
