//! `cargo xtask wheel`: builds the Python package as it is given to people; `cargo xtask python`: installs it into
//! a fresh environment, and runs its tests there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::program;
use crate::python::{self, PIP_INSTALL, RIVALS};
use crate::test_dirs::TestDirs;
use crate::workspace::Workspace;

/// What the tests need besides the package and its rivals.
const PACKAGES: &[&str] = &[
    // It depends on one of the rivals.
    "python-daemon==3.1.2",
    // What python-daemon's own tests need.
    "testscenarios==0.7.0",
    "testtools==2.9.1",
    // The loops that futures are tried on, and the tests' tools.
    "trio==0.35.0",
    "anyio==4.16.0",
    "psutil==7.2.2",
    "mypy==2.4.1",
    "pyright==1.1.414",
    "ruff==0.17.6",
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
];

/// Whose own tests are run: their sources, unpacked.
const SOURCES: &[&str] = &["lockfile==0.12.2", "python-daemon==3.1.2"];

/// `cargo xtask python [-- ARGS]`, where the arguments go to pytest.
pub(crate) fn run(workspace: &Workspace, args: Args) -> Result<()> {
    let args = args.passed_on()?;
    let dirs = TestDirs::create(workspace)?;
    test(workspace, &dirs, &args)
}

/// `cargo xtask wheel`.
pub(crate) fn wheel(workspace: &Workspace) -> Result<()> {
    println!("{}", build(workspace)?.display());
    Ok(())
}

/// Builds the wheel, installs it and runs its tests, with `args` for pytest.
pub(crate) fn test(workspace: &Workspace, dirs: &TestDirs, args: &[String]) -> Result<()> {
    let wheel = build(workspace)?;
    let python = fresh_environment(&workspace.target().join("test-tools").join("wheel"))?;
    // Alone first, and from nowhere else: it has to do on a machine that has nothing but pip.
    program::run(Command::new(&python).args(PIP_INSTALL).arg("--no-index").arg(&wheel))?;
    program::run(Command::new(&python).args(["-m", "pathlock", "--version"]))?;
    program::run(Command::new(&python).args(PIP_INSTALL).args(RIVALS).args(PACKAGES))?;
    let sources = sources(workspace, &python)?;

    let crate_dir = crate_dir(workspace);
    for chore in [&["check"][..], &["format", "--check"]] {
        program::run(Command::new(&python).current_dir(&crate_dir).args(["-m", "ruff"]).args(chore))?;
    }
    let mut pytest = Command::new(&python);
    // From outside of the sources, so that what is installed is what is imported.
    pytest.current_dir(crate_dir.join("tests")).args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    pytest.args(["--timeout", "120"]).args(args);
    pytest.env("PATHLOCK_TEST_DIRS", dirs.joined()?).env("PATHLOCK_TEST_SDISTS", sources);
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    program::run(&mut pytest)
}

fn crate_dir(workspace: &Workspace) -> PathBuf {
    workspace.root().join("crates").join("pathlock-python")
}

/// The wheel, built anew.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target().join("wheels");
    python::remove(&dir)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir"]);
    program::run(pip.arg(&dir).arg(crate_dir(workspace)).env("CARGO_TARGET_DIR", workspace.target()))?;
    let cannot = |error| Failure::new(format!("`{}` can't be read: {error}", dir.display()));
    let entries = fs::read_dir(&dir).map_err(cannot)?;
    let wheels = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    wheels
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .last()
        .ok_or_else(|| Failure::new(format!("pip has built no wheel in `{}`", dir.display())))
}

/// An environment with nothing in it but pip; its `python`.
pub(crate) fn fresh_environment(dir: &Path) -> Result<PathBuf> {
    program::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
    Ok(python::of_environment(dir))
}

/// The directory with the sources of [`SOURCES`], one directory for each.
fn sources(workspace: &Workspace, python: &Path) -> Result<OsString> {
    let dir = workspace.target().join("test-tools").join("sources");
    if !SOURCES.iter().all(|source| is_unpacked(&dir, source)) {
        python::remove(&dir)?;
        let download = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
        let mut pip = Command::new(python);
        pip.args(download).args(["--no-binary", ":all:", "--dest"]).arg(&dir).args(SOURCES);
        program::run(&mut pip)?;
        let unpack = "import pathlib, sys, tarfile\n\
                      for path in pathlib.Path(sys.argv[1]).glob('*.tar.gz'):\n    \
                          tarfile.open(path).extractall(sys.argv[1])\n";
        program::run(Command::new(python).args(["-c", unpack]).arg(&dir))?;
    }
    Ok(dir.into_os_string())
}

/// Whether `NAME==VERSION` is in `NAME-VERSION`, or with underscores.
fn is_unpacked(dir: &Path, source: &str) -> bool {
    let name = source.replace("==", "-");
    dir.join(&name).is_dir() || dir.join(name.replacen('-', "_", 1)).is_dir()
}

/// Whether a free-threaded Python could load the module: it is checked for one, as none is at hand to run it.
pub(crate) fn check_free_threaded(workspace: &Workspace) -> Result<()> {
    let config = workspace.target().join("free-threaded.txt");
    let text = "implementation=CPython\nversion=3.14\nshared=true\npointer_width=64\nbuild_flags=Py_GIL_DISABLED\nsuppress_build_script_link_lines=true\n";
    fs::create_dir_all(workspace.target())
        .and_then(|()| fs::write(&config, text))
        .map_err(|error| Failure::new(format!("`{}`: {error}", config.display())))?;
    let mut cargo = workspace.cargo();
    cargo.args(["check", "--package", "pathlock-python", "--no-default-features"]);
    cargo.env("PYO3_CONFIG_FILE", &config).env("CARGO_TARGET_DIR", workspace.target().join("free-threaded"));
    program::run(cargo.env("SQLITE3_LIB_DIR", workspace.target().join("no-sqlite")))
}
