//! A directory to lock things in, and programs started in it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Once};
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use tempfile::TempDir;

/// A command for `run` that says that it runs, and then lasts until its stdin is closed.
pub(crate) const UNTIL_EOF: [&str; 4] = ["--", "sh", "-c", "echo $$; cat >/dev/null"];

/// A line of shell before its traps: a `wait` that only signals and the end of stdin can end. Unlike
/// `read`, `wait` can't miss a signal that comes just before it.
pub(crate) const WAITING_SHELL: &str = "exec 3<&0; cat <&3 >/dev/null & ";

/// The schemes whose lock a command inherits.
pub(crate) const INHERITED: [&str; 5] = ["link", "mkdir", "pid", "flock", "ofd"];

/// A directory of its own for one test.
pub(crate) struct World {
    directory: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        hear_all_signals();
        World { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().canonicalize().expect("it exists").join(name)
    }

    /// What is in the directory, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("it can be listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// `pathlock` with these arguments, in the directory.
    pub(crate) fn pathlock<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pathlock"));
        command.args(args);
        self.at_home(command)
    }

    /// A line of shell, in the directory; `$PATHLOCK` is the command under test.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATHLOCK", env!("CARGO_BIN_EXE_pathlock"));
        self.at_home(command)
    }

    /// flock(1) with these arguments, in the directory.
    pub(crate) fn flock<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let version = Command::new("flock").arg("--version").stdout(Stdio::null()).status();
        assert!(version.is_ok(), "flock(1) is missing, and these tests compare with it: install util-linux");
        let mut command = Command::new("flock");
        command.args(args);
        self.at_home(command)
    }

    /// flock(1) with these options on `file`, once it has the lock; it lasts until its stdin is closed.
    pub(crate) fn hold_by_flock(&self, options: &[&str], file: &str) -> Running {
        let mut running = Running::start(self.flock([options, &[file, "sh", "-c", UNTIL_EOF[3]]].concat()));
        running.read_line();
        running
    }

    /// Whether flock(1) could take `file` now, for itself or among readers.
    pub(crate) fn is_flocked(&self, options: &[&str], file: &str) -> bool {
        let code = Finished::of(self.flock([options, &["-n", file, "true"]].concat())).code;
        assert!(code < 2, "flock(1) can't tell: {code}");
        code == 1
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(self.directory.path());
        for told in ["PATHLOCK_HELD", "PATHLOCK_HELD_BY", "PATHLOCK_PATH", "PATHLOCK_MODE", "PATHLOCK_TOKEN"]
        {
            command.env_remove(told);
        }
        command
    }

    /// `pathlock run` with these arguments and [`UNTIL_EOF`], once its command runs.
    pub(crate) fn hold(&self, args: &[&str]) -> Running {
        let mut running = Running::start(self.pathlock([&["run"], args, &UNTIL_EOF].concat()));
        running.read_line();
        running
    }

    /// The exit code of `pathlock` with these arguments.
    pub(crate) fn code(&self, args: &[&str]) -> i32 {
        Finished::of(self.pathlock(args)).code
    }

    /// `pathlock` with these arguments, run to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        Finished::of(self.pathlock(args))
    }
}

/// Programs that we start get every signal by its default, even if we were started by `nohup` or
/// in the background of a script: what is caught here is reset by exec(2), what is ignored is not.
fn hear_all_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
            if ignored >> (signal - 1) & 1 == 1 {
                signal_hook::flag::register(signal, Arc::default()).expect("it can be caught");
            }
        }
    });
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn of(command: Command) -> Finished {
        Running::start(command).end()
    }
}

/// The JSON objects in `text`, one a line.
pub(crate) fn json(text: &str) -> Vec<serde_json::Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(parse).collect()
}

/// Waits until the kernel shows that somebody waits for a lock on `file`.
#[cfg(target_os = "linux")]
pub(crate) fn until_waited_for(file: &Path) {
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(file).expect("it is there"));
    let is_it = |line: &str| line.contains("-> ") && line.contains(&format!(":{inode} "));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string("/proc/locks").expect("/proc is there").lines().any(is_it) {
        assert!(Instant::now() < deadline, "nobody waits for {}", file.display());
        std::thread::yield_now();
    }
}

/// A process with pipes to all its streams.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("it starts");
        Running {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().expect("it is piped")),
            stderr: BufReader::new(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line on stdout.
    pub(crate) fn read_line(&mut self) -> String {
        next_line(&mut self.stdout)
    }

    /// Waits for the next line on stderr.
    pub(crate) fn read_error_line(&mut self) -> String {
        next_line(&mut self.stderr)
    }

    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("it is open");
        stdin.write_all(text.as_bytes()).expect("it reads");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it has not been waited for");
    }

    /// Closes its stdin, which ends [`UNTIL_EOF`].
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for this process alone: a command that it ran may still live, and hold the pipes.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it is our child")
    }

    /// Closes its stdin and waits for all to end.
    pub(crate) fn end(mut self) -> Finished {
        self.close_stdin();
        self.end_by_itself()
    }

    /// Waits for all to end, with stdin open: what is still there has to be ended otherwise.
    pub(crate) fn end_by_itself(mut self) -> Finished {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.stdout.read_to_end(&mut stdout).expect("stdout can be read");
        self.stderr.read_to_end(&mut stderr).expect("stderr can be read");
        Finished {
            code: self.wait().code().expect("pathlock exits by itself"),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

fn next_line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("it can be read");
    assert!(line.ends_with('\n'), "it ended before it said anything");
    line.trim_end().to_owned()
}
