//! `cargo xtask verify`: the long run that tries to break exclusion, scheme by scheme and directory by
//! directory, and a table of what came of it.
//!
//! One violation fails the run. So does a run that acquired nothing: it would have proved nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::program;
use crate::test_dirs::TestDirs;
use crate::workspace::Workspace;

const SCHEMES: &str = "link,symlink,mkdir,pid,flock,ofd,sqlite,mkdir+readers,flock+readers,ofd+readers,sqlite+readers,mkdir+slots3,flock+slots3,ofd+slots3,link+futures,symlink+futures,flock+futures";
const COLUMNS: &[&str] = &["scheme", "fs", "seconds", "acquisitions", "kills", "recovered", "violations"];

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let mut seconds = 60;
    let mut schemes = SCHEMES.to_owned();
    let mut dirs = Vec::new();
    while let Some(option) = args.next() {
        match option.as_str() {
            "--seconds" => seconds = whole_seconds(&args.value(&option)?)?,
            "--schemes" => schemes = args.value(&option)?,
            "--dirs" => dirs = std::env::split_paths(&args.value(&option)?).collect(),
            _ => return Err(Args::unknown(&option)),
        }
    }

    program::run(workspace.cargo().args(["build", "--release", "--workspace", "--bin", "pathlock-verify"]))?;
    let auditor =
        workspace.target().join("release").join(format!("pathlock-verify{}", std::env::consts::EXE_SUFFIX));

    // Our own directories must outlive the last run.
    let own_dirs = if dirs.is_empty() { Some(TestDirs::create(workspace)?) } else { None };
    if let Some(own) = &own_dirs {
        dirs = own.iter().map(Path::to_owned).collect();
    }

    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for dir in &dirs {
        for scheme in schemes.split(',') {
            match exclusion(&auditor, scheme, dir, seconds) {
                Ok(run) => {
                    faults.extend(
                        run.faults().map(|fault| format!("{scheme} in `{}`: {fault}", dir.display())),
                    );
                    rows.push(run.row());
                }
                Err(failure) => faults.push(format!("{scheme} in `{}`: {failure}", dir.display())),
            }
        }
    }

    println!("\n| {} |\n|{}", COLUMNS.join(" | "), " --- |".repeat(COLUMNS.len()));
    rows.iter().for_each(|row| println!("{row}"));
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("not proved:\n  {}", faults.join("\n  "))))
    }
}

fn whole_seconds(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|_| Failure::usage(format!("`--seconds {text}`: a whole number of seconds is needed")))
}

fn exclusion(auditor: &PathBuf, scheme: &str, dir: &Path, seconds: u64) -> Result<Run> {
    let mut command = Command::new(auditor);
    command
        .args(["exclusion", "--scheme", scheme, "--dir"])
        .arg(dir)
        .args(["--seconds", &seconds.to_string()]);
    program::announce(&command);
    // The auditor may exit with an error and still say what it found: the line is judged first.
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| program::not_started(&command, &error))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.lines().rev().find_map(Run::parse) {
        Some(run) if output.status.success() || run.faults().next().is_some() => Ok(run),
        Some(_) => Err(Failure::program(&program::shown(&command), output.status)),
        None => Err(Failure::new(format!(
            "`{}` ({}) printed no line that begins with `scheme=`",
            program::shown(&command),
            output.status
        ))),
    }
}

/// What one run found: the `key=value` words of its line.
struct Run(HashMap<String, String>);

impl Run {
    fn parse(line: &str) -> Option<Self> {
        let words = line.trim().starts_with("scheme=").then(|| line.split_whitespace())?;
        let pairs = words.filter_map(|word| word.split_once('='));
        Some(Self(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }

    fn word(&self, key: &str) -> &str {
        self.0.get(key).map_or("?", String::as_str)
    }

    fn row(&self) -> String {
        format!("| {} |", COLUMNS.iter().map(|key| self.word(key)).collect::<Vec<_>>().join(" | "))
    }

    fn faults(&self) -> impl Iterator<Item = String> {
        let violated = match self.word("violations") {
            "0" => None,
            count => Some(format!("violations={count}: two held the lock at once")),
        };
        let idle = match self.word("acquisitions").parse::<u64>() {
            Ok(1..) => None,
            _ => Some("the lock was never acquired, so nothing was tested".to_owned()),
        };
        violated.into_iter().chain(idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "scheme=link fs=ext4 seconds=60 acquisitions=900 kills=30 violations=0 recovered=29";

    fn faults(line: &str) -> usize {
        Run::parse(line).expect("a line of results").faults().count()
    }

    #[test]
    fn a_line_of_results_becomes_a_row() {
        let run = Run::parse(SOUND).expect("a line of results");
        assert_eq!(run.row(), "| link | ext4 | 60 | 900 | 30 | 29 | 0 |", "in the order of the columns");
        assert!(Run::parse("warming up").is_none(), "other lines are not results");
    }

    #[test]
    fn a_violation_or_an_idle_run_is_a_fault() {
        assert_eq!(faults(SOUND), 0, "nothing is wrong with it");
        assert_eq!(
            faults(&SOUND.replace("violations=0", "violations=1")),
            1,
            "one violation is one too many"
        );
        assert_eq!(faults(&SOUND.replace("violations=0", "")), 1, "a missing count is not a zero");
        assert_eq!(faults(&SOUND.replace("=900", "=0")), 1, "a run without acquisitions proves nothing");
    }
}
