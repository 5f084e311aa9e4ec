//! What the tests share: places to lock things in, and children to share the locks with.
//!
//! Nothing here waits for time to pass. A child says a line when it has come somewhere and hears a line when it
//! shall go on; what shows in the kernel's tables alone is looked for [`until`] it is there.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pathlock::{AnyLockFile, Lock, LockError, SCHEME_NAMES, scheme_named};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) mod shim;

/// More than any step takes on a machine that is busy; a test that needs it all has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The lock of `path` in the scheme called `scheme`.
pub(crate) fn lock_of(scheme: &str, path: impl AsRef<Path>) -> AnyLockFile {
    Lock::with_scheme(path, scheme_named(scheme).expect("it is the name of a scheme"))
}

/// A directory of its own for one test, and a path in it to be locked in one scheme.
pub(crate) struct Place {
    pub(crate) scheme: &'static str,
    directory: TempDir,
}

impl Place {
    pub(crate) fn new(scheme: &'static str) -> Place {
        Place { scheme, directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn lock(&self) -> AnyLockFile {
        lock_of(self.scheme, self.path())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What is locked.
    pub(crate) fn path(&self) -> PathBuf {
        self.join("res")
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.lock().lock_file().to_owned()
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory().join(name)
    }

    /// What is in the directory, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory()).expect("the directory can be listed");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Whether something has the lock file's name.
    pub(crate) fn has_lock_file(&self) -> bool {
        fs::symlink_metadata(self.lock_file()).is_ok()
    }

    /// A child that holds the lock until it hears a line, and says so.
    pub(crate) fn holder(&self) -> Child {
        let mut child = Child::start("hold", self.args());
        assert_eq!(child.line(), "held", "{self}: the child acquires a lock that is free");
        child
    }

    /// What tells a child where the lock is.
    pub(crate) fn args(&self) -> [String; 2] {
        [self.scheme.to_owned(), self.path().to_str().expect("a plain path").to_owned()]
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scheme {} in {}", self.scheme, self.directory().display())
    }
}

/// A place for each of `schemes` in each directory that is named for tests: they are on different filesystems.
pub(crate) fn places(schemes: &[&'static str]) -> Vec<Place> {
    let named = std::env::var_os("PATHLOCK_TEST_DIRS").unwrap_or_default();
    let mut parents: Vec<PathBuf> = std::env::split_paths(&named).filter(|dir| dir.is_absolute()).collect();
    if parents.is_empty() {
        parents.push(std::env::temp_dir());
    }
    let pairs = parents.iter().flat_map(|parent| schemes.iter().map(move |scheme| (parent, scheme)));
    pairs
        .map(|(parent, scheme)| Place {
            scheme,
            directory: tempfile::tempdir_in(parent).expect("a directory for tests can be written"),
        })
        .collect()
}

/// A place for every scheme in every directory.
pub(crate) fn everywhere() -> Vec<Place> {
    places(SCHEME_NAMES)
}

/// Keeps what is measured from being disturbed by the other tests of the same binary.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks again and again until `met`: for what only the kernel's tables show.
pub(crate) fn until(what: &str, mut met: impl FnMut() -> bool) {
    let began = Instant::now();
    while !met() {
        assert!(began.elapsed() < PATIENCE, "it never came about that {what}");
        thread::yield_now();
    }
}

/// Runs `body`, and fails when it takes unreasonably long: what must not hang is seen to hang.
pub(crate) fn within<T: Send + 'static>(what: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        let _ = done.send(body());
    });
    match is_done.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it has sent its value"),
        },
    }
}

/// How many waiters the kernel has in the queues of the inode at `path`.
pub(crate) fn queued(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let Ok(inode) = fs::symlink_metadata(path).map(|metadata| metadata.ino()) else { return 0 };
    let locks = fs::read_to_string("/proc/locks").expect("the kernel's table of locks");
    let inode = format!(":{inode} ");
    let waiting = locks.lines().filter(|line| line.contains("->") && line.contains(&inode));
    // A lock and its waiters have one number. While others come and go, the table may list a lock twice.
    let mut counts = HashMap::new();
    waiting.for_each(|line| *counts.entry(line.split(':').next()).or_insert(0) += 1);
    counts.into_values().max().unwrap_or(0)
}

/// Half a millisecond of work: the one pause in these tests, and it stands for what a lock's owner does.
pub(crate) fn work() {
    let _ = rustix::thread::nanosleep(&rustix::thread::Timespec { tv_sec: 0, tv_nsec: 500_000 });
}

/// Does what only a person does: takes away what has the name.
pub(crate) fn remove(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let directory = fs::symlink_metadata(path).expect("it is there to be removed").is_dir();
    #[expect(clippy::disallowed_methods, reason = "the test plays the person who removes things by hand")]
    if directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it can be removed");
}

/// How long ago the machine was booted: a clock that all processes share.
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).expect("it does not run before the boot")
}

/// Waits until the thread `tid` of process `pid` sleeps in the kernel.
pub(crate) fn until_asleep(pid: u32, tid: u64) {
    let path = format!("/proc/{pid}/task/{tid}/stat");
    until("the waiter sleeps", || {
        let stat = fs::read_to_string(&path).expect("the thread lives");
        stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('S'))
    });
}

/// How often the threads of a process that live now have gone to sleep so far.
pub(crate) fn switches(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("Linux");
    let of_task = |task: fs::DirEntry| {
        // A thread may end while it is looked at.
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse::<u64>().expect("a number"))
    };
    tasks.map(|task| of_task(task.expect("an entry"))).sum()
}

/// The calling thread, as the system numbers it.
pub(crate) fn tid() -> u64 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs().into()
}

pub(crate) fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

/// Sees to it that nobody has the lock. A waiter of this process that has timed out leaves its place in the queue to a
/// thread, whose turn may come a moment later: in that moment, [`Lock::try_acquire`] would find the lock busy.
pub(crate) fn assert_free(lock: &AnyLockFile) {
    let taken = lock.acquire_within(PATIENCE).expect("nobody keeps it");
    taken.release().expect("it is ours");
}

/// Whether `result` says that the lock is another's, at once or after a wait.
pub(crate) fn is_busy<T>(result: &Result<T, LockError>) -> bool {
    matches!(result, Err(LockError::AlreadyLocked(_) | LockError::LockTimeout(_)))
}

/// A process that talks in lines.
pub(crate) struct Child {
    process: Process,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Child {
    /// This test binary again, in the role that its test `child` knows by that name.
    pub(crate) fn start(role: &str, args: impl IntoIterator<Item = impl Into<String>>) -> Child {
        Child::spawn(Child::command(role, args))
    }

    pub(crate) fn command(role: &str, args: impl IntoIterator<Item = impl Into<String>>) -> Command {
        let args: Vec<String> = args.into_iter().map(Into::into).collect();
        let mut command = Command::new(std::env::current_exe().expect("the path of this binary"));
        command.args(["--exact", "child", "--nocapture"]);
        command.env("PATHLOCK_TEST_ROLE", role).env("PATHLOCK_TEST_ARGS", args.join("\n"));
        command
    }

    pub(crate) fn spawn(mut command: Command) -> Child {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Child {
            stdin: process.stdin.take(),
            stdout: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next line that it says; `None` when it has ended.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).expect("its output can be read") == 0 {
                return None;
            }
            // The test harness of the child talks too.
            if let Some(said) = line.trim_end().strip_prefix("@ ") {
                return Some(said.to_owned());
            }
        }
    }

    pub(crate) fn line(&mut self) -> String {
        self.next_line().expect("it says something before it ends")
    }

    /// Has it hear a line.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").expect("it listens");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("it has not been waited for");
    }

    /// `kill -9`, and the end of it.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.process.wait().expect("it is our child");
    }

    /// Closes its input and waits for it to end well.
    pub(crate) fn end(mut self) {
        self.stdin = None;
        while self.next_line().is_some() {}
        let status = self.process.wait().expect("it is our child");
        assert!(status.success(), "the child failed: {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The roles of a child: a name, and what is done with the arguments.
pub(crate) type Roles = [(&'static str, fn(&[&str]))];

/// What each binary's test `child` does: nothing, unless this process is a child.
pub(crate) fn play(roles: &Roles) {
    let Ok(role) = std::env::var("PATHLOCK_TEST_ROLE") else { return };
    let args = std::env::var("PATHLOCK_TEST_ARGS").expect("a role comes with arguments");
    let args: Vec<&str> = args.split('\n').collect();
    match roles.iter().find(|(name, _)| *name == role) {
        Some((_, play)) => play(&args),
        None => panic!("there is no role {role}"),
    }
}

/// In a child: says a line to the parent.
pub(crate) fn say(line: impl fmt::Display) {
    // The harness may have begun a line of its own.
    let text = format!("\n@ {line}\n");
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).expect("the parent listens");
}

/// In a child: waits for the parent's next line; `None` when there will be none.
pub(crate) fn hear() -> Option<String> {
    std::io::stdin().lines().next().map(|line| line.expect("the parent writes text"))
}

/// The role `hold`: acquires, says `held`, and releases when it hears a line or the end.
pub(crate) fn hold(args: &[&str]) {
    let guard = lock_of(args[0], args[1]).acquire().expect("the lock is free, or will be");
    say("held");
    hear();
    guard.release().expect("the lock is still ours");
    say("released");
    hear();
}

/// A program of Python's, or of the shell: it says lines by writing `@ ` before them.
pub(crate) fn program(name: impl AsRef<OsStr>, args: &[&str]) -> Child {
    let mut command = Command::new(name);
    command.args(args);
    Child::spawn(command)
}
