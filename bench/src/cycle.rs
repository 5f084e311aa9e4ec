//! The cycle: one acquire and release that nobody disturbs, with a handle that is used again and with a new one for each
//! turn. Every lock has its turn in every round, so that what disturbs the machine disturbs all of them.

use std::time::Instant;

use crate::contender::{self, Error, PEERS, SCHEMES, Turn};
use crate::crew::{Actor, Lock, Stage};
use crate::results::Cycle;
use crate::stats;

/// About how long a lock's turns take in one round, in microseconds.
const ROUND_US: f64 = 2_000.0;
/// Turns of one of Python's locks in one round.
const BATCH: u32 = 100;

struct Contestant {
    lock: String,
    reused: bool,
    /// Index of what it is compared with.
    beside: usize,
    /// Turns in one round.
    batch: u32,
    us: Vec<f64>,
}

/// The locks of this program.
pub(crate) fn measure(stage: &Stage, rounds: usize) -> Result<Vec<Cycle>, Error> {
    let mut contestants: Vec<Contestant> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    let mut add = |lock: &str, reused: bool, beside: Option<usize>| -> Result<usize, Error> {
        let path = stage.path(&format!("{lock} {reused}"))?;
        turns.push(if reused { contender::open(lock, &path)? } else { contender::anew(lock, &path)? });
        let own = contestants.len();
        contestants.push(Contestant {
            lock: lock.to_owned(),
            reused,
            beside: beside.unwrap_or(own),
            batch: 20,
            us: Vec::new(),
        });
        Ok(own)
    };
    let mut ours = [0, 0];
    for reused in [true, false] {
        let bare = add("bare flock", reused, None)?;
        for scheme in SCHEMES {
            let floor = add(&format!("floor {scheme}"), reused, None)?;
            let own = add(&format!("pathlock {scheme}"), reused, Some(floor))?;
            if *scheme == "flock" {
                ours[usize::from(reused)] = own;
            }
        }
        add("pathlock sqlite", reused, Some(bare))?;
    }
    for reused in [true, false] {
        for peer in PEERS {
            add(peer, reused, Some(ours[1]))?;
        }
    }
    // The first two rounds tell how many turns the others are to have.
    for round in 0..rounds + 2 {
        for (turn, contestant) in turns.iter_mut().zip(&mut contestants) {
            let began = Instant::now();
            for _ in 0..contestant.batch {
                turn(&mut || {})?;
            }
            let us = began.elapsed().as_secs_f64() * 1e6 / f64::from(contestant.batch);
            if round > 1 {
                contestant.us.push(us);
            } else {
                contestant.batch = (ROUND_US / us).clamp(5.0, 500.0) as u32;
            }
        }
    }
    Ok(contestants.iter().map(|one| result(stage, "Rust", one, &contestants[one.beside])).collect())
}

fn result(stage: &Stage, language: &str, one: &Contestant, beside: &Contestant) -> Cycle {
    let kind = if beside.reused { "reused" } else { "new" };
    Cycle {
        filesystem: stage.filesystem.clone(),
        language: language.to_owned(),
        lock: one.lock.clone(),
        reused: one.reused,
        median_us: stats::median(&one.us),
        p99_us: stats::percentile(&one.us, 0.99),
        beside: format!("{}, {kind}", beside.lock),
        ratio: stats::paired(&one.us, &beside.us),
    }
}

/// Python's, and what each is compared with: Pathlock's own, or what it takes the place of.
const PYTHON: &[(&str, &str)] = &[
    ("pathlock flock", "pathlock flock"),
    ("pathlock ofd", "pathlock flock"),
    ("pathlock link", "lockfile LinkLockFile"),
    ("pathlock symlink", "lockfile SymlinkLockFile"),
    ("pathlock mkdir", "lockfile MkdirLockFile"),
    ("pathlock pid", "lockfile PIDLockFile"),
    ("pathlock sqlite", "pathlock flock"),
    ("pathlock.lockfile LinkLockFile", "lockfile LinkLockFile"),
    ("pathlock.lockfile SymlinkLockFile", "lockfile SymlinkLockFile"),
    ("pathlock.lockfile MkdirLockFile", "lockfile MkdirLockFile"),
    ("pathlock.lockfile PIDLockFile", "lockfile PIDLockFile"),
    ("lockfile LinkLockFile", "pathlock flock"),
    ("lockfile SymlinkLockFile", "pathlock flock"),
    ("lockfile MkdirLockFile", "pathlock flock"),
    ("lockfile PIDLockFile", "pathlock flock"),
    ("filelock", "pathlock flock"),
    ("fasteners", "pathlock flock"),
    ("portalocker", "pathlock flock"),
    ("zc.lockfile", "pathlock flock"),
];

/// The locks of Python, each in a process of its own, in the same turns.
pub(crate) fn measure_python(stage: &Stage, rounds: usize) -> Result<Vec<Cycle>, Error> {
    let mut actors: Vec<Actor> = Vec::new();
    for (lock, _) in PYTHON {
        let path = stage.path(&format!("{lock} python cycle"))?;
        actors.push(stage.actor_at(&Lock::python(lock), &path)?);
    }
    let contestants = |reused: bool| {
        let index = |name: &str| PYTHON.iter().position(|(lock, _)| *lock == name).unwrap_or_default();
        let one = move |&(lock, beside): &(&str, &str)| Contestant {
            lock: lock.to_owned(),
            reused,
            beside: index(beside),
            batch: BATCH,
            us: Vec::new(),
        };
        PYTHON.iter().map(one).collect::<Vec<_>>()
    };
    let (mut reused, mut new) = (contestants(true), contestants(false));
    for round in 0..=rounds {
        for (index, actor) in actors.iter_mut().enumerate() {
            actor.tell(&format!("cycles {BATCH}"))?;
            let times = actor.numbers()?;
            if round > 0 {
                let us = |nanoseconds: u64| nanoseconds as f64 / 1e3 / f64::from(BATCH);
                reused[index].us.push(us(times[0]));
                new[index].us.push(us(times[1]));
            }
        }
    }
    let mut results = Vec::new();
    for (own, one) in [&reused, &new].into_iter().flat_map(|all| all.iter().map(move |one| (all, one))) {
        // Who has no object to use again is compared with one that is used again: its own best.
        let beside = if one.lock.starts_with("pathlock") { &own[one.beside] } else { &reused[one.beside] };
        results.push(result(stage, "Python", one, beside));
    }
    Ok(results)
}
