//! `cargo xtask test`: everything the tests need, then every test.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::test_dirs::TestDirs;
use crate::workspace::Workspace;
use crate::{program, python, tools, wheel};

pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let args = args.passed_on()?;
    let began = Instant::now();

    tools::ensure()?;
    let python = python::ensure(workspace)?;
    let dirs = TestDirs::create(workspace)?;
    let set_up = Instant::now();

    program::run(workspace.cargo().args(["build", "--workspace", "--all-targets"]))?;
    let built = Instant::now();

    let mut cargo_test = workspace.cargo();
    cargo_test.args(["test", "--no-fail-fast"]);
    // Named packages would count for nothing next to `--workspace`.
    let mut for_cargo = args.iter().take_while(|arg| *arg != "--");
    let all = !for_cargo.any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    if all {
        cargo_test.arg("--workspace");
    }
    cargo_test.args(&args).env("PATHLOCK_TEST_PYTHON", &python).env("PATHLOCK_TEST_DIRS", dirs.joined()?);
    let (counts, outcome) = run_and_count(&mut cargo_test)?;
    let tested = Instant::now();
    // Arguments choose among the tests of Rust.
    let pythons = if args.is_empty() { wheel::test(workspace, &dirs, &[]) } else { Ok(()) };

    println!("\nsummary");
    println!("  Rust:        {} passed, {} failed, {} ignored", counts.passed, counts.failed, counts.ignored);
    println!("  Python:      {}", if args.is_empty() { verdict(&pythons) } else { "not run" });
    println!("  directories: {}", dirs.described());
    println!(
        "  time:        {} (set-up {}, build {}, tests {}, Python {})",
        seconds(began.elapsed()),
        seconds(set_up - began),
        seconds(built - set_up),
        seconds(tested - built),
        seconds(tested.elapsed())
    );
    outcome.and(pythons)
}

fn verdict(outcome: &Result<()>) -> &'static str {
    if outcome.is_ok() { "passed" } else { "failed" }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds what one test binary says at its end: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let words: Vec<_> = result.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed;" => self.passed += number,
                "failed;" => self.failed += number,
                "ignored;" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Shows what the tests print while it counts them.
fn run_and_count(command: &mut Command) -> Result<(Counts, Result<()>)> {
    program::announce(command);
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| program::not_started(command, &error))?;
    let mut counts = Counts::default();
    let unreadable = |error| Failure::new(format!("the output of `{}`: {error}", program::shown(command)));
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        counts.add(&text);
        line.clear();
    }
    let status = child.wait().map_err(unreadable)?;
    let outcome =
        if status.success() { Ok(()) } else { Err(Failure::program(&program::shown(command), status)) };
    Ok((counts, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_all_binaries_are_added_up() {
        let mut counts = Counts::default();
        counts.add("running 9 tests");
        counts.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s",
        );
        counts.add("test result: \u{1b}[31mFAILED\u{1b}[m. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(counts, Counts { passed: 5, failed: 4, ignored: 1 }, "coloured or not, each line counts");
    }
}
