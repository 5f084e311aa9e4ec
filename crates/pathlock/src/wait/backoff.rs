//! Trying again after a while: where other hosts change things, and where the system is out of
//! threads or descriptors. Nowhere else.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::Wait;
use crate::error::Obstacle;

const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);

/// Pauses that grow from [`SHORTEST`] to [`LONGEST`], each with jitter: waiters that began
/// together do not try together for ever.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { next: SHORTEST }
    }

    pub(super) fn pause(&mut self, wait: &Wait<'_>) -> Result<(), Obstacle> {
        wait.sleep(&[], self.next())?;
        Ok(())
    }

    /// How long to pause now.
    pub(super) fn next(&mut self) -> Duration {
        let pause = jittered(self.next);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

/// `pause`, give or take a quarter.
pub(super) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 512;
    pause * 3 / 4 + pause * u32::try_from(random).unwrap_or(0) / 1024
}
