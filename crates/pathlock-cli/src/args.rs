//! The arguments, and the help that explains them.
//!
//! Paths and commands are taken as the bytes they are: a file name need not be UTF-8.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser};
use pathlock::{AnyLockFile, DefaultScheme, SCHEME_NAMES, Scheme, scheme_named};
use pathlock_sqlite::SqliteLockFile;

mod help;
mod run;

pub(crate) use run::{Fd, Patience, Run};

#[derive(Debug, Parser)]
#[command(name = "pathlock", version, about = summary(help::ABOUT), long_about = help::ABOUT)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    #[command(about = summary(help::RUN), long_about = help::RUN, after_long_help = help::AFTER_RUN)]
    Run(Run),
    #[command(about = summary(help::FD), long_about = help::FD, after_long_help = help::AFTER_FD)]
    Fd(Fd),
    #[command(about = summary(help::STATUS), long_about = help::STATUS, after_long_help = help::AFTER_STATUS)]
    Status(Status),
    #[command(about = summary(help::LIST), long_about = help::LIST, after_long_help = help::AFTER_LIST)]
    List(List),
    #[command(about = summary(help::WAIT), long_about = help::WAIT, after_long_help = help::AFTER_WAIT)]
    Wait(Wait),
    #[command(about = summary(help::BREAK), long_about = help::BREAK, after_long_help = help::AFTER_BREAK)]
    Break(Break),
    #[command(about = summary(help::DOCTOR), long_about = help::DOCTOR, after_long_help = help::AFTER_DOCTOR)]
    Doctor(Doctor),
    /// One of the processes of `doctor`
    #[command(hide = true)]
    DoctorWorker(DoctorWorker),
    #[command(about = summary(help::SCHEMES), long_about = help::SCHEMES)]
    Schemes(Schemes),
    #[command(about = summary(help::COMPLETIONS), long_about = help::COMPLETIONS)]
    Completions(Completions),
    #[command(about = summary(help::MAN), long_about = help::MAN)]
    Man(Man),
}

impl Subcommand {
    /// Whether failures are told as JSON too.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Subcommand::Run(args) => args.telling.json,
            Subcommand::Fd(args) => args.telling.json,
            Subcommand::Status(args) => args.json,
            Subcommand::List(args) => args.json,
            Subcommand::Wait(args) => args.json,
            Subcommand::Break(args) => args.json,
            Subcommand::Doctor(args) => args.json,
            Subcommand::Schemes(args) => args.json,
            Subcommand::DoctorWorker(_) | Subcommand::Completions(_) | Subcommand::Man(_) => false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) how: How,
    /// How many slots the lock has, to show how many of them are taken
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) slots: Option<u16>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Whose locks to show; SCHEME:PATH picks a scheme too
    #[arg(required = true, value_name = "PATH", value_parser = not_empty())]
    pub(crate) paths: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show lock files that nobody holds too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Where to look
    #[arg(value_name = "DIR", value_parser = not_empty(), default_value = ".")]
    pub(crate) directories: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) patience: Patience,
    #[command(flatten)]
    pub(crate) how: How,
    /// Say nothing about waiting; errors are still told
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Say it as JSON: one object a line, on stderr
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// Whose lock to wait for; SCHEME:PATH picks a scheme too
    #[arg(value_parser = not_empty())]
    pub(crate) path: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct Break {
    /// Remove it even if its owner lives, or may live
    #[arg(long)]
    pub(crate) force: bool,
    /// Remove it if this process is its owner, alive or not
    #[arg(long, value_name = "PID", conflicts_with = "force")]
    pub(crate) if_owner: Option<u32>,
    #[command(flatten)]
    pub(crate) how: How,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
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

#[derive(Debug, Args)]
pub(crate) struct Schemes {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Whose
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Where to; it is made if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// How a path is locked.
#[derive(Debug, Args)]
pub(crate) struct How {
    #[arg(
        long,
        help = format!("How to lock, see `pathlock schemes` [default: {}, or what PATH says]", DefaultScheme::default().name()),
        value_parser = PossibleValuesParser::new(scheme_names()),
    )]
    scheme: Option<String>,
    /// PATH is the lock file itself, not what it protects
    #[arg(long)]
    at: bool,
}

impl How {
    /// The lock on `path`, untouched as yet.
    pub(crate) fn open(&self, path: &OsStr) -> AnyLockFile {
        let lock = match (self.scheme.as_deref(), after(path, SQLITE)) {
            (Some(DATABASE), _) if self.at => in_database(&pathlock_sqlite::named(path, "")),
            (Some(DATABASE), _) => in_database(&pathlock_sqlite::open(path)),
            (Some(scheme), _) => match scheme_named(scheme) {
                Some(scheme) => AnyLockFile::with_scheme(path, scheme),
                None => AnyLockFile::open(path),
            },
            (None, Some(rest)) => in_database(&pathlock_sqlite::open(rest)),
            (None, None) => AnyLockFile::open(path),
        };
        if self.at && lock.scheme().name() != DATABASE {
            AnyLockFile::at_with_scheme(lock.path(), Arc::clone(lock.scheme()))
        } else {
            lock
        }
    }
}

/// The scheme that is not a file's, and what stands before its paths.
pub(crate) const DATABASE: &str = "sqlite";
const SQLITE: &str = "sqlite:";

/// All that `--scheme` takes.
fn scheme_names() -> impl Iterator<Item = &'static str> {
    SCHEME_NAMES.iter().copied().chain([DATABASE])
}

/// A lock in a database, as one whose scheme is chosen while the program runs.
fn in_database(lock: &SqliteLockFile) -> AnyLockFile {
    AnyLockFile::with_scheme(lock.path(), Arc::new(lock.scheme().clone()) as Arc<dyn Scheme>)
}

/// What follows `prefix` in a path.
fn after<'a>(path: &'a OsStr, prefix: &str) -> Option<&'a OsStr> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        path.as_bytes().strip_prefix(prefix.as_bytes()).map(OsStr::from_bytes)
    }
    #[cfg(not(unix))]
    {
        // There a name that is no Unicode has no scheme.
        path.to_str()?.strip_prefix(prefix).map(OsStr::new)
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
