//! The Python environment with the packages that Pathlock must get on with.
//!
//! The marker is written last: an environment without it was never finished, and one with other words in
//! it was made for other packages. Either is made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::program;
use crate::workspace::Workspace;

/// The Python packages that do what Pathlock does. Pinned: a new release of a rival is to be met on purpose, not by the
/// date of a test run.
pub(crate) const RIVALS: &[&str] =
    &["lockfile==0.12.2", "filelock==4.3.1", "fasteners==0.20", "portalocker==4.4.2", "zc.lockfile==4.0"];
/// Those that the tests of Rust meet.
const PACKAGES: &[&str] = &["lockfile==0.12.2", "fasteners==0.20"];
const IMPORTS: &str = "import lockfile, fasteners";

pub(crate) const PIP_INSTALL: [&str; 6] =
    ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];

/// The `python` of the environment in `dir`.
pub(crate) fn of_environment(dir: &Path) -> PathBuf {
    if cfg!(windows) { dir.join("Scripts").join("python.exe") } else { dir.join("bin").join("python") }
}

/// The path of a `python` that can import the packages.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target().join("test-tools").join("python");
    let marker = dir.join("complete");
    let python = of_environment(&dir);
    let wanted = PACKAGES.join("\n");
    // The interpreter under the environment may be gone although the marker is there.
    if fs::read_to_string(&marker).is_ok_and(|made_for| made_for == wanted) && imports(&python) {
        return Ok(python);
    }
    remove(&dir)?;
    program::run(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
    program::run(Command::new(&python).args(PIP_INSTALL).args(PACKAGES))?;
    if !imports(&python) {
        let python = python.display();
        return Err(Failure::new(format!(
            "`{python} -c '{IMPORTS}'` fails though pip installed {PACKAGES:?}"
        )));
    }
    fs::write(&marker, wanted).map_err(|error| Failure::new(format!("`{}`: {error}", marker.display())))?;
    Ok(python)
}

fn imports(python: &Path) -> bool {
    program::succeeds(Command::new(python).args(["-c", IMPORTS]))
}

/// Removes a directory of the chores' own, below `target/`, if it is there.
#[expect(clippy::disallowed_methods, reason = "the directory is the caller's own, below target/")]
pub(crate) fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("`{}` can't be removed: {error}; remove it by hand", dir.display())))
        }
        _ => Ok(()),
    }
}
