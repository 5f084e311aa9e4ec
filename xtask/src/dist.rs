//! `cargo xtask man` and `cargo xtask dist`: what a packager takes.
//!
//! On Linux the command is linked statically: it then runs in any container, and starts faster, as
//! the dynamic loader takes a third of the time of a short run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("can't {what} {}: {error}", path.display()))
}
