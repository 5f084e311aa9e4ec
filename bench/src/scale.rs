//! Scale: very many that wait for one lock, and very many locks of one process.

use std::fs;

use crate::contender::Error;
use crate::crew::{Actor, Lock, Stage, settle};
use crate::results::{Crowd, Many};
use crate::stats;

/// How large a process is.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) memory_kib: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
}

impl Size {
    /// Of the process whose directory in `/proc` is called `process`, with the line of its status that `memory` begins.
    pub(crate) fn of(process: &str, memory: &str) -> Result<Size, Error> {
        let process = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{process}/status"))?;
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let files = fs::read_dir(format!("{process}/fd"))?.count() as u64;
        Ok(Size { memory_kib: field(memory), files, threads: field("Threads:") })
    }
}

/// The medians of so many rounds with so many waiters.
pub(crate) fn measure(
    stage: &Stage,
    lock: &Lock,
    of: &str,
    waiters: usize,
    rounds: usize,
) -> Result<Crowd, Error> {
    let mut costs = Vec::new();
    let mut size = Size::default();
    let mut holder = stage.actor(lock)?;
    let mut crew = stage.crew(lock, if of == "processes" { waiters } else { 1 })?;
    for round in 0..=rounds {
        holder.tell("hold")?;
        holder.answer()?;
        for actor in &mut crew {
            actor.tell(&if of == "processes" {
                "turn 0".to_owned()
            } else {
                format!("crowd {of} {waiters}")
            })?;
        }
        if of != "processes" {
            crew[0].answer()?;
        }
        settle(waiters);
        // What they share is one program, and not counted for each.
        let of = |actor: &Actor| Size::of(&actor.pid().to_string(), "RssAnon:");
        let sizes: Result<Vec<Size>, Error> = crew.iter().map(of).collect();
        size = sizes?.into_iter().fold(Size::default(), |all, one| Size {
            memory_kib: all.memory_kib + one.memory_kib,
            files: all.files + one.files,
            threads: all.threads + one.threads,
        });
        holder.tell("release")?;
        // Who reads answers now would be woken by each, and need a processor.
        settle(waiters);
        let began = holder.numbers()?[0];
        let mut last = 0;
        for actor in &mut crew {
            last = last.max(actor.numbers()?.last().copied().unwrap_or_default());
        }
        if round > 0 {
            costs.push(last.saturating_sub(began) as f64 / 1e3 / waiters as f64);
        }
    }
    Ok(Crowd {
        filesystem: stage.filesystem.clone(),
        lock: lock.shown(),
        of: of.to_owned(),
        waiters,
        us_per_hand_over: stats::median(&costs),
        memory_kib: size.memory_kib,
        files: size.files,
        threads: size.threads,
    })
}

pub(crate) fn measure_many(stage: &Stage, lock: &Lock, locks: usize) -> Result<Many, Error> {
    let path = stage.path(&format!("{} many", lock.shown()))?;
    let mut actor = stage.actor_at(lock, &path)?;
    actor.tell(&format!("many {locks}"))?;
    let numbers = actor.numbers()?;
    let [time, memory_kib, files, threads] = numbers[..] else {
        return Err("no answer of four numbers".into());
    };
    Ok(Many {
        filesystem: stage.filesystem.clone(),
        lock: lock.shown(),
        locks,
        us_per_lock: time as f64 / 1e3 / locks as f64,
        memory_kib,
        files,
        threads,
    })
}
