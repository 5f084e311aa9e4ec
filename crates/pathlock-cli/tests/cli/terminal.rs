//! On a terminal: the live line, and Ctrl-C.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::world::World;

/// The person's side of a terminal, and `command` at work on the other.
struct Terminal {
    person: File,
    session: Child,
}

impl Terminal {
    fn start(command: &Command) -> Terminal {
        let person =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let name = ptsname(&person, Vec::new()).expect("it has a name");
        let screen =
            File::options().read(true).write(true).open(name.to_str().expect("text")).expect("it is there");
        // Otherwise Ctrl-C also drops what the programs have printed in answer to it.
        let mut modes = tcgetattr(&screen).expect("it is a terminal");
        modes.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&screen, OptionalActions::Now, &modes).expect("it is ours");
        // `--ctty` makes Ctrl-C a signal. The shell outlives the command until the person has read
        // all there is: the terminal forgets it when the first of its session ends.
        let session = Command::new("setsid")
            .args(["--ctty", "--wait", "sh", "-c", r#"trap : INT; "$@"; echo "exit $?."; read x"#, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().expect("a directory"))
            .env("TERM", "xterm")
            .stdin(screen.try_clone().expect("a copy"))
            .stdout(screen.try_clone().expect("a copy"))
            .stderr(screen)
            .spawn()
            .expect("setsid is there");
        Terminal { person: File::from(person), session }
    }

    fn type_in(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("it is typed");
    }

    /// Everything that is shown until `text` is.
    fn read_until(&mut self, text: &str) -> String {
        let mut shown = Vec::new();
        while !shown.ends_with(text.as_bytes()) {
            let mut byte = [0];
            self.person.read_exact(&mut byte).expect("the terminal is open until its programs have ended");
            shown.extend(byte);
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Waits for the command to end with this exit code.
    fn ends_with(mut self, code: i32) {
        let rest = self.read_until(".\r\n");
        assert!(rest.ends_with(&format!("exit {code}.\r\n")), "not {code}: {rest:?}");
        // Hanging up ends whatever is left of the session.
        drop(self.person);
        self.session.wait().expect("it is our child");
    }
}

#[test]
fn a_wait_is_one_live_line_that_goes_away() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut terminal = Terminal::start(&world.pathlock(["run", "-w", "1h", "job", "--", "echo", "ran"]));
    let line = terminal.read_until("(sh -c ");
    assert!(line.contains("pathlock: waiting ") && line.contains(" s left; held for "), "{line:?}");
    assert!(line.contains(&format!(" by pid {} (sh -c ", holder.pid())), "{line:?}");
    assert_eq!(holder.end().code, 0);
    let rest = terminal.read_until("ran\r\n");
    assert!(!rest.contains("pathlock: got"), "the live line says enough: {rest:?}");
    let cleared = rest.rfind("\u{1b}[2K").expect("the line is cleared");
    assert!(!rest[cleared..].contains("waiting"), "something was left on the line: {rest:?}");
    terminal.ends_with(0);
}

#[test]
fn ctrl_c_ends_a_wait() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut terminal = Terminal::start(&world.pathlock(["run", "job", "--", "echo", "ran"]));
    terminal.read_until("waiting");
    terminal.type_in("\x03");
    terminal.read_until("SIGINT");
    terminal.ends_with(130);
    assert_eq!(holder.end().code, 0);
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let world = World::new();
    // USR1 goes to pathlock and back: from then on it passes signals on. A second INT would come
    // back before the TERM does. The loop misses no signal, and the terminal's end ends it.
    let line = "n=0; trap 'echo ready' USR1; trap 'n=$((n+1)); kill -TERM $PPID' INT; \
                trap 'echo $n times; exit 4' TERM; kill -USR1 $PPID; while :; do :; done";
    let mut terminal = Terminal::start(&world.pathlock(["run", "job", "--", "sh", "-c", line]));
    terminal.read_until("ready");
    terminal.type_in("\x03");
    terminal.read_until("1 times");
    terminal.ends_with(4);
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
