//! The arguments of `run` and `fd`, which share flock(1)'s.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, ValueEnum};
use pathlock::{Mode, Timeout};

use super::{How, not_empty};
use crate::duration;
use crate::exit;

/// How long to wait, and what to do in vain.
#[derive(Debug, Args)]
pub(crate) struct Patience {
    /// Do not wait: exit 75 at once if the lock is held
    #[arg(short = 'n', long = "no-wait", visible_alias = "nonblock", alias = "nb", conflicts_with = "wait")]
    no_wait: bool,
    /// Wait no longer than this: 1.5, 90s, 5m, 500ms; 0 does not wait [default: wait for ever]
    #[arg(
        short = 'w',
        long,
        visible_alias = "timeout",
        value_name = "SECS",
        value_parser = duration::parse,
        allow_hyphen_values = true
    )]
    wait: Option<Timeout>,
    /// Exit with this code, not 75, if the lock is busy
    #[arg(
        short = 'E',
        long = "busy-code",
        visible_alias = "conflict-exit-code",
        value_name = "CODE",
        default_value_t = exit::BUSY as u8,
        allow_negative_numbers = true,
        hide_default_value = true
    )]
    busy_code: u8,
}

impl Patience {
    pub(crate) fn timeout(&self) -> Timeout {
        if self.no_wait { Timeout::NoWait } else { self.wait.unwrap_or(Timeout::Never) }
    }

    pub(crate) fn busy_code(&self) -> i32 {
        self.busy_code.into()
    }
}

/// Whether others may hold the lock at the same time.
#[derive(Debug, Args)]
pub(crate) struct Sharing {
    /// For readers: any number of them hold the lock at once (schemes mkdir, flock, ofd and sqlite)
    #[arg(short, long, conflicts_with = "exclusive")]
    shared: bool,
    /// For writers, and the default: nobody else holds the lock
    #[arg(short = 'x', long, short_alias = 'e')]
    exclusive: bool,
}

impl Sharing {
    pub(crate) fn mode(&self) -> Mode {
        if self.shared { Mode::Shared } else { Mode::Exclusive }
    }
}

/// What is told.
#[derive(Debug, Args)]
pub(crate) struct Telling {
    /// Say nothing about waiting; errors are still told
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say how long it took to get the lock, and when it is let go
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Say it as JSON: one object a line, on stderr
    #[arg(long, conflicts_with_all = ["verbose", "quiet"])]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnBusy {
    /// Exit 75, or as -E says
    Fail,
    /// Do not wait, say in one line who holds the lock, and exit 0
    Skip,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) sharing: Sharing,
    /// Let so many run at once, each in a slot of its own (schemes mkdir, flock and ofd)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), conflicts_with_all = ["shared", "exclusive"])]
    pub(crate) slots: Option<u16>,
    #[command(flatten)]
    pub(crate) how: How,
    /// What to do if the lock is busy
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnBusy::Fail)]
    on_busy: OnBusy,
    /// Do not let the command inherit the lock: it is killed if pathlock is
    #[arg(short = 'o', long)]
    pub(crate) close: bool,
    /// Run this line with $SHELL, or /bin/sh, instead of a command after `--`
    #[arg(short = 'c', long = "command", value_name = "LINE", conflicts_with = "words")]
    line: Option<OsString>,
    /// End the command with TERM after this time, and exit 124. It gets a process group of its own
    #[arg(long, value_name = "SECS", value_parser = duration::parse_some, allow_hyphen_values = true)]
    pub(crate) max_run: Option<Duration>,
    /// End it with KILL this time after the first TERM, be it passed on or that of --max-run
    #[arg(long, value_name = "SECS", value_parser = duration::parse_some, allow_hyphen_values = true)]
    pub(crate) kill_after: Option<Duration>,
    #[command(flatten)]
    pub(crate) telling: Telling,
    /// What to lock; it need not exist. SCHEME:PATH picks a scheme too. Several: all or none
    #[arg(value_parser = not_empty(), required = true, value_name = "PATH")]
    pub(crate) paths: Vec<OsString>,
    /// What to run, after `--`
    #[arg(last = true, value_name = "CMD", required_unless_present = "line")]
    words: Vec<OsString>,
}

impl Run {
    pub(crate) fn timeout(&self) -> Timeout {
        if self.skips() { Timeout::NoWait } else { self.patience.timeout() }
    }

    /// Whoever has one of many slots is not alone.
    pub(crate) fn mode(&self) -> Mode {
        if self.slots.is_some() { Mode::Shared } else { self.sharing.mode() }
    }

    pub(crate) fn skips(&self) -> bool {
        self.on_busy == OnBusy::Skip
    }

    /// The program and its arguments.
    pub(crate) fn command(&self) -> (OsString, Vec<OsString>) {
        if let Some(line) = &self.line {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            return (shell.unwrap_or_else(|| "/bin/sh".into()), vec!["-c".into(), line.clone()]);
        }
        (self.words[0].clone(), self.words[1..].to_vec())
    }

    /// The command on one line, as the lock's record shows it.
    pub(crate) fn command_line(&self) -> String {
        let words: Vec<_> = match &self.line {
            Some(line) => vec![line.to_string_lossy()],
            None => self.words.iter().map(|word| word.to_string_lossy()).collect(),
        };
        words.join(" ")
    }
}

#[derive(Debug, Args)]
pub(crate) struct Fd {
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) sharing: Sharing,
    /// Let the lock go
    #[arg(short, long, conflicts_with_all = ["shared", "exclusive", "no_wait", "wait"])]
    pub(crate) unlock: bool,
    #[command(flatten)]
    pub(crate) telling: Telling,
    /// The number of the descriptor
    #[arg(value_name = "FD", value_parser = descriptor, allow_negative_numbers = true)]
    pub(crate) number: i32,
}

fn descriptor(text: &str) -> Result<i32, &'static str> {
    let number = text.parse().ok().filter(|number| *number >= 0);
    number.ok_or("give the number of a file that the shell has open, as after: exec 9>FILE")
}
