//! What was measured, as `results.json` has it. Times are in the unit that a field is named after.

use serde::{Deserialize, Serialize};

/// Everything of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) cycles: Vec<Cycle>,
    pub(crate) hand_overs: Vec<HandOver>,
    pub(crate) turns: Vec<Turns>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) crowds: Vec<Crowd>,
    pub(crate) many: Vec<Many>,
    pub(crate) commands: Vec<Command>,
}

/// Where it was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) version: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) python: String,
    pub(crate) packages: Vec<String>,
    pub(crate) seconds: f64,
}

/// One acquire and release that nobody disturbs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cycle {
    pub(crate) filesystem: String,
    /// "Rust" or "Python".
    pub(crate) language: String,
    pub(crate) lock: String,
    pub(crate) reused: bool,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    /// What it is compared with, and the median of the ratios of the same round.
    pub(crate) beside: String,
    pub(crate) ratio: f64,
}

/// From where one begins to release to where the next is in.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandOver {
    pub(crate) filesystem: String,
    pub(crate) lock: String,
    pub(crate) waiters: usize,
    /// Whether the holder was killed instead.
    pub(crate) killed: bool,
    pub(crate) samples: usize,
    /// `None` when nobody came in.
    pub(crate) median_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

/// Several that want the lock all the time.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Turns {
    pub(crate) filesystem: String,
    pub(crate) lock: String,
    pub(crate) processes: usize,
    pub(crate) threads: usize,
    /// How long each turn works inside.
    pub(crate) section_us: f64,
    pub(crate) seconds: f64,
    /// The turns of each.
    pub(crate) turns: Vec<u64>,
    pub(crate) longest_wait_ms: f64,
}

impl Turns {
    pub(crate) fn total(&self) -> u64 {
        self.turns.iter().sum()
    }

    /// Least served to most served.
    pub(crate) fn fairness(&self) -> f64 {
        let least = self.turns.iter().min().copied().unwrap_or_default();
        let most = self.turns.iter().max().copied().unwrap_or_default();
        if most == 0 { 0.0 } else { least as f64 / most as f64 }
    }
}

/// A wait of some seconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) filesystem: String,
    pub(crate) lock: String,
    pub(crate) seconds: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) switches: u64,
}

/// Many that wait for one lock, and do nothing with it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) filesystem: String,
    pub(crate) lock: String,
    /// "processes", "threads" or "futures".
    pub(crate) of: String,
    pub(crate) waiters: usize,
    pub(crate) us_per_hand_over: f64,
    /// Of the process, or of all processes, while all wait.
    pub(crate) memory_kib: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
}

/// Many locks that one process holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Many {
    pub(crate) filesystem: String,
    pub(crate) lock: String,
    pub(crate) locks: usize,
    pub(crate) us_per_lock: f64,
    pub(crate) memory_kib: u64,
    pub(crate) files: u64,
    pub(crate) threads: u64,
}

/// A command that runs `true` with a lock held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) command: String,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    /// Beside flock(1), of the same round.
    pub(crate) ratio: f64,
    /// `None` where it can't be told.
    pub(crate) peak_kib: Option<u64>,
}
