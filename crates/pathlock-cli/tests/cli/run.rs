//! `pathlock run` when the lock is free: the command, and how it ends.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use crate::world::{INHERITED, Running, World};

#[test]
fn the_exit_code_is_that_of_the_command() {
    let world = World::new();
    for code in [0, 1, 7, 75, 255] {
        assert_eq!(world.code(&["run", "job", "--", "sh", "-c", &format!("exit {code}")]), code);
    }
}

#[test]
fn a_command_killed_by_a_signal_gives_128_and_its_number() {
    let world = World::new();
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("PIPE", 141)] {
        let killed = world.run(&["run", "job", "--", "sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!(killed.code, code, "{signal}: {}", killed.stderr);
    }
}

#[test]
fn a_command_that_is_not_found_gives_127() {
    let world = World::new();
    fs::write(world.path("script"), "#!/no/such/interpreter\n").expect("it can be written");
    fs::set_permissions(world.path("script"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    for (command, hint) in [
        ("no-such-command", "not found"),
        ("./no-such-command", "not found"),
        ("echo hello", "-c 'LINE'"),
        ("./script", "interpreter"),
    ] {
        let failed = world.run(&["run", "job", "--", command]);
        assert_eq!(failed.code, 127, "{command}: {}", failed.stderr);
        assert!(failed.stderr.contains(command), "{command} is not named: {}", failed.stderr);
        assert!(failed.stderr.contains(hint), "{command}: no word of `{hint}`: {}", failed.stderr);
        assert!(failed.stderr.contains("the lock was released"), "{command}: {}", failed.stderr);
    }
    assert_eq!(world.files(), ["script"], "a lock was left behind");
}

#[test]
fn a_command_that_cannot_be_run_gives_126() {
    let world = World::new();
    fs::write(world.path("letter"), "Dear Sir,\n").expect("it can be written");
    for command in ["./letter", "/"] {
        let failed = world.run(&["run", "job", "--", command]);
        assert_eq!(failed.code, 126, "{command}: {}", failed.stderr);
        assert!(failed.stderr.contains("the lock was released"), "{command}: {}", failed.stderr);
    }
    assert_eq!(world.files(), ["letter"], "a lock was left behind");
}

#[test]
fn the_streams_are_those_of_the_command() {
    let world = World::new();
    let mut running = Running::start(world.pathlock(["run", "job", "--", "sh", "-c", "cat; echo done >&2"]));
    running.write("one\ntwo\n");
    let finished = running.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "one\ntwo\n"), "{}", finished.stderr);
    assert_eq!(finished.stderr, "done\n", "pathlock has nothing to say about a lock that was free");
}

#[test]
fn arguments_reach_the_command_as_they_are() {
    let world = World::new();
    let args = [
        OsStr::new("a b"),
        OsStr::new(""),
        OsStr::new("--help"),
        OsStr::new("-n"),
        OsStr::from_bytes(b"\xff"),
    ];
    let show = ["run", "job", "--", "printf", "<%s>"].map(OsStr::new);
    let output = world.pathlock([&show[..], &args].concat()).output().expect("it runs");
    assert_eq!(output.stdout, b"<a b><><--help><-n><\xff>");
}

#[test]
fn every_scheme_excludes_a_second_run_and_lets_the_next_one_in() {
    let world = World::new();
    for scheme in [&INHERITED[..], &["symlink"]].concat() {
        let first = world.hold(&["--scheme", scheme, scheme]);
        let by_option = world.run(&["run", "-n", "--scheme", scheme, scheme, "--", "echo", "ran"]);
        assert_eq!((by_option.code, by_option.stdout.as_str()), (75, ""), "{scheme}: {}", by_option.stderr);
        let spec = format!("{scheme}:{scheme}");
        assert_eq!(world.code(&["run", "-n", &spec, "--", "true"]), 75, "{spec} is another lock");
        assert_eq!(first.end().code, 0, "{scheme}: the first run failed");
        assert_eq!(world.code(&["run", "-n", &spec, "--", "true"]), 0, "{scheme} was left locked");
    }
}

#[test]
fn no_scheme_that_removes_its_lock_file_leaves_anything() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir"] {
        let ran = world.run(&["run", "--scheme", scheme, "job", "--", "ls"]);
        assert!(ran.stdout.contains("job.lock"), "{scheme}: it was not locked: {}", ran.stdout);
        assert_eq!(world.files(), [""; 0], "{scheme} left something");
    }
}

#[test]
fn at_names_the_lock_file_itself() {
    let world = World::new();
    let ran = world.run(&["run", "--at", "job.lck", "--", "ls"]);
    assert!(ran.stdout.lines().any(|name| name == "job.lck"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("job.lck.lock"), "{}", ran.stdout);
    let ran = world.run(&["run", "--at", "mkdir:job.lck", "--", "test", "-d", "job.lck"]);
    assert_eq!(ran.code, 0, "a scheme before the path counts too: {}", ran.stderr);
}

#[test]
fn a_lock_that_is_broken_while_the_command_runs_is_told() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir", "pid"] {
        let lock_file = if scheme == "pid" { "job" } else { "job.lock" };
        let remove = format!("rm -r {lock_file}; exit $0");
        let lost = world.run(&["run", "--scheme", scheme, "job", "--", "sh", "-c", &remove, "0"]);
        assert_eq!(lost.code, 76, "{scheme}: {}", lost.stderr);
        assert!(lost.stderr.contains("broken while the command ran"), "{scheme}: {}", lost.stderr);
        let failed = world.run(&["run", "--scheme", scheme, "job", "--", "sh", "-c", &remove, "3"]);
        assert_eq!(failed.code, 3, "{scheme}: the command's own failure counts more: {}", failed.stderr);
        assert!(failed.stderr.contains("broken while the command ran"), "{scheme}: {}", failed.stderr);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn signals_that_were_ignored_stay_ignored() {
    let world = World::new();
    let line = r#"trap '' HUP; "$PATHLOCK" run job -- sh -c 'kill -HUP $$; kill -HUP $PPID; echo alive'"#;
    let finished = crate::world::Finished::of(world.shell(line));
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "alive\n"), "{}", finished.stderr);
}

#[test]
fn a_log_that_nobody_reads_any_more_changes_nothing() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut busy = world.pathlock(["run", "-w", "20ms", "job", "--", "true"]);
    let code = busy.stderr(writer).status().expect("it runs").code();
    assert_eq!(code, Some(75), "it goes on although it can't say why it waits");
    assert_eq!(holder.end().code, 0);
}
