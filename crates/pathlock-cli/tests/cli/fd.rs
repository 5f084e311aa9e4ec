//! `pathlock fd`: the lock of a file that the shell has open.

use std::time::{Duration, Instant};

use crate::world::{Finished, Running, World, json, until_waited_for};

#[test]
fn the_lock_is_held_until_the_shell_closes_the_file() {
    let world = World::new();
    let line = "exec 9>job; \"$PATHLOCK\" fd 9; echo $?; read x; exec 9>&-; echo closed; read x";
    let mut shell = Running::start(world.shell(line));
    assert_eq!(shell.read_line(), "0");
    assert!(world.is_flocked(&[], "job"), "pathlock has ended, and the shell holds the lock");
    assert_eq!(world.code(&["run", "-n", "--scheme", "flock", "--at", "job", "--", "true"]), 75);
    shell.write("\n");
    assert_eq!(shell.read_line(), "closed");
    assert!(!world.is_flocked(&[], "job"), "the file is closed");
    shell.end();
}

#[test]
fn the_lock_is_gone_when_the_shell_is() {
    let world = World::new();
    let mut shell = Running::start(world.shell("exec 9>job; \"$PATHLOCK\" fd 9; echo $?; read x"));
    assert_eq!(shell.read_line(), "0");
    assert!(world.is_flocked(&[], "job"));
    shell.signal(rustix::process::Signal::KILL);
    shell.wait();
    assert!(!world.is_flocked(&[], "job"), "nobody has the file open");
}

#[test]
fn unlock_lets_it_go_before_that() {
    let world = World::new();
    let line = "exec 9>job; \"$PATHLOCK\" fd 9; \"$PATHLOCK\" fd -u 9; echo $?; read x";
    let mut shell = Running::start(world.shell(line));
    assert_eq!(shell.read_line(), "0");
    assert!(!world.is_flocked(&[], "job"), "the file is open, and the lock is free");
    shell.end();
}

#[test]
fn unlock_does_not_say_that_it_got_the_lock() {
    let world = World::new();
    for option in ["-v", "--json"] {
        let line = format!("exec 9>job; \"$PATHLOCK\" fd 9; \"$PATHLOCK\" fd -u {option} 9");
        let finished = Finished::of(world.shell(&line));
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        for word in ["got", "acquired"] {
            assert!(!finished.stderr.contains(word), "{option}: {}", finished.stderr);
        }
    }
}

#[test]
fn readers_share() {
    let world = World::new();
    let line = "exec 9>job; \"$PATHLOCK\" fd -s 9; echo $?; read x";
    let mut shells = [line, line].map(|line| Running::start(world.shell(line)));
    for shell in &mut shells {
        assert_eq!(shell.read_line(), "0");
    }
    assert!(world.is_flocked(&[], "job") && !world.is_flocked(&["-s"], "job"));
    for shell in shells {
        shell.end();
    }
}

#[test]
fn a_wait_in_vain_ends_in_time_and_leaves_nothing() {
    let world = World::new();
    let holder = world.hold_by_flock(&[], "job");
    let line =
        "exec 9>job; \"$PATHLOCK\" fd -w 0.2 9; echo $?; read x; grep -c lock: /proc/$$/fdinfo/9; read x";
    let began = Instant::now();
    let mut shell = Running::start(world.shell(line));
    assert_eq!(shell.read_line(), "75");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(200), "too early: {waited:?}");
    assert!(waited < Duration::from_secs(30), "too late: {waited:?}");
    let message = shell.read_error_line();
    assert!(message.contains("descriptor 9") && message.contains("locked by another"), "{message}");
    assert_eq!(holder.end().code, 0);
    shell.write("\n");
    assert_eq!(shell.read_line(), "0", "the shell has no lock, though it is free by now");
    assert!(!world.is_flocked(&[], "job"));
    shell.end();
}

#[test]
fn a_wait_ends_when_the_lock_is_free() {
    let world = World::new();
    for options in ["", "-w 1h", "-s -w 1h"] {
        let holder = world.hold_by_flock(&[], "job");
        let line = format!("exec 9>job; \"$PATHLOCK\" fd -v {options} 9; echo $?; read x");
        let mut shell = Running::start(world.shell(&line));
        until_waited_for(&world.path("job"));
        assert_eq!(holder.end().code, 0);
        assert_eq!(shell.read_line(), "0", "{options}");
        let message = shell.read_error_line();
        assert!(message.contains("got the lock of descriptor 9 after"), "{options}: {message}");
        assert!(world.is_flocked(&[], "job"), "{options}: the shell has it");
        shell.end();
    }
}

#[test]
fn a_success_in_json_says_how_long_it_took() {
    let world = World::new();
    let got = Finished::of(world.shell("exec 9>job; exec \"$PATHLOCK\" fd --json -w 1h 9"));
    let event = json(&got.stderr).remove(0);
    assert_eq!((&event["event"], &event["mode"]), (&"acquired".into(), &"exclusive".into()), "{event}");
    assert_eq!(event["paths"][0], "fd 9", "{event}");
}

/// The holder lets go at about the moment at which the time is up.
#[test]
fn it_succeeds_if_and_only_if_the_lock_is_held_afterwards() {
    let world = World::new();
    for round in 0..20 {
        let mut holder = world.hold_by_flock(&[], "job");
        let microseconds = 1_000 + 400 * round;
        let line = format!(
            "exec 9>job; echo go; \"$PATHLOCK\" fd -w 0.{microseconds:06} 9 2>/dev/null; echo $?; read x"
        );
        let mut shell = Running::start(world.shell(&line));
        assert_eq!(shell.read_line(), "go");
        holder.close_stdin();
        let code = shell.read_line();
        assert_eq!(holder.end().code, 0, "from here on nobody but the shell can have it");
        assert!(code == "0" || code == "75", "{microseconds} us: {code}");
        assert_eq!(world.is_flocked(&[], "job"), code == "0", "{microseconds} us: it exited {code}");
        shell.end();
    }
}

#[test]
fn a_number_that_is_none_or_not_open_is_told_from_a_lock_that_is_busy() {
    let world = World::new();
    for (number, code, hint) in [
        ("9", 73, "exec 9>FILE"),
        ("1000000", 73, "exec 1000000>FILE"),
        ("nine", 64, "exec 9>FILE"),
        ("-1", 64, "exec 9>FILE"),
        ("99999999999", 64, "exec 9>FILE"),
        ("", 64, "exec 9>FILE"),
    ] {
        let failed = world.run(&["fd", "-n", number]);
        assert_eq!(failed.code, code, "`{number}`: {}", failed.stderr);
        assert!(failed.stderr.contains(hint), "`{number}`: no word of `{hint}`: {}", failed.stderr);
    }
    let pipe = Finished::of(world.shell("true | \"$PATHLOCK\" fd -n 0"));
    assert!(pipe.code == 0 || pipe.code == 73, "{}", pipe.stderr);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let world = World::new();
    for args in [&["-u", "-n"][..], &["-u", "-s"], &["-s", "-x"], &["-n", "-w", "1"], &["-q", "-v"]] {
        let wrong = world.run(&[&["fd"], args, &["9"]].concat());
        assert_eq!(wrong.code, 64, "{args:?}: {}", wrong.stderr);
        assert!(wrong.stderr.contains("cannot be used with"), "{args:?}: {}", wrong.stderr);
    }
}
