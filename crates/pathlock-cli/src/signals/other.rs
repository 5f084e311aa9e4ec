//! Signals, where there are none: Ctrl-C reaches the command from its console, as it reaches us.

use std::fs::File;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

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

    /// Waits for the command to end. A limit to its time can't be kept here.
    pub(crate) fn forward_until_end(
        self,
        child: &mut Child,
        limits: Limits,
    ) -> io::Result<(ExitStatus, bool)> {
        let Limits { max_run, kill_after, group } = limits;
        if max_run.is_some() || kill_after.is_some() || group {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok((child.wait()?, false))
    }
}

/// What ends a command that does not end by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_run: Option<Duration>,
    pub(crate) kill_after: Option<Duration>,
    pub(crate) group: bool,
}

/// There are no process groups.
pub(crate) fn give_own_group(_command: &mut Command) {}

/// No open file is inherited.
pub(crate) fn let_inherit(_file: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No signal has a name.
pub(crate) fn name(_signal: i32) -> &'static str {
    "a signal"
}
