//! Signals, where there are none: Ctrl-C reaches the command from its console, as it reaches us.

use std::io;
use std::process::{Child, ExitStatus};

use pathlock::CancelToken;

/// No signals.
#[derive(Debug)]
pub(crate) struct Signals;

impl Signals {
    /// Catches nothing.
    pub(crate) fn catch() -> io::Result<Signals> {
        Ok(Signals)
    }

    /// Never one.
    pub(crate) fn caught(&self) -> Option<i32> {
        None
    }

    /// What a wait has to call when it begins.
    pub(crate) fn canceller(
        &self,
        _token: CancelToken,
    ) -> impl Fn() -> io::Result<()> + Send + Sync + 'static {
        || Ok(())
    }

    /// Waits for the command to end.
    pub(crate) fn forward_until_end(self, child: &mut Child) -> io::Result<ExitStatus> {
        child.wait()
    }
}

/// No signal has a name.
pub(crate) fn name(_signal: i32) -> &'static str {
    "a signal"
}
