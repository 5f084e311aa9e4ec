//! The arguments, and the help that explains them.
//!
//! Paths and commands are taken as the bytes they are: a file name need not be UTF-8.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};
use pathlock::{AnyLockFile, DefaultScheme, SCHEME_NAMES, Scheme, Timeout, scheme_named};

use crate::duration;
use crate::exit;

const ABOUT: &str = "\
Lock files that always come free.

Examples:
  pathlock run backup.db -- rsync -a backup.db host:
      hold a lock on backup.db while rsync runs
  pathlock status backup.db
      who holds it?
  pathlock break backup.db
      remove a lock that its owner has left behind
  pathlock doctor /srv
      do locks work in this directory?";

const ABOUT_RUN: &str = "\
Run a command while holding a lock.

Examples:
  pathlock run backup.db -- rsync -a backup.db host:
      wait for the lock, then run rsync
  pathlock run -n nightly -- ./nightly.sh
      do not wait: exit 75 if another run holds the lock
  pathlock run -w 1.5m deploy -- make deploy
      wait for 90 seconds at most
  pathlock run build -- sh -c 'make && make install'
      hold the lock for a line of shell
  pathlock run --scheme flock --at /run/lock/job -- job
      share the lock file of flock(1)";

const AFTER_RUN: &str = "\
Exit status: that of the command, or
  64     the arguments make no sense
  73     the lock file can't be made or used
  75     the lock is busy, also after waiting (-E sets another code)
  76     the command succeeded, but its lock was broken while it ran
  126    the command was found, but can't be run
  127    the command was not found
  128+N  signal N ended the command, or the wait for the lock

The command inherits the lock: if pathlock itself is killed, the lock stays held until
the command has ended. (With the scheme symlink, the command is killed instead.)
TERM, INT, HUP, QUIT, USR1 and USR2 are passed on to the command.

The command finds in its environment
  PATHLOCK_PATH     the path that is locked, absolute
  PATHLOCK_MODE     exclusive
  PATHLOCK_HELD     the lock files held by this run and those around it
  PATHLOCK_HELD_BY  the pids of those runs, in the same order";

const ABOUT_STATUS: &str = "\
Show whether paths are locked, and who holds them.

Examples:
  pathlock status backup.db
  pathlock status backup.db && echo free

Each line says free, held, stale (its owner is proven dead: the next who comes takes it
over) or unknown (its owner can't be judged from here, so it counts as held).";

const AFTER_STATUS: &str = "\
Exit status:
  0   every path is free or stale, and can be locked
  1   a path is held, or unknown
  64  the arguments make no sense
  73  a lock file can't be read";

const ABOUT_BREAK: &str = "\
Remove the lock on a path, and do nothing to its owner.

Examples:
  pathlock break backup.db
      remove it if its owner is proven dead
  pathlock break --force backup.db
      remove it whoever holds it: make sure that nothing runs any more

A lock that changes hands in the meantime is left alone.";

const AFTER_BREAK: &str = "\
Exit status:
  0   there is no lock any more, or there was none
  64  the arguments make no sense
  73  the lock file can't be read or removed
  75  it is held, or may be: nothing was removed";

const ABOUT_DOCTOR: &str = "\
Try which schemes work in a directory.

Examples:
  pathlock doctor
      here
  pathlock doctor /mnt/share
      in this directory, on whatever filesystem it is
  pathlock doctor --json /mnt/share
      one JSON object a line: the directory, each scheme, the advice

A few processes contend for locks of each scheme in a new directory below it, for a few
seconds in all, and some of them are killed. That new directory is removed at the end.";

const AFTER_DOCTOR: &str = "\
Each line of the table shows
  excludes?            yes, NO (two held the lock at once), unsupported, failed or unknown
  kill -9 of a holder  how long until another had the lock (the slowest of a few), or whether
                       the lock was left behind
  wake                 from just before a release until one that waited had the lock (median)

Only processes of this host are tried: what other hosts do on a network filesystem, and
what a failing server does, it can't tell.

Exit status:
  0      the default scheme excludes there
  1      the default scheme does not: the last line says which to use
  64     the arguments make no sense
  73     nothing can be tried there
  128+N  signal N ended it";

#[derive(Debug, Parser)]
#[command(name = "pathlock", version, about = summary(ABOUT), long_about = ABOUT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    #[command(about = summary(ABOUT_RUN), long_about = ABOUT_RUN, after_long_help = AFTER_RUN)]
    Run(Run),
    #[command(about = summary(ABOUT_STATUS), long_about = ABOUT_STATUS, after_long_help = AFTER_STATUS)]
    Status(Status),
    #[command(about = summary(ABOUT_BREAK), long_about = ABOUT_BREAK, after_long_help = AFTER_BREAK)]
    Break(Break),
    #[command(about = summary(ABOUT_DOCTOR), long_about = ABOUT_DOCTOR, after_long_help = AFTER_DOCTOR)]
    Doctor(Doctor),
    /// One of the processes of `doctor`
    #[command(hide = true)]
    DoctorWorker(DoctorWorker),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Do not wait: exit 75 at once if the lock is held
    #[arg(short = 'n', long = "no-wait", conflicts_with = "wait")]
    no_wait: bool,
    /// Wait no longer than this: 1.5, 90s, 5m, 500ms; 0 does not wait [default: wait for ever]
    #[arg(short = 'w', long, value_name = "SECS", value_parser = duration::parse, allow_hyphen_values = true)]
    wait: Option<Timeout>,
    #[command(flatten)]
    pub(crate) how: How,
    /// Exit with this code, not 75, if the lock is busy
    #[arg(short = 'E', long = "busy-code", value_name = "CODE", default_value_t = exit::BUSY as u8, hide_default_value = true)]
    busy_code: u8,
    /// Say nothing about waiting; errors are still told
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// What to lock; it need not exist. SCHEME:PATH picks a scheme too
    #[arg(value_parser = not_empty())]
    pub(crate) path: OsString,
    /// What to run, after `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

impl Run {
    pub(crate) fn timeout(&self) -> Timeout {
        if self.no_wait { Timeout::NoWait } else { self.wait.unwrap_or(Timeout::Never) }
    }

    pub(crate) fn busy_code(&self) -> i32 {
        self.busy_code.into()
    }

    /// The command on one line, as the lock's record shows it.
    pub(crate) fn command_line(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) how: How,
    /// Whose locks to show; SCHEME:PATH picks a scheme too
    #[arg(required = true, value_name = "PATH", value_parser = not_empty())]
    pub(crate) paths: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Break {
    /// Remove it even if its owner lives, or may live
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) how: How,
    /// Whose lock to remove; SCHEME:PATH picks a scheme too
    #[arg(value_parser = not_empty())]
    pub(crate) path: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// The directory to try
    #[arg(value_name = "DIR", default_value = ".", value_parser = not_empty())]
    pub(crate) directory: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorWorker {
    #[arg(value_parser = PossibleValuesParser::new(SCHEME_NAMES))]
    pub(crate) scheme: String,
    pub(crate) lock_file: OsString,
}

/// How a path is locked.
#[derive(Debug, Args)]
pub(crate) struct How {
    #[arg(
        long,
        help = format!("How to lock [default: {}, or what PATH says]", DefaultScheme::default().name()),
        value_parser = PossibleValuesParser::new(SCHEME_NAMES),
    )]
    scheme: Option<String>,
    /// PATH is the lock file itself, not what it protects
    #[arg(long)]
    at: bool,
}

impl How {
    /// The lock on `path`, untouched as yet.
    pub(crate) fn open(&self, path: &OsStr) -> AnyLockFile {
        let lock = match self.scheme.as_deref().and_then(scheme_named) {
            Some(scheme) => AnyLockFile::with_scheme(path, scheme),
            None => AnyLockFile::open(path),
        };
        if self.at { AnyLockFile::at_with_scheme(lock.path(), Arc::clone(lock.scheme())) } else { lock }
    }
}

/// A path, as whatever bytes. The empty one is what an unset variable of a script leaves.
fn not_empty() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new()
        .try_map(|path| if path.is_empty() { Err("a path can't be empty") } else { Ok(path) })
}

/// The first line of a help text, for lists and `-h`.
fn summary(about: &'static str) -> &'static str {
    about.split('\n').next().unwrap_or(about).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_agree_with_each_other() {
        use clap::CommandFactory;
        super::Cli::command().debug_assert();
    }
}
