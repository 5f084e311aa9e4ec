//! Other programs: who uses one of our lock files excludes us, and we exclude him.
#![cfg(target_os = "linux")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use pathlock::{AnyLockFile, LockError, State, scheme_named};

mod common;
use common::{Child, PATIENCE, Place, is_busy, lock_of, now, places, queued, remove, say, until, work};

/// The schemes that Python's `lockfile` has too.
const PYLOCKFILE: [&str; 4] = ["link", "symlink", "mkdir", "pid"];

#[test]
fn child() {
    common::play(&[("hold", common::hold), ("take turns", take_turns)]);
}

fn python() -> OsString {
    std::env::var_os("PATHLOCK_TEST_PYTHON").expect(
        "PATHLOCK_TEST_PYTHON is not set: run `cargo xtask test`, which makes a Python with what is needed",
    )
}

/// Python's side: does what it hears, and says what came of it. `lock` is made by `make`.
fn python_lock(make: &str, args: &[&str]) -> Child {
    let script = format!(
        "
import sys, time, fcntl, os
{make}
def say(text): print('@', text, flush=True)
def audited():
    os.mkdir(sys.argv[-1]); time.sleep(0.0005); os.rmdir(sys.argv[-1])
for line in sys.stdin:
    word, _, rest = line.strip().partition(' ')
    try:
        if word == 'acquire':
            say('held' if lock.acquire(**eval('dict(' + rest + ')')) is not False else 'busy')
        elif word == 'release':
            began = time.monotonic_ns(); lock.release(); say(began)
        elif word == 'turns':
            for _ in range(int(rest)):
                while True:
                    try: lock.acquire(timeout=0.02)
                    except (lockfile.LockTimeout, lockfile.AlreadyLocked): continue
                    except FileNotFoundError: continue  # its own race: islink, then readlink
                    break
                audited(); lock.release()
            say('done')
        else:
            say(eval(line))
    except Exception as error:
        say(type(error).__name__)
"
    );
    let mut command = Command::new(python());
    command.arg("-c").arg(script).args(args);
    Child::spawn(command)
}

/// A lock of Python's `lockfile` on the same path.
fn pylockfile(place: &Place) -> Child {
    let class = match place.scheme {
        "link" => "linklockfile.LinkLockFile",
        "symlink" => "symlinklockfile.SymlinkLockFile",
        "mkdir" => "mkdirlockfile.MkdirLockFile",
        _ => "pidlockfile.PIDLockFile",
    };
    let module = class.split_once('.').expect("a module and a class").0;
    let make = format!("import lockfile, lockfile.{module}; lock = lockfile.{class}(sys.argv[1])");
    let args = [place.path(), place.join("audit")].map(|path| path.to_str().expect("plain").to_owned());
    python_lock(&make, &args.each_ref().map(String::as_str))
}

fn ask(child: &mut Child, line: &str) -> String {
    child.tell(line);
    child.line()
}

/// How long after its release by another program a waiter of ours has the lock: the best of some.
fn hand_over(place: &Place, lock: &AnyLockFile, other: &mut Child, acquire: &str) -> Duration {
    let one = || {
        assert_eq!(ask(other, acquire), "held", "{place}: it is free");
        let (waiting, is_waiting) = mpsc::channel();
        let lock = lock.clone().on_wait(move |_| {
            let _ = waiting.send(());
        });
        let waiter = std::thread::spawn(move || {
            let guard = lock.acquire_within(PATIENCE).expect("its turn comes");
            let had = now();
            guard.release().expect("it is ours");
            had
        });
        is_waiting.recv().expect("it waits");
        let released = ask(other, "release").parse().expect("a number of nanoseconds");
        waiter.join().expect("no panic").saturating_sub(Duration::from_nanos(released))
    };
    std::iter::repeat_with(one).take(7).min().expect("there are some")
}

#[test]
fn what_pylockfile_holds_is_locked_and_comes_to_our_waiter_in_milliseconds() {
    for place in places(&PYLOCKFILE) {
        let mut theirs = pylockfile(&place);
        assert_eq!(ask(&mut theirs, "acquire timeout=-1"), "held", "{place}: it is free");
        let tried = place.lock().try_acquire();
        let Err(LockError::AlreadyLocked(told)) = &tried else { panic!("{place}: {tried:?}") };
        assert_ne!(told.state(), State::Stale, "{place}: nothing proves its owner dead");
        assert!(place.lock().is_locked().expect("it can be looked at"), "{place}: it is held");
        if place.scheme == "pid" {
            let owner = place.lock().owner().expect("it can be looked at").expect("it is a pid file");
            assert_eq!(owner.pid(), theirs.pid(), "{place}: whose pid it is");
        }
        let waited = place.lock().acquire_within(Duration::from_millis(20));
        assert!(is_busy(&waited), "{place}: {waited:?}");
        assert_ne!(ask(&mut theirs, "release"), "NotLocked", "{place}: it was never taken from it");

        let took = hand_over(&place, &place.lock(), &mut theirs, "acquire timeout=1");
        println!("{place}: pylockfile's release to acquired: {took:?}");
        assert!(took < Duration::from_millis(20), "{place}: it took {took:?}");
        theirs.end();
    }
}

#[test]
fn what_we_hold_is_locked_for_pylockfile() {
    for place in places(&PYLOCKFILE) {
        let mut theirs = pylockfile(&place);
        let guard = place.lock().acquire().expect("it is free");
        assert_eq!(ask(&mut theirs, "lock.is_locked()"), "True", "{place}: it sees that it is held");
        assert_eq!(ask(&mut theirs, "lock.i_am_locking()"), "False", "{place}: and not by itself");
        assert_eq!(ask(&mut theirs, "acquire timeout=-1"), "AlreadyLocked", "{place}: without waiting");
        assert_eq!(ask(&mut theirs, "acquire timeout=0.05"), "LockTimeout", "{place}: after waiting");
        assert_eq!(ask(&mut theirs, "release"), "NotMyLock", "{place}: it can't release ours");
        if place.scheme == "pid" {
            let pid = std::process::id().to_string();
            assert_eq!(ask(&mut theirs, "lock.read_pid()"), pid, "{place}: it reads our pid");
        }
        guard.release().expect("it was never lost");
        assert_eq!(ask(&mut theirs, "lock.is_locked()"), "False", "{place}: it sees that it is free");
        assert_eq!(ask(&mut theirs, "acquire timeout=-1"), "held", "{place}: and gets it");
        ask(&mut theirs, "release");
        theirs.end();
        assert!(place.names().is_empty(), "{place}: nothing is left: {:?}", place.names());
    }
}

/// The role `take turns`: arguments scheme, path, a directory that nobody else may have made, how many turns.
fn take_turns(args: &[&str]) {
    let lock = lock_of(args[0], args[1]);
    for _ in 0..args[3].parse().expect("a number") {
        let guard = lock.acquire_within(PATIENCE).expect("its turn comes");
        fs::create_dir(args[2]).expect("nobody else is inside");
        work();
        remove(args[2]);
        guard.release().expect("it is ours");
    }
    say("done");
}

/// `ours` processes of ours and two of pylockfile's take so many turns each, and audit each other.
fn compete(place: &Place, ours: usize, our_turns: usize, their_turns: usize) {
    let audit = place.join("audit").to_str().expect("a plain path").to_owned();
    let mut theirs = [pylockfile(place), pylockfile(place)];
    theirs.iter_mut().for_each(|child| child.tell(&format!("turns {their_turns}")));
    let args = [&place.args()[..], &[audit, our_turns.to_string()]].concat();
    let mut ours: Vec<_> = (0..ours).map(|_| Child::start("take turns", args.clone())).collect();
    for child in ours.iter_mut().chain(&mut theirs) {
        assert_eq!(child.next_line().as_deref(), Some("done"), "{place}: every turn was one's own");
    }
    ours.into_iter().chain(theirs).for_each(Child::end);
    assert!(!place.lock().is_locked().expect("it can be looked at"), "{place}: nobody is left");
}

#[test]
fn a_process_of_ours_and_two_of_pylockfiles_never_meet_inside() {
    for place in places(&PYLOCKFILE) {
        compete(&place, 1, 120, 40);
    }
}

#[test]
fn pylockfile_is_kept_out_while_our_waiters_hand_the_lock_on() {
    for place in places(&PYLOCKFILE) {
        compete(&place, 4, 150, 10);
    }
}

#[test]
fn pylockfile_sees_the_lock_held_at_every_moment_of_our_hand_overs() {
    for place in places(&["link", "mkdir"]) {
        let mut theirs = pylockfile(&place);
        let guard = place.lock().acquire().expect("it is free");
        let waiter = std::thread::spawn({
            let lock = place.lock();
            move || lock.acquire_within(PATIENCE).expect("its turn comes")
        });
        until("it is in the queue", || queued(&place.lock_file()) == 1);
        guard.release().expect("it is ours");
        let guard = waiter.join().expect("no panic");
        assert_eq!(ask(&mut theirs, "lock.is_locked()"), "True", "{place}: it was handed on");
        assert_eq!(ask(&mut theirs, "acquire timeout=-1"), "AlreadyLocked", "{place}: it was handed on");
        guard.release().expect("it is ours");
        assert_eq!(ask(&mut theirs, "acquire timeout=-1"), "held", "{place}: nobody is in the queue");
        ask(&mut theirs, "release");
        theirs.end();
    }
}

fn at(scheme: &str, file: &Path) -> AnyLockFile {
    AnyLockFile::at_with_scheme(file, scheme_named(scheme).expect("it is one"))
}

fn exit_code(program: &str, args: &[&str]) -> i32 {
    let status = Command::new(program).args(args).status();
    let status = status
        .unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask test`, which installs it"));
    status.code().expect("it exits by itself")
}

#[test]
fn flock_1_and_scheme_flock_exclude_each_other() {
    for place in places(&["flock"]) {
        let file = place.join("lock");
        let name = file.to_str().expect("a plain path");
        let guard = at("flock", &file).acquire().expect("it is free");
        assert_eq!(exit_code("flock", &["-n", name, "true"]), 1, "{place}: flock(1) says that it is held");
        assert_eq!(exit_code("flock", &["-w", "0.02", name, "true"]), 1, "{place}: and waits in vain");
        guard.release().expect("it is ours");
        assert_eq!(exit_code("flock", &["-n", name, "true"]), 0, "{place}: it is free");

        let line = "while read word; do case $word in acquire) exec 9>>\"$0\"; flock 9; echo '@ held';; \
                    release) exec 9>&-; echo '@ released';; esac; done";
        let mut theirs = common::program("sh", &["-c", line, name]);
        assert_eq!(ask(&mut theirs, "acquire"), "held", "{place}: it is free");
        let tried = at("flock", &file).try_acquire();
        assert!(is_busy(&tried), "{place}: {tried:?}");
        let waiter = std::thread::spawn({
            let lock = at("flock", &file);
            move || lock.acquire_within(PATIENCE).map(drop)
        });
        until("it is in the queue", || queued(&file) == 1);
        ask(&mut theirs, "release");
        waiter.join().expect("no panic").expect("it has the lock when flock(1) lets go");
        theirs.end();
    }
}

#[test]
fn fasteners_and_lockf_and_scheme_ofd_exclude_each_other() {
    let fasteners = "import fasteners; lock = fasteners.InterProcessLock(sys.argv[1])";
    let lockf = "
class Lock:
    def acquire(self, blocking=True):
        self.file = open(sys.argv[1], 'a+')
        try: fcntl.lockf(self.file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError: return False
    def release(self): fcntl.lockf(self.file, fcntl.LOCK_UN)
lock = Lock()";
    for place in places(&["ofd"]) {
        for make in [fasteners, lockf] {
            let file = place.join("lock");
            let mut theirs = python_lock(make, &[file.to_str().expect("a plain path")]);
            let lock = at("ofd", &file);
            let guard = lock.acquire().expect("it is free");
            assert_eq!(ask(&mut theirs, "acquire blocking=False"), "busy", "{place}: it is ours");
            guard.release().expect("it is ours");
            assert_eq!(ask(&mut theirs, "acquire blocking=False"), "held", "{place}: it is free");
            let tried = lock.try_acquire();
            assert!(is_busy(&tried), "{place}: it is theirs: {tried:?}");
            assert!(lock.is_locked().expect("it can be looked at"), "{place}: it is theirs");
            ask(&mut theirs, "release");
            let took = hand_over(&place, &lock, &mut theirs, "acquire");
            println!("{place}: their release to acquired: {took:?}");
            assert!(took < Duration::from_millis(20), "{place}: it took {took:?}");
            theirs.end();
        }
    }
}

#[test]
fn dotlockfile_and_scheme_link_exclude_each_other() {
    for place in places(&["link"]) {
        let file = place.join("mailbox.lock");
        let name = file.to_str().expect("a plain path");
        let take = || exit_code("dotlockfile", &["-p", "-r", "0", "-l", name]);
        let guard = at("link", &file).acquire().expect("it is free");
        assert_ne!(take(), 0, "{place}: it reads our pid, and that we are alive");
        assert!(guard.is_valid(), "{place}: and has not taken it from us");
        guard.release().expect("it is ours");
        assert_eq!(take(), 0, "{place}: it is free");
        let tried = at("link", &file).try_acquire();
        assert!(is_busy(&tried), "{place}: {tried:?}");
        assert_eq!(exit_code("dotlockfile", &["-u", name]), 0, "{place}: it lets go");
        drop(at("link", &file).try_acquire().expect("it is free"));
    }
}
