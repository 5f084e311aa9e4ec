//! What is told: `-v`, and `--on-busy=skip`.

use crate::world::{Running, World, json};

#[test]
fn verbose_tells_how_long_it_took_and_when_it_was_let_go() {
    let world = World::new();
    let ran = world.run(&["run", "-v", "a", "b", "--", "sh", "-c", "echo between >&2"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let paths = format!("{}, {}", world.path("a").display(), world.path("b").display());
    assert_eq!((ran.code, lines.len()), (0, 3), "{}", ran.stderr);
    assert!(lines[0].starts_with(&format!("pathlock: got {paths} after 0.")), "{}", lines[0]);
    assert_eq!(lines[1], "between");
    assert!(lines[2].starts_with(&format!("pathlock: released {paths} after ")), "{}", lines[2]);
}

#[test]
fn verbose_tells_of_a_wait_too() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut waiter = Running::start(world.pathlock(["run", "-v", "job", "--", "true"]));
    assert!(waiter.read_error_line().starts_with("pathlock: waiting for "));
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    let lines: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!((finished.code, lines.len()), (0, 2), "{}", finished.stderr);
    assert!(lines[0].starts_with("pathlock: got ") && lines[1].starts_with("pathlock: released "));
}

#[test]
fn a_run_that_is_skipped_is_a_success_and_says_why_in_one_line() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    for option in [&[][..], &["-w", "1h"], &["-E", "9"]] {
        let args = [&["run", "--on-busy=skip"], option, &["job", "--", "echo", "ran"]].concat();
        let skipped = world.run(&args);
        assert_eq!((skipped.code, skipped.stdout.as_str()), (0, ""), "{option:?}: {}", skipped.stderr);
        assert_eq!(skipped.stderr.lines().count(), 1, "{option:?}: {}", skipped.stderr);
        for word in ["skipped", "job", &format!("pid {}", holder.pid())] {
            assert!(skipped.stderr.contains(word), "{option:?}: no word of `{word}`: {}", skipped.stderr);
        }
    }
    let quiet = world.run(&["run", "-q", "--on-busy=skip", "job", "--", "echo", "ran"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
    assert_eq!(holder.end().code, 0);
}

#[test]
fn a_run_that_is_skipped_says_so_in_json() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let skipped = world.run(&["run", "--json", "--on-busy=skip", "job", "--", "echo", "ran"]);
    assert_eq!((skipped.code, skipped.stdout.as_str()), (0, ""), "{}", skipped.stderr);
    let [event] = &json(&skipped.stderr)[..] else { panic!("not one line: {}", skipped.stderr) };
    assert_eq!(event["event"], "skipped");
    let message = event["message"].as_str().expect("a text");
    assert!(message.contains(&format!("pid {}", holder.pid())), "{message}");
    assert_eq!(holder.end().code, 0);
}

#[test]
fn skipping_is_for_busy_locks_alone() {
    let world = World::new();
    let ran = world.run(&["run", "--on-busy=skip", "job", "--", "sh", "-c", "echo ran; exit 75"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (75, "ran\n"), "it was free: {}", ran.stderr);
    let failed = world.run(&["run", "--on-busy=skip", "missing/job", "--", "echo", "ran"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{}", failed.stderr);
    let fail = world.hold(&["job"]);
    assert_eq!(world.code(&["run", "-n", "--on-busy=fail", "job", "--", "true"]), 75);
    assert_eq!(fail.end().code, 0);
}
