//! `cargo xtask bench`: sets up the peers, measures, and writes `bench/report.md`, `bench/results.json` and the
//! pictures in `bench/plots`.

use std::path::PathBuf;
use std::process::Command;

use crate::args::Args;
use crate::failure::Result;
use crate::python::{PIP_INSTALL, RIVALS};
use crate::test_dirs::TestDirs;
use crate::workspace::Workspace;
use crate::{dist, program, tools, wheel};

pub(crate) fn run(workspace: &Workspace, mut args: Args) -> Result<()> {
    let mut passed_on = Vec::new();
    let mut out = workspace.root().join("bench");
    while let Some(option) = args.next() {
        match option.as_str() {
            "--quick" => passed_on.push(option),
            "--only" => {
                let parts = args.value(&option)?;
                passed_on.extend([option, parts]);
            }
            "--out" => out = PathBuf::from(args.value(&option)?),
            _ => return Err(Args::unknown(&option)),
        }
    }

    tools::ensure_rivals()?;
    let wheel = wheel::build(workspace)?;
    let python = wheel::fresh_environment(&workspace.target().join("test-tools").join("bench"))?;
    program::run(Command::new(&python).args(PIP_INSTALL).arg(wheel).args(RIVALS))?;
    let pathlock = dist::build(workspace)?;
    program::run(workspace.cargo().args(["build", "--release", "--package", "bench"]))?;

    let dirs = TestDirs::create(workspace)?;
    let mut bench = Command::new(workspace.target().join("release").join("pathlock-bench"));
    for dir in dirs.iter() {
        bench.arg("--dir").arg(format!("{}={}", crate::test_dirs::filesystem(dir), dir.display()));
    }
    bench.arg("--python").arg(&python);
    bench.arg("--python-actor").arg(workspace.root().join("bench").join("actor.py"));
    bench.arg("--pathlock").arg(pathlock).arg("--out").arg(&out).args(passed_on);
    program::run(bench.env("PYTHONDONTWRITEBYTECODE", "1"))?;
    println!("{}", out.join("report.md").display());
    Ok(())
}
