//! The chores of this repository, run as `cargo xtask …`.
//!
//! A chore does all its own set-up and says plainly what it could not do: a check that is skipped in
//! silence looks just like a check that passed. Nothing here is part of the product.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod dist;
mod failure;
mod house;
mod lint;
mod program;
mod python;
mod targets;
mod test;
mod test_dirs;
mod tools;
mod verify;
mod wheel;
mod workspace;

use std::process::ExitCode;

use args::Args;
use failure::{Failure, Result};
use workspace::Workspace;

const HELP: &str = "\
The chores of the Pathlock repository.

usage: cargo xtask CHORE [OPTIONS]

  test [-- ARGS]     set up what the tests need, then run every test: unit, integration and doc tests
                     ARGS go to `cargo test`, as in `cargo xtask test -- -p pathlock --test schemes`
  python [-- ARGS]   the part of it that is Python's: build the wheel, install it into a fresh environment, run
                     its tests; ARGS go to pytest, as in `cargo xtask python -- test_lock.py -k reader`
  wheel              build the Python package into target/wheels
  verify             the long run: many processes, killed at random, must never hold a lock together
    --seconds N        how long each scheme runs in each directory (60)
    --schemes A,B      which schemes (link,symlink,mkdir,pid,flock,ofd)
    --dirs A:B         where (a directory on disk and one on tmpfs)
  lint               formatting, clippy, documentation, house rules
  targets            type-check for the platforms that can't be run here
    --require          fail when a platform can't be checked
    TARGET…            which ones (x86_64-pc-windows-gnu, aarch64-apple-darwin, x86_64-unknown-freebsd)
  doc                build the documentation; a warning is an error
  man                write the manual pages into target/man
  dist               build what is given to people into target/dist: the command (on Linux without shared
                     libraries), manual pages, completions
  bench              measure what a lock costs, beside the bare system calls and every peer, and write the report
    --quick            less of everything: minutes, and figures that say less
    --only A,B         parts alone (cycle,hand-over,fairness,waiting,scale,command); the others stay as they are
    --out DIR          where (bench)
  help               this text
";

fn main() -> ExitCode {
    match run(Args::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            failure.exit_code()
        }
    }
}

fn run(mut args: Args) -> Result<()> {
    let workspace = Workspace::find()?;
    match args.next().as_deref() {
        Some("test") => test::run(&workspace, args),
        Some("python") => wheel::run(&workspace, args),
        Some("bench") => bench::run(&workspace, args),
        Some("wheel") => args.finish().and_then(|()| wheel::wheel(&workspace)),
        Some("verify") => verify::run(&workspace, args),
        Some("lint") => args.finish().and_then(|()| lint::run(&workspace)),
        Some("targets") => targets::run(&workspace, args),
        Some("doc") => args.finish().and_then(|()| lint::doc(&workspace)),
        Some("man") => args.finish().and_then(|()| dist::man(&workspace)),
        Some("dist") => args.finish().and_then(|()| dist::dist(&workspace)),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => Err(Failure::usage(format!("there is no chore `{other}`"))),
        None => Err(Failure::usage("which chore?")),
    }
}
