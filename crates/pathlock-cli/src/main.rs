//! The command `pathlock`: run a command while holding a lock on a path, see who holds one, break
//! one.
//!
//! Each subcommand is a module with one function that returns an exit code, or a [`Failure`] with
//! the code and the reason. Nothing is set up that the subcommand at hand does not need: for a
//! lock that is free, the time this program adds is what its callers pay on every run.
//!
//! [`Failure`]: exit::Failure

#![forbid(unsafe_code)]

use clap::Parser;

mod args;
mod breaking;
mod doctor;
mod duration;
mod environment;
mod exit;
mod run;
mod say;
#[cfg_attr(unix, path = "signals/unix.rs")]
#[cfg_attr(not(unix), path = "signals/other.rs")]
mod signals;
mod status;
mod waiting;

use args::{Cli, Subcommand};

fn main() {
    let outcome = match Cli::try_parse() {
        Ok(cli) => match cli.subcommand {
            Subcommand::Run(args) => run::run(&args),
            Subcommand::Status(args) => status::status(&args),
            Subcommand::Break(args) => breaking::break_lock(&args),
            Subcommand::Doctor(args) => doctor::doctor(&args),
            Subcommand::DoctorWorker(args) => doctor::worker(&args),
        },
        Err(error) => Ok(exit::of_parsing(&error)),
    };
    // Not `ExitCode`, which has eight bits: exit codes on Windows have 32.
    std::process::exit(outcome.unwrap_or_else(|failure| {
        say::say(&failure.message);
        failure.code
    }));
}
