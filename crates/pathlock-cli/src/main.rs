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
mod fd;
mod json;
mod list;
mod run;
mod say;
mod schemes;
mod shell;
#[cfg_attr(unix, path = "signals/unix.rs")]
#[cfg_attr(not(unix), path = "signals/other.rs")]
mod signals;
mod status;
mod wait;
mod waiting;

use args::{Cli, Subcommand};

fn main() {
    let code = match Cli::try_parse() {
        Ok(cli) => {
            run_subcommand(&cli.subcommand).unwrap_or_else(|failure| failure.tell(cli.subcommand.is_json()))
        }
        Err(error) => exit::of_parsing(error),
    };
    // Not `ExitCode`, which has eight bits: exit codes on Windows have 32.
    std::process::exit(code);
}

fn run_subcommand(subcommand: &Subcommand) -> Result<i32, exit::Failure> {
    match subcommand {
        Subcommand::Run(args) => run::run(args),
        Subcommand::Fd(args) => fd::fd(args),
        Subcommand::Status(args) => status::status(args),
        Subcommand::List(args) => list::list(args),
        Subcommand::Wait(args) => wait::wait(args),
        Subcommand::Break(args) => breaking::break_lock(args),
        Subcommand::Doctor(args) => doctor::doctor(args),
        Subcommand::DoctorWorker(args) => doctor::worker(args),
        Subcommand::Schemes(args) => schemes::schemes(args),
        Subcommand::Completions(args) => shell::completions(args),
        Subcommand::Man(args) => shell::man(args),
    }
}
