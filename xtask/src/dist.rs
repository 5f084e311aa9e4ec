//! `cargo xtask man` and `cargo xtask dist`: what a packager takes; `cargo xtask start-up`: what it costs
//! to start.
//!
//! On Linux the command is linked statically: it then runs in any container, and starts faster, as
//! the dynamic loader takes a third of the time of a short run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::program;
use crate::workspace::Workspace;

const SHELLS: [(&str, &str); 3] =
    [("bash", "pathlock.bash"), ("zsh", "_pathlock"), ("fish", "pathlock.fish")];

/// Writes the manual pages into `target/man`.
pub(crate) fn man(workspace: &Workspace) -> Result<()> {
    let directory = workspace.target().join("man");
    let build = ["run", "--quiet", "--package", "pathlock-cli", "--", "man"];
    program::run(workspace.cargo().args(build).arg(&directory))?;
    println!("{}", directory.display());
    Ok(())
}

/// Makes `target/dist`: the command, its manual pages and its completions.
pub(crate) fn dist(workspace: &Workspace) -> Result<()> {
    let directory = workspace.target().join("dist");
    let command = build(workspace)?;
    fs::create_dir_all(&directory).map_err(|error| cannot("make", &directory, &error))?;
    let copy = directory.join(command.file_name().unwrap_or_default());
    fs::copy(&command, &copy).map_err(|error| cannot("write", &copy, &error))?;
    program::run(Command::new(&copy).arg("man").arg(directory.join("man")))?;
    for (shell, name) in SHELLS {
        let script = program::output(Command::new(&copy).args(["completions", shell]))?;
        let path = directory.join(name);
        fs::write(&path, script).map_err(|error| cannot("write", &path, &error))?;
    }
    println!("{}", directory.display());
    Ok(())
}

/// Builds the command as it is given to people, and says where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let name = format!("pathlock{}", std::env::consts::EXE_SUFFIX);
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "pathlock-cli"]);
    if !cfg!(target_os = "linux") {
        program::run(&mut cargo)?;
        return Ok(workspace.target().join("release").join(name));
    }
    // With a target of its own, so that the flag is not for procedural macros, which are libraries
    // that the compiler loads.
    let about = program::output(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure::new("`rustc -vV` does not name its host"))?;
    let flags = format!("target.{host}.rustflags=[\"-C\", \"target-feature=+crt-static\"]");
    program::run(cargo.args(["--target", host, "--config", &flags]))?;
    Ok(workspace.target().join(host).join("release").join(name))
}

/// Runs `pathlock run` and flock(1) in turns, each with `true`, and prints how their times compare.
pub(crate) fn start_up(workspace: &Workspace, mut args: Args) -> Result<()> {
    let mut pairs = 500;
    while let Some(word) = args.next() {
        match word.as_str() {
            "--pairs" => {
                let value = args.value("--pairs")?;
                pairs = value.parse().map_err(|_| Failure::usage(format!("`{value}` is no number")))?;
            }
            _ => return Err(Args::unknown(&word)),
        }
    }
    let dist = build(workspace)?;
    program::run(workspace.cargo().args(["build", "--release", "--package", "pathlock-cli"]))?;
    let plain = workspace.target().join("release/pathlock");
    let directory = workspace.target().join("start-up");
    fs::create_dir_all(&directory).map_err(|error| cannot("make", &directory, &error))?;

    let link = ["run", "f", "--", "true"];
    let flock = ["run", "--scheme", "flock", "g", "--", "true"];
    let contestants: [(&str, &Path, &[&str]); 6] = [
        ("flock f true", Path::new("flock"), &["f", "true"]),
        ("pathlock run f -- true (dist)", &dist, &link),
        ("pathlock run --scheme flock f -- true (dist)", &dist, &flock),
        ("pathlock run f -- true (cargo build)", &plain, &link),
        ("pathlock run --scheme flock f -- true (cargo build)", &plain, &flock),
        ("true", Path::new("true"), &[]),
    ];
    let mut times = vec![Vec::with_capacity(pairs); contestants.len()];
    for _ in 0..pairs {
        for ((_, program, words), times) in contestants.iter().zip(&mut times) {
            times.push(time(Command::new(program).args(*words).current_dir(&directory))?);
        }
    }
    let [first, ..] = &times[..] else { return Ok(()) };
    println!(
        "{pairs} runs each, in turns; medians, and the median of the ratios to flock(1) of the same turn"
    );
    for ((name, ..), own) in contestants.iter().zip(&times) {
        let ratios = own.iter().zip(first).map(|(own, flock)| own.as_secs_f64() / flock.as_secs_f64());
        let milliseconds = own.iter().map(|time| time.as_secs_f64() * 1e3);
        println!("{:6.3} ms  {:5.3}  {name}", median(milliseconds), median(ratios));
    }
    Ok(())
}

fn time(command: &mut Command) -> Result<Duration> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let status = quiet.status().map_err(|error| program::not_started(quiet, &error))?;
    let time = began.elapsed();
    if status.success() { Ok(time) } else { Err(Failure::program(&program::shown(quiet), status)) }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("can't {what} {}: {error}", path.display()))
}
