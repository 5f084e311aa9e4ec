//! What the figures come from.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::results::Machine;

pub(crate) fn this(python: &Path, time: Duration) -> Machine {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let packages = said(Command::new(python).args(["-m", "pip", "freeze"]));
    let peer = |line: &&str| {
        ["lockfile=", "filelock=", "fasteners=", "portalocker=", "zc.lockfile="]
            .iter()
            .any(|name| line.starts_with(name))
    };
    Machine {
        date: said(Command::new("date").args(["-u", "+%Y-%m-%d"])),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cpu: cpu.map(|(_, name)| name.trim().to_owned()).unwrap_or_default(),
        cpus: cpus.lines().filter(|line| line.starts_with("processor")).count(),
        memory_gib: kib.unwrap_or(0.0_f64) / 1024.0 / 1024.0,
        kernel: said(Command::new("uname").args(["-sr"])),
        rustc: said(Command::new("rustc").arg("--version")),
        python: said(Command::new(python).arg("--version")),
        packages: packages.lines().filter(peer).map(str::to_owned).collect(),
        seconds: time.as_secs_f64(),
    }
}

/// What a command prints; nothing if it can't be run.
fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
