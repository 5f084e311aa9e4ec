//! How long a wait may last.
//!
//! Invariant: a deadline is a point on the monotonic clock (`CLOCK_MONOTONIC`, through
//! [`Instant`]). Setting the wall clock moves no deadline, and a wait never ends early.

use std::time::{Duration, Instant};

/// How long an acquisition may wait. The rules are pylockfile's.
///
/// | value | the lock is busy |
/// |---|---|
/// | `Never` | wait for ever |
/// | `NoWait` | fail at once with [`AlreadyLocked`](crate::LockError::AlreadyLocked) |
/// | `After(d)` | wait `d`, then fail with [`LockTimeout`](crate::LockError::LockTimeout) |
///
/// ```
/// use pathlock::Timeout;
/// use std::time::Duration;
///
/// assert_eq!(Timeout::from(Duration::ZERO), Timeout::NoWait);
/// assert_eq!(Timeout::from(None), Timeout::Never);
/// assert_eq!(Timeout::from_secs_f64(-3.0), Timeout::NoWait);
/// assert_eq!(Timeout::from_secs_f64(1.5), Timeout::After(Duration::from_millis(1500)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timeout {
    /// Wait for ever.
    #[default]
    Never,
    /// Do not wait.
    NoWait,
    /// Wait this long, measured on the monotonic clock.
    After(Duration),
}

impl Timeout {
    /// A timeout of `seconds`: zero, negative and not-a-number mean do not wait; more than the
    /// clock can count means for ever.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Timeout {
        if seconds > 0.0 {
            Duration::try_from_secs_f64(seconds).map_or(Timeout::Never, Timeout::from)
        } else {
            Timeout::NoWait
        }
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Timeout {
        if duration.is_zero() { Timeout::NoWait } else { Timeout::After(duration) }
    }
}

impl From<Option<Duration>> for Timeout {
    fn from(duration: Option<Duration>) -> Timeout {
        duration.map_or(Timeout::Never, Timeout::from)
    }
}

/// A timeout that has begun to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    timeout: Timeout,
    began: Instant,
    end: Option<Instant>,
}

impl Deadline {
    pub(crate) fn start(timeout: Timeout) -> Deadline {
        let began = Instant::now();
        let end = match timeout {
            Timeout::Never => None,
            Timeout::NoWait => Some(began),
            // A duration beyond the end of the clock is a wait for ever.
            Timeout::After(duration) => began.checked_add(duration),
        };
        Deadline { timeout, began, end }
    }

    pub(crate) fn waits(&self) -> bool {
        self.timeout != Timeout::NoWait
    }

    pub(crate) fn end(&self) -> Option<Instant> {
        self.end
    }

    pub(crate) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is left, or `None` for ever. Zero means that the deadline has passed.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    pub(crate) fn has_passed(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// `pause`, but no longer than what is left.
    pub(crate) fn cap(&self, pause: Duration) -> Duration {
        self.left().map_or(pause, |left| left.min(pause))
    }
}
