//! `pathlock doctor`.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::world::{Finished, Running, World};

const SCHEMES: [&str; 6] = ["link", "symlink", "mkdir", "pid", "flock", "ofd"];

#[test]
fn a_sound_directory_has_a_row_for_each_scheme_and_exits_0() {
    let world = World::new();
    let doctor = world.run(&["doctor"]);
    assert_eq!((doctor.code, doctor.stderr.as_str()), (0, ""), "{}", doctor.stdout);
    let directory = world.path("");
    let directory = directory.to_string_lossy();
    assert!(doctor.stdout.starts_with(directory.trim_end_matches('/')), "it is named: {}", doctor.stdout);
    assert!(doctor.stdout.contains("flock(2) excludes"), "{}", doctor.stdout);
    for scheme in SCHEMES {
        let row = doctor.stdout.lines().find(|line| line.split_whitespace().next() == Some(scheme));
        assert!(
            row.is_some_and(|row| row.contains("yes")),
            "{scheme} was not seen to exclude: {}",
            doctor.stdout
        );
    }
    let advice = doctor.stdout.lines().last().expect("it says something");
    assert!(advice.contains("default scheme, link, excludes here"), "the last line is the advice: {advice}");
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
fn json_is_one_object_a_line_the_directory_each_scheme_and_the_advice() {
    let world = World::new();
    fs::create_dir(world.path("locks")).expect("it can be made");
    let doctor = world.run(&["doctor", "--json", "locks"]);
    assert_eq!((doctor.code, doctor.stderr.as_str()), (0, ""), "{}", doctor.stdout);
    let lines: Vec<Value> = doctor
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("`{line}`: {error}")))
        .collect();
    let [place, findings @ .., advice] = &lines[..] else { panic!("too few lines: {}", doctor.stdout) };

    let directory = world.path("locks");
    assert_eq!(place["directory"].as_str(), directory.to_str());
    assert!(place["filesystem"].is_string() && place["reach"].is_string(), "{place}");
    assert_eq!(place["flock"], "excludes", "{place}");
    let schemes: Vec<_> = findings.iter().filter_map(|finding| finding["scheme"].as_str()).collect();
    assert_eq!(schemes, SCHEMES, "each has its line");
    for finding in findings {
        assert_eq!(
            (&finding["excludes"], &finding["kill"]),
            (&"yes".into(), &"recovered".into()),
            "{finding}"
        );
        assert!(finding["recovered_us"].is_u64() && finding["wake_us"].is_u64(), "{finding}");
    }
    assert_eq!((&advice["scheme"], &advice["exit"]), (&"link".into(), &0.into()), "{advice}");
    assert!(advice["advice"].as_str().is_some_and(|advice| advice.contains("link")), "{advice}");
    assert_eq!(world.files(), ["locks"], "something was left");
    assert_eq!(fs::read_dir(directory).expect("it is there").count(), 0, "something was left in it");
}

#[test]
fn a_directory_that_cannot_be_tried_exits_73_and_says_why() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it can be written");
    // The last one can't be written by root either.
    for (directory, reason) in [
        ("missing", "no such directory"),
        ("file", "not a directory"),
        ("file/below", "file/below"),
        #[cfg(target_os = "linux")]
        ("/sys", "/sys"),
    ] {
        for args in [&["doctor", directory][..], &["doctor", "--json", directory]] {
            let failed = world.run(args);
            assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{args:?}: {}", failed.stderr);
            let told = if args.contains(&"--json") { "\"message\":\"can't " } else { "pathlock: can't " };
            assert!(failed.stderr.contains(told), "{args:?}: {}", failed.stderr);
            assert!(failed.stderr.contains(reason), "{args:?}: `{reason}` is not said: {}", failed.stderr);
        }
    }
    assert_eq!(world.files(), ["file"], "something was left");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let world = World::new();
    for args in
        [&["doctor", ""][..], &["doctor", "one", "two"], &["doctor", "--frobnicate"], &["doctor-worker"]]
    {
        let wrong = world.run(args);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (64, ""), "{args:?}: {}", wrong.stderr);
    }
}

#[test]
fn examples_come_first_in_the_help_and_workers_are_not_in_it() {
    let world = World::new();
    let help = world.run(&["doctor", "--help"]);
    let (examples, usage) = (help.stdout.find("Examples:"), help.stdout.find("Usage:"));
    assert!(help.code == 0 && examples.is_some() && examples < usage, "{}{}", help.stdout, help.stderr);
    let help = world.run(&["--help"]);
    assert!(help.stdout.contains("doctor") && !help.stdout.contains("doctor-worker"), "{}", help.stdout);
}

#[test]
fn nothing_is_left_after_a_signal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let world = World::new();
        let mut doctor = Running::start(world.pathlock(["doctor", "--json"]));
        // From here on there is something to clean up.
        doctor.read_line();
        doctor.signal(signal);
        let ended = doctor.end();
        assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains("ended it"), "{}", ended.stderr);
        assert_eq!(world.files(), [""; 0], "something was left");
    }
}

#[test]
fn a_worker_ends_and_lets_go_when_the_pipe_from_its_parent_does() {
    let world = World::new();
    for scheme in SCHEMES {
        let worker = || Running::start(world.pathlock(["doctor-worker", scheme, "job"]));
        let (mut holder, mut waiter) = (worker(), worker());
        holder.write("s");
        assert!(holder.read_line().starts_with(&format!("stay {} ", holder.pid())), "{scheme}: it holds it");
        waiter.write("s");
        assert!(waiter.read_line().starts_with(&format!("wait {} ", waiter.pid())), "{scheme}: it waits");

        let waiter = waiter.end();
        assert_eq!((waiter.code, waiter.stdout.as_str()), (0, ""), "{scheme}: the wait has ended");
        let pid = holder.pid();
        let holder = holder.end();
        assert!(holder.stdout.starts_with(&format!("leave {pid} ")), "{scheme}: {}", holder.stdout);
        assert_eq!(
            world.code(&["status", "--scheme", scheme, "--at", "job"]),
            0,
            "{scheme}: the lock is free again"
        );
    }
}

/// `pathlock doctor`, some of whose system calls are answered by strace(1).
#[cfg(target_os = "linux")]
fn doctor_with(world: &World, strace: &str) -> Finished {
    let line = format!(r#"exec strace -qq -o /dev/null {strace} "$PATHLOCK" doctor"#);
    Finished::of(world.shell(&line))
}

#[test]
#[cfg(target_os = "linux")]
fn where_there_are_no_hard_links_another_scheme_is_named_and_the_exit_code_is_1() {
    let world = World::new();
    let doctor = doctor_with(&world, "-f --seccomp-bpf -e trace=linkat -e inject=linkat:error=EPERM");
    assert_eq!((doctor.code, doctor.stderr.as_str()), (1, ""), "{}", doctor.stdout);
    let row = |scheme| doctor.stdout.lines().find(|line| line.split_whitespace().next() == Some(scheme));
    let link = row("link").expect("it has a row");
    assert!(link.contains("unsupported") && link.contains("Operation not permitted"), "{link}");
    let symlink = row("symlink").expect("it has a row");
    assert!(symlink.contains("yes"), "it needs none: {symlink}");
    let advice = doctor.stdout.lines().last().expect("it says something");
    assert!(advice.contains("link, is not supported") && advice.contains("--scheme symlink"), "{advice}");
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
#[cfg(target_os = "linux")]
fn a_flock_that_does_nothing_is_found_and_said() {
    let world = World::new();
    // Only for the process that tests it, and not for the workers.
    let doctor = doctor_with(&world, "-e trace=flock -e inject=flock:retval=0");
    assert!(doctor.stdout.contains("flock(2) does NOT exclude"), "{}{}", doctor.stdout, doctor.stderr);
}
