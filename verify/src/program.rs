//! `pathlock-verify exclusion --scheme S --dir D --seconds N`: tries to break the exclusion of one
//! scheme in one directory, and prints what came of it on one line. With `--broken` in place of
//! `--scheme S` a scheme that is broken on purpose, to show that a violation would be seen.
//!
//! Exits with 0 when all claims held, 1 when one did not, 2 when the run could not be made. The
//! other subcommands are the processes of such runs and of the tests.

use std::process::ExitCode;
use std::time::Duration;

use crate::args::Args;
use crate::worker::{self, Orders};
use crate::{cycle, exclusion};

const USAGE: &str = "usage: pathlock-verify exclusion (--scheme S | --broken) --dir D [--seconds N] \
                     [--workers N] [--one-dies-in N]";
/// More faults than this are not worth reading.
const MOST_SHOWN: usize = 20;

/// Does what the arguments of this process say.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let command = words.next().unwrap_or_default();
    let args = Args::parse(words, exclusion::Plan::FLAGS);
    let result = args.and_then(|args| match command.to_str() {
        Some("exclusion") => exclude(&args),
        Some("worker") => worker::work(&Orders::parse(&args)?).map(|()| ExitCode::SUCCESS),
        Some("holder") => hold_until_death(&args),
        Some("visitor") => visit(&args),
        Some("cycle") => cycle::run(&args),
        Some("break") => cycle::break_lock(&args),
        _ => Err(USAGE.to_owned()),
    });
    result.unwrap_or_else(|message| {
        eprintln!("pathlock-verify: {message}");
        ExitCode::from(2)
    })
}

fn exclude(args: &Args) -> Result<ExitCode, String> {
    let outcome = exclusion::run(&exclusion::Plan::parse(args)?).map_err(|error| error.to_string())?;
    println!("{outcome}");
    let faults = outcome.faults();
    faults.iter().take(MOST_SHOWN).for_each(|fault| eprintln!("{fault}"));
    if faults.len() > MOST_SHOWN {
        eprintln!("and {} more", faults.len() - MOST_SHOWN);
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Acquires the lock and is killed with it.
fn hold_until_death(args: &Args) -> Result<ExitCode, String> {
    let lock = crate::lock(&args.text("scheme")?, &args.path("path")?)?;
    let _guard = lock.acquire_within(Duration::from_secs(5)).map_err(|error| error.to_string())?;
    worker::die()
}

/// Acquires the lock within a second and releases it.
fn visit(args: &Args) -> Result<ExitCode, String> {
    let lock = crate::lock(&args.text("scheme")?, &args.path("path")?)?;
    let guard = lock.acquire_within(Duration::from_secs(1)).map_err(|error| error.to_string())?;
    guard.release().map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}
