//! The programs of others that the tests and the benchmark run against: installed if they can be, an error if they can't.
//!
//! A test that finds its rival missing could only skip itself, and the claim it proves would go unproven
//! without anyone noticing. So nothing is tested until all of them are there.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::program;

struct Tool {
    name: &'static str,
    debian_packages: &'static [&'static str],
    proves: &'static str,
    is_there: fn() -> bool,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "strace",
        debian_packages: &["strace"],
        proves: "that waiting makes no system calls, and what each step asks of the kernel",
        is_there: || !cfg!(target_os = "linux") || program::find("strace").is_some(),
    },
    Tool {
        name: "flock",
        debian_packages: &["util-linux"],
        proves: "that flock(1) and Pathlock exclude each other",
        is_there: || !cfg!(target_os = "linux") || program::find("flock").is_some(),
    },
    Tool {
        name: "dotlockfile",
        debian_packages: &["liblockfile-bin"],
        proves: "that dotlockfile(1) and Pathlock exclude each other",
        is_there: || !cfg!(target_os = "linux") || program::find("dotlockfile").is_some(),
    },
    Tool {
        name: "python3 with venv",
        debian_packages: &["python3", "python3-venv"],
        proves: "that Python's lockfile and fasteners and Pathlock exclude each other",
        is_there: || program::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    },
];

/// The commands that do what `pathlock run` does.
const RIVALS: &[Tool] = &[
    Tool {
        name: "flock",
        debian_packages: &["util-linux"],
        proves: "what `pathlock run` costs beside flock(1)",
        is_there: || program::find("flock").is_some(),
    },
    Tool {
        name: "dotlockfile",
        debian_packages: &["liblockfile-bin"],
        proves: "what `pathlock run` costs beside dotlockfile(1)",
        is_there: || program::find("dotlockfile").is_some(),
    },
    Tool {
        name: "lockfile",
        debian_packages: &["procmail"],
        proves: "what `pathlock run` costs beside lockfile(1)",
        is_there: || program::find("lockfile").is_some(),
    },
    Tool {
        name: "lckdo",
        debian_packages: &["moreutils"],
        proves: "what `pathlock run` costs beside lckdo(1)",
        is_there: || program::find("lckdo").is_some(),
    },
    Tool {
        name: "with-lock-ex",
        debian_packages: &["chiark-utils-bin"],
        proves: "what `pathlock run` costs beside with-lock-ex(1)",
        is_there: || program::find("with-lock-ex").is_some(),
    },
    Tool {
        name: "python3 with venv",
        debian_packages: &["python3", "python3-venv"],
        proves: "what a lock costs in Python",
        is_there: || program::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])),
    },
];

/// Makes sure that every program the tests run is there.
pub(crate) fn ensure() -> Result<()> {
    ensure_all(TOOLS, "cargo xtask test")
}

/// Makes sure that every command is there that is measured beside ours.
pub(crate) fn ensure_rivals() -> Result<()> {
    ensure_all(RIVALS, "cargo xtask bench")
}

fn ensure_all(tools: &'static [Tool], chore: &str) -> Result<()> {
    let missing = missing(tools);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
    eprintln!("xtask: `{chore}` needs {names}: installing");
    let outcome = install(&missing);
    let still_missing = self::missing(tools);
    if still_missing.is_empty() {
        return Ok(());
    }
    let mut message = format!("programs that `{chore}` needs are missing:\n");
    for tool in still_missing {
        let packages = tool.debian_packages.join(" ");
        message +=
            &format!("  {} (Debian: {packages}); without it nothing shows {}\n", tool.name, tool.proves);
    }
    if let Err(reason) = outcome {
        message += &format!("They could not be installed: {reason}\n");
    }
    message += &format!("Install them, then run `{chore}` again");
    Err(Failure::new(message))
}

fn missing(tools: &'static [Tool]) -> Vec<&'static Tool> {
    tools.iter().filter(|tool| !(tool.is_there)()).collect()
}

fn install(missing: &[&Tool]) -> Result<()> {
    if program::find("apt-get").is_none() {
        return Err(Failure::new("there is no `apt-get` here"));
    }
    let as_root = if program::output(Command::new("id").arg("-u"))?.trim() == "0" {
        &["env"][..]
    } else if program::succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n", "env"][..]
    } else {
        return Err(Failure::new("`apt-get` needs root, and `sudo` asks for a password or is not there"));
    };
    // A package list that is only partly fresh may still do.
    if let Err(failure) = program::run(apt_get(as_root).arg("update")) {
        eprintln!("xtask: {failure}; going on with the package lists that are there");
    }
    let packages = missing.iter().flat_map(|tool| tool.debian_packages);
    program::run(apt_get(as_root).args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn apt_get(as_root: &[&str]) -> Command {
    let mut command = Command::new(as_root[0]);
    command.args(&as_root[1..]);
    // Another apt, as a fresh machine runs one at boot, is waited for.
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]);
    command
}
