//! `cargo xtask lint`: what can be judged without running the product. All checks run, then all failures
//! are told, so that one round of mending is enough.

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;
use crate::{house, program};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    let checks = [
        (
            "formatting (`cargo fmt` mends it)",
            program::run(workspace.cargo().args(["fmt", "--all", "--check"])),
        ),
        ("clippy", program::run(workspace.cargo().args(clippy))),
        ("documentation", doc(workspace)),
        ("house rules", house::check(workspace.root())),
    ];
    let failures: Vec<_> = checks
        .into_iter()
        .filter_map(|(check, outcome)| outcome.err().map(|failure| format!("{check}: {failure}")))
        .collect();
    if failures.is_empty() {
        eprintln!("\nxtask: nothing to complain about");
        return Ok(());
    }
    Err(Failure::new(format!("lint found faults:\n  {}", failures.join("\n  "))))
}

/// Builds the documentation; a broken link or a missing sentence is an error.
pub(crate) fn doc(workspace: &Workspace) -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps"];
    program::run(workspace.cargo().args(arguments).env("RUSTDOCFLAGS", "-Dwarnings"))
}
