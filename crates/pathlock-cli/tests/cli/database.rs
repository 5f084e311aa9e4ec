//! Locks in a database.

use rustix::process::Signal;

use crate::world::{Finished, Running, World, json};

#[test]
fn named_locks_in_one_database_are_locks_of_their_own() {
    let world = World::new();
    let held = world.hold(&["sqlite:locks.db#one"]);
    let refused = world.run(&["run", "-n", "sqlite:locks.db#one", "--", "true"]);
    assert_eq!(refused.code, 75, "{}", refused.stderr);
    assert!(refused.stderr.contains(&format!("pid {}", held.pid())), "it says who: {}", refused.stderr);
    assert!(refused.stderr.contains("locks.db#one"), "and what: {}", refused.stderr);
    assert_eq!(world.code(&["run", "-n", "sqlite:locks.db#two", "--", "true"]), 0, "that is another");
    assert_eq!(world.code(&["status", "sqlite:locks.db#one"]), 1, "it is held");
    assert_eq!(held.end().code, 0);
    assert_eq!(world.code(&["status", "sqlite:locks.db#one"]), 0, "it is free");
}

#[test]
fn a_path_alone_has_its_database_beside_it() {
    let world = World::new();
    assert_eq!(world.code(&["run", "--scheme", "sqlite", "job", "--", "true"]), 0);
    assert!(world.files().contains(&"job.lock.db".to_owned()), "{:?}", world.files());
    let held = world.hold(&["sqlite:job"]);
    assert_eq!(
        world.code(&["run", "-n", "--scheme", "sqlite", "job", "--", "true"]),
        75,
        "both mean one lock"
    );
    assert_eq!(held.end().code, 0);
}

#[test]
fn the_command_has_a_token_that_grows() {
    let world = World::new();
    let token = || {
        let ran = world.run(&["run", "sqlite:locks.db#job", "--", "sh", "-c", "echo $PATHLOCK_TOKEN"]);
        ran.stdout.trim().parse::<u64>().unwrap_or_else(|_| panic!("a number: {ran:?}"))
    };
    let (first, second) = (token(), token());
    assert!(second > first, "{second} after {first}");
    let nested = ["run", "sqlite:locks.db#job", "--", env!("CARGO_BIN_EXE_pathlock"), "run", "job", "--"];
    let inner = world.run(&[&nested[..], &["sh", "-c", "echo ${PATHLOCK_TOKEN-none}"]].concat());
    assert_eq!(inner.stdout.trim(), "none", "a run within has not that of the run around it");
}

#[test]
fn the_status_shows_readers_and_who_waits() {
    let world = World::new();
    let readers = [world.hold(&["-s", "sqlite:locks.db#job"]), world.hold(&["-s", "sqlite:locks.db#job"])];
    let mut writer = Running::start(world.pathlock(["run", "sqlite:locks.db#job", "--", "true"]));
    assert!(writer.read_error_line().contains("waiting for"), "it says that it waits");
    let status = world.run(&["status", "--json", "sqlite:locks.db#job"]);
    let status = &json(&status.stdout)[0];
    assert_eq!(status["owner"]["pid"], readers[0].pid(), "{status}");
    assert_eq!(status["readers"][0]["pid"], readers[1].pid(), "{status}");
    assert_eq!(status["waiters"][0]["pid"], writer.pid(), "{status}");
    let words = world.run(&["status", "sqlite:locks.db#job"]).stdout;
    assert!(words.contains(&format!("waited for by pid {}", writer.pid())), "{words}");
    for reader in readers {
        assert_eq!(reader.end().code, 0);
    }
    assert_eq!(writer.end().code, 0);
}

#[test]
fn the_command_is_killed_with_its_wrapper_and_the_next_takes_over() {
    let world = World::new();
    let mut held = world.hold(&["sqlite:locks.db#job"]);
    held.signal(Signal::KILL);
    held.wait();
    let next = Finished::of(world.pathlock(["run", "-w", "60", "sqlite:locks.db#job", "--", "true"]));
    assert_eq!(next.code, 0, "{}", next.stderr);
}

#[test]
fn what_is_no_database_of_locks_is_left_alone() {
    let world = World::new();
    std::fs::write(world.path("notes"), "mine, and longer than a hundred bytes\n".repeat(9))
        .expect("it is ours");
    let refused = world.run(&["run", "sqlite:notes#job", "--", "true"]);
    assert_eq!(refused.code, 73, "{}", refused.stderr);
    assert!(refused.stderr.contains("left as it is"), "{}", refused.stderr);
}
