//! `cargo xtask targets`: type-checks the workspace for platforms that can't be run here.
//!
//! Set `RUSTC` to check with a compiler of your own, one that has the standard libraries at hand; rustup is
//! left alone then.

use std::env;
use std::fs;
use std::process::Command;

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::workspace::Workspace;
use crate::{program, wheel};

const TARGETS: &[&str] = &["x86_64-pc-windows-gnu", "aarch64-apple-darwin", "x86_64-unknown-freebsd"];

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let mut require = false;
    let mut targets = Vec::new();
    while let Some(word) = args.next() {
        match word.as_str() {
            "--require" => require = true,
            option if option.starts_with('-') => return Err(Args::unknown(option)),
            _ => targets.push(word),
        }
    }
    if targets.is_empty() {
        targets = TARGETS.iter().map(|&target| target.to_owned()).collect();
    }

    let mut report = String::new();
    let mut faults = Vec::new();
    for target in &targets {
        let outcome = if !has_std(target) && !added(target) {
            if require {
                faults.push(format!("{target} was to be checked and could not be"));
            }
            format!("not checked: no standard library for {target}")
        } else if let Err(failure) = check(workspace, target) {
            faults.push(failure.to_string());
            format!("failed: {target}")
        } else {
            format!("checked: {target}")
        };
        report += &format!("{outcome}\n");
    }
    match wheel::check_free_threaded(workspace) {
        Ok(()) => report += "checked: the Python module for free-threaded Python\n",
        Err(failure) => faults.push(failure.to_string()),
    }
    print!("\n{report}");
    if faults.is_empty() { Ok(()) } else { Err(Failure::new(faults.join("\n  "))) }
}

/// Apart from the ordinary output: with a `RUSTC` of its own each run would undo the builds of the other.
fn check(workspace: &Workspace, target: &str) -> Result<()> {
    let target_dir = workspace.target().join("targets");
    // There is no C compiler for these: nothing is linked, so that no SQLite is found does no harm.
    let arguments = ["check", "--workspace", "--no-default-features", "--target", target];
    let nowhere = target_dir.join("no-sqlite");
    let mut command = workspace.cargo();
    command.args(arguments).env("CARGO_TARGET_DIR", &target_dir).env("SQLITE3_LIB_DIR", nowhere);
    program::run(&mut command)
}

fn has_std(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libdir = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    let Ok(libdir) = libdir else { return false };
    let libdir = String::from_utf8_lossy(&libdir.stdout).trim().to_owned();
    let Ok(files) = fs::read_dir(libdir) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd"))
}

/// Asks rustup for the target, once.
fn added(target: &str) -> bool {
    if env::var_os("RUSTC").is_some() || program::find("rustup").is_none() {
        return false;
    }
    if let Err(failure) = program::run(Command::new("rustup").args(["target", "add", target])) {
        eprintln!("xtask: {failure}");
    }
    has_std(target)
}
