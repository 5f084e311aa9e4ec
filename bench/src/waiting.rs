//! Waiting: what a wait of some seconds costs the waiter. All wait at the same time, each for its own lock.

use std::time::Duration;

use crate::contender::Error;
use crate::crew::{Lock, Stage, pause, settle};
use crate::results::Wait;

pub(crate) fn measure(stage: &Stage, locks: &[Lock], time: Duration) -> Result<Vec<Wait>, Error> {
    let mut pairs = Vec::new();
    for lock in locks {
        let (mut holder, mut waiter) = (stage.actor(lock)?, stage.actor(lock)?);
        // The first turn reads the pages of the program.
        waiter.tell("turn 0")?;
        waiter.answer()?;
        holder.tell("hold")?;
        holder.answer()?;
        pairs.push((lock, holder, waiter));
    }
    for (_, _, waiter) in &mut pairs {
        waiter.tell("wait")?;
    }
    settle(0);
    pause(time);
    let mut results = Vec::new();
    for (lock, holder, waiter) in &mut pairs {
        holder.tell("release")?;
        holder.answer()?;
        let spent = waiter.numbers()?;
        results.push(Wait {
            filesystem: stage.filesystem.clone(),
            lock: lock.shown(),
            seconds: time.as_secs_f64(),
            cpu_ms: spent[0] as f64 / 1e6,
            switches: spent[1],
        });
    }
    Ok(results)
}
