//! Throughput and fairness: several that want the lock all the time.

use crate::contender::Error;
use crate::crew::{Lock, Stage};
use crate::results::Turns;

/// So many processes, each with so many threads.
pub(crate) const CREWS: &[(usize, usize)] = &[(2, 1), (4, 1), (8, 1), (1, 8)];
/// How long each works inside, in microseconds.
pub(crate) const SECTIONS: &[u64] = &[0, 50, 500];

/// Each lock in turns, in two passes of half of `milliseconds` each.
pub(crate) fn measure(
    stage: &Stage,
    locks: &[Lock],
    (processes, threads): (usize, usize),
    section_us: u64,
    milliseconds: u64,
) -> Result<Vec<Turns>, Error> {
    const PASSES: u64 = 2;
    let mut results: Vec<Turns> = locks
        .iter()
        .map(|lock| Turns {
            filesystem: stage.filesystem.clone(),
            lock: lock.shown(),
            processes,
            threads,
            section_us: section_us as f64,
            seconds: milliseconds as f64 / 1e3,
            turns: vec![0; processes * threads],
            longest_wait_ms: 0.0,
        })
        .collect();
    for _ in 0..PASSES {
        for (lock, result) in locks.iter().zip(&mut results) {
            let mut crew = stage.crew(lock, processes)?;
            for actor in &mut crew {
                actor.tell(&format!("loop {} {} {threads}", milliseconds / PASSES, section_us * 1_000))?;
            }
            let mut pass = Vec::new();
            for actor in &mut crew {
                pass.extend(actor.numbers()?);
            }
            // Of two passes the least served are not the same: each pass is sorted by itself.
            let mut turns: Vec<u64> = pass.iter().step_by(2).copied().collect();
            turns.sort_unstable();
            result.turns.iter_mut().zip(turns).for_each(|(all, turns)| *all += turns);
            let longest = pass.iter().skip(1).step_by(2).copied().max().unwrap_or_default();
            result.longest_wait_ms = result.longest_wait_ms.max(longest as f64 / 1e6);
        }
    }
    Ok(results)
}
