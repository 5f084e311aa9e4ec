//! `pathlock run` with several paths: all or none.

use crate::world::{Running, World};

const SCHEMES: [&str; 6] = ["link", "symlink", "mkdir", "pid", "flock", "ofd"];

#[test]
fn all_are_held_while_the_command_runs() {
    let world = World::new();
    let holder = world.hold(&["a", "b", "c"]);
    for path in ["a", "b", "c"] {
        assert_eq!(world.code(&["run", "-n", path, "--", "true"]), 75, "{path} is not held");
    }
    assert_eq!(holder.end().code, 0);
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
fn when_one_is_busy_none_is_left_held() {
    for scheme in SCHEMES {
        for (busy, free) in [("a", "b"), ("b", "a")] {
            let world = World::new();
            let holder = world.hold(&["--scheme", scheme, busy]);
            for option in ["-n", "-w.05"] {
                let args = ["run", option, "--scheme", scheme, "a", "b", "--", "echo", "ran"];
                let failed = world.run(&args);
                assert_eq!((failed.code, failed.stdout.as_str()), (75, ""), "{scheme}: {}", failed.stderr);
                let named = world.path(busy).display().to_string();
                assert!(failed.stderr.contains(&named), "{scheme}: {busy} is not named: {}", failed.stderr);
                let args = ["run", "-n", "--scheme", scheme, free, "--", "true"];
                assert_eq!(world.code(&args), 0, "{scheme}: {free} was left held");
            }
            assert_eq!(world.code(&["status", "--scheme", scheme, busy]), 1, "{scheme}: its holder has it");
            assert_eq!(holder.end().code, 0, "{scheme}");
        }
    }
}

#[test]
fn when_one_cannot_be_locked_none_is_left_held() {
    let world = World::new();
    let failed = world.run(&["run", "a", "missing/b", "--", "echo", "ran"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{}", failed.stderr);
    assert!(failed.stderr.contains("missing/b"), "{}", failed.stderr);
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
fn opposite_orders_do_not_deadlock() {
    let world = World::new();
    // Whoever comes first has to wait for b with a in hand; if the other took b first, neither would
    // ever get the second.
    let holder = world.hold(&["b"]);
    let runs = [["a", "b"], ["b", "a"]].map(|[one, two]| {
        let mut run = Running::start(world.pathlock(["run", one, two, "--", "echo", "ran"]));
        assert!(run.read_error_line().contains("waiting for"));
        run
    });
    assert_eq!(holder.end().code, 0);
    for run in runs {
        let finished = run.end();
        assert_eq!((finished.code, finished.stdout.as_str()), (0, "ran\n"), "{}", finished.stderr);
    }
}

#[test]
fn many_in_all_orders_all_get_their_turn() {
    let world = World::new();
    let turn = ["--", "sh", "-c", "mkdir inside && rmdir inside"];
    let orders = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["c", "a", "b"]];
    let runs: Vec<Running> = orders
        .iter()
        .cycle()
        .take(12)
        .map(|order| Running::start(world.pathlock([&["run", "-q"], &order[..], &turn].concat())))
        .collect();
    for run in runs {
        let finished = run.end();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
    }
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
fn one_path_given_twice_is_locked_once() {
    for scheme in SCHEMES {
        let world = World::new();
        let other = format!("../{}/job", world.path("").file_name().expect("a name").display());
        let args = ["run", "-n", "--scheme", scheme, "job", "./job", &other, "--", "echo", "ran"];
        let ran = world.run(&args);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "ran\n"), "{scheme}: {}", ran.stderr);
    }
}

#[test]
fn the_time_to_wait_is_for_all_together() {
    let world = World::new();
    let first = world.hold(&["a"]);
    let second = world.hold(&["b"]);
    let mut waiter = Running::start(world.pathlock(["run", "-w", "0.5", "a", "b", "--", "echo", "ran"]));
    let began = std::time::Instant::now();
    assert!(waiter.read_error_line().contains("a, held by"), "it waits for the first");
    assert_eq!(first.end().code, 0);
    let finished = waiter.end();
    assert_eq!((finished.code, finished.stdout.as_str()), (75, ""), "{}", finished.stderr);
    assert!(began.elapsed() < std::time::Duration::from_secs(30), "the wait has no end");
    assert_eq!(second.end().code, 0);
    assert_eq!(world.code(&["run", "-n", "a", "--", "true"]), 0, "the first was left held");
}

#[test]
fn schemes_can_be_mixed() {
    let world = World::new();
    let holder = world.hold(&["mkdir:a", "flock:b", "c"]);
    assert!(world.path("a.lock").is_dir(), "mkdir makes a directory");
    assert_eq!(world.code(&["run", "-n", "flock:b", "--", "true"]), 75);
    assert_eq!(world.code(&["run", "-n", "link:c", "--", "true"]), 75);
    assert_eq!(holder.end().code, 0);
    assert_eq!(world.files(), ["b.lock"], "only the file of flock stays");
}

#[test]
fn one_path_by_two_schemes_is_refused() {
    for (one, other) in [("link:job", "mkdir:job"), ("flock:job", "ofd:job")] {
        let world = World::new();
        let ran = world.run(&["run", one, other, "--", "echo", "ran"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (64, ""), "{one} {other}: {}", ran.stderr);
        assert!(ran.stderr.contains("named twice, by two schemes"), "{}", ran.stderr);
        assert_eq!(world.code(&["run", "-n", one, "--", "true"]), 0, "the first was left held");
    }
}
