//! Children that are lied to: a small C library, compiled here and preloaded into them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// The compiled library, for as long as children are to be started with it.
pub(crate) struct Shim(TempDir);

impl Shim {
    pub(crate) fn build() -> Shim {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(directory.path().join("shim.so")).arg(source);
        let status = compiler.status().expect("the tests need a C compiler");
        assert!(status.success(), "the library compiles");
        Shim(directory)
    }

    fn preload(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", self.0.path().join("shim.so"));
        command
    }

    /// `command`, believing that its pid is `pid`.
    pub(crate) fn with_pid(&self, pid: u32, command: Command) -> Command {
        let mut command = self.preload(command);
        command.env("PATHLOCK_SHIM_PID", pid.to_string());
        command
    }

    /// `command`, whose wall clock is set by `seconds` at the moment in which `file` is made.
    pub(crate) fn with_step(&self, seconds: i64, file: impl AsRef<OsStr>, command: Command) -> Command {
        let mut command = self.preload(command);
        command.env("PATHLOCK_SHIM_STEP", seconds.to_string()).env("PATHLOCK_SHIM_STEP_FILE", file);
        command
    }
}
