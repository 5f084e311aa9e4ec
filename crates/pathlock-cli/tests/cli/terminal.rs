//! On a terminal: the live line, and Ctrl-C.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::world::World;

/// The person's side of a terminal, and `command` at work on the other.
struct Terminal {
    person: File,
    child: std::process::Child,
}

impl Terminal {
    fn start(command: &Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let slave =
            File::options().read(true).write(true).open(name.to_str().expect("text")).expect("it is there");
        // Makes the terminal the controlling one, so that Ctrl-C becomes a signal.
        let mut session = Command::new("setsid");
        session.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        session.current_dir(command.get_current_dir().expect("a directory")).env("TERM", "xterm");
        session
            .stdin(slave.try_clone().expect("a copy"))
            .stdout(slave.try_clone().expect("a copy"))
            .stderr(slave);
        let child = session.spawn().expect("setsid is there");
        Terminal { person: File::from(master), child }
    }

    /// Everything that is shown until `text` is.
    fn read_until(&mut self, text: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(text) {
            let mut byte = [0];
            self.person.read_exact(&mut byte).expect("the terminal is open until its programs have ended");
            shown.extend(byte);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().expect("it is our child").code()
    }
}

#[test]
fn a_wait_is_one_live_line_that_goes_away() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut terminal = Terminal::start(&world.pathlock(["run", "-w", "1h", "job", "--", "echo", "ran"]));
    let line = terminal.read_until("for ");
    assert!(line.contains("pathlock: waiting 0 s (3600 s left)"), "{line:?}");
    assert_eq!(holder.end().code, 0);
    let rest = terminal.read_until("ran\r\n");
    assert!(!rest.contains("pathlock: got"), "the live line says enough: {rest:?}");
    let cleared = rest.rfind("\u{1b}[2K").expect("the line is cleared");
    assert!(!rest[cleared..].contains("waiting"), "something was left on the line: {rest:?}");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn ctrl_c_ends_a_wait() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut terminal = Terminal::start(&world.pathlock(["run", "job", "--", "echo", "ran"]));
    terminal.read_until("waiting");
    terminal.person.write_all(b"\x03").expect("it is typed");
    terminal.read_until("SIGINT");
    assert_eq!(terminal.code(), Some(130));
    assert_eq!(holder.end().code, 0);
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let world = World::new();
    // A second one, passed on by pathlock, would have come before the TERM, which is passed on too.
    let line = "n=0; trap 'n=$((n+1)); echo int' INT; trap 'echo $n times; exit 4' TERM; echo ready; \
                while :; do read x; test $n = 0 || kill -TERM $PPID; done";
    let mut terminal = Terminal::start(&world.pathlock(["run", "job", "--", "sh", "-c", line]));
    terminal.read_until("ready");
    terminal.person.write_all(b"\x03").expect("it is typed");
    terminal.read_until("1 times");
    assert_eq!(terminal.code(), Some(4), "the exit code is the command's");
}

#[test]
fn no_terminal_no_live_line() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut command = world.pathlock(["run", "-w", "50ms", "job", "--", "true"]);
    let output = command.env("TERM", "xterm").stdin(Stdio::null()).output().expect("it runs");
    assert!(!output.stderr.contains(&0x1b), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(holder.end().code, 0);
}
