//! Who holds and who waits, as `pathlock status` shows it.

use rustix::process::Signal;

use crate::survival;
use crate::world::{INHERITED, Running, World, json, until_waited_for};

/// The lines about processes below the line about the lock.
fn contenders(stdout: &str) -> Vec<&str> {
    stdout.lines().skip(1).map(str::trim_start).collect()
}

#[test]
fn waiters_are_listed() {
    for scheme in ["link", "mkdir", "flock", "ofd"] {
        let world = World::new();
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let waiters: Vec<Running> = (0..2)
            .map(|_| {
                let args = ["run", "--scheme", scheme, "job", "--", "true"];
                let mut waiter = Running::start(world.pathlock(args));
                assert!(waiter.read_error_line().contains("waiting for"), "{scheme}");
                waiter
            })
            .collect();
        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!(status.code, 1, "{scheme}: {}", status.stderr);
        for waiter in &waiters {
            let expected = format!("waited for by pid {} (", waiter.pid());
            let found = contenders(&status.stdout).into_iter().filter(|line| line.starts_with(&expected));
            assert_eq!(found.count(), 1, "{scheme}: no one line `{expected}`: {}", status.stdout);
        }
        let seen = json(&world.run(&["status", "--json", "--scheme", scheme, "job"]).stdout).remove(0);
        let mut pids: Vec<u64> = seen["waiters"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|waiter| waiter["pid"].as_u64().expect("a number"))
            .collect();
        pids.sort_unstable();
        let mut expected: Vec<u64> = waiters.iter().map(|waiter| waiter.pid().into()).collect();
        expected.sort_unstable();
        assert_eq!(pids, expected, "{scheme}: {seen}");
        assert!(seen["waiters"][0]["command"].as_str().is_some_and(|text| text.contains("run")), "{seen}");
        let holders = seen["holders"].as_array().expect("a list");
        let strangers = holders.iter().filter(|one| expected.contains(&one["pid"].as_u64().unwrap_or(0)));
        assert_eq!(strangers.count(), 0, "{scheme}: a waiter holds nothing: {seen}");
        assert_eq!(holder.end().code, 0, "{scheme}");
        for waiter in waiters {
            assert_eq!(waiter.end().code, 0, "{scheme}");
        }
    }
}

#[test]
fn a_waiter_of_another_program_is_listed() {
    let world = World::new();
    let holder = world.hold(&["--scheme", "flock", "--at", "file"]);
    let waiter = Running::start(world.flock(["file", "true"]));
    until_waited_for(&world.path("file"));
    let status = world.run(&["status", "--scheme", "flock", "--at", "file"]);
    let expected = format!("waited for by pid {} (flock file true)", waiter.pid());
    assert!(contenders(&status.stdout).contains(&expected.as_str()), "no `{expected}`: {}", status.stdout);
    assert_eq!(holder.end().code, 0);
    assert_eq!(waiter.end().code, 0);
}

#[test]
fn a_holder_of_another_program_is_listed() {
    let world = World::new();
    let holder = world.hold_by_flock(&[], "file");
    let status = world.run(&["status", "--scheme", "flock", "--at", "file"]);
    assert_eq!(status.code, 1);
    let expected = format!("held too by pid {} (flock file", holder.pid());
    assert!(
        contenders(&status.stdout).iter().any(|line| line.starts_with(&expected)),
        "no `{expected}`: {}",
        status.stdout
    );
    assert_eq!(holder.end().code, 0);
}

#[test]
fn readers_are_all_listed() {
    for scheme in ["flock", "ofd"] {
        let world = World::new();
        let readers = [(); 2].map(|()| world.hold(&["-s", "--scheme", scheme, "job"]));
        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!(status.code, 1, "{scheme}: {}", status.stderr);
        assert!(status.stdout.contains("readers"), "{scheme}: {}", status.stdout);
        for reader in &readers {
            let expected = format!("held too by pid {} (", reader.pid());
            assert!(status.stdout.contains(&expected), "{scheme}: no `{expected}`: {}", status.stdout);
        }
        for reader in readers {
            assert_eq!(reader.end().code, 0, "{scheme}");
        }
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 0, "{scheme}");
    }
}

#[test]
fn who_has_inherited_the_lock_of_a_dead_owner_is_named() {
    for scheme in INHERITED {
        let world = World::new();
        let (mut running, command) = survival::hold(&world, scheme);
        running.signal(Signal::KILL);
        running.wait();
        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!(status.code, 1, "{scheme}: {}", status.stderr);
        let owner = format!(": held by pid {}", running.pid());
        assert!(status.stdout.contains(&owner), "{scheme}: no `{owner}`: {}", status.stdout);
        assert!(status.stdout.contains("has ended"), "{scheme}: {}", status.stdout);
        let heir = format!("held too by pid {} (cat)", command.pid.as_raw_nonzero());
        assert_eq!(contenders(&status.stdout), [heir], "{scheme}");
        let seen = json(&world.run(&["status", "--json", "--scheme", scheme, "job"]).stdout).remove(0);
        assert_eq!((&seen["state"], &seen["owner"]["liveness"]), (&"held".into(), &"dead".into()), "{seen}");
        assert_eq!(seen["holders"][0]["pid"], command.pid.as_raw_nonzero().get(), "{seen}");
        running.close_stdin();
        command.wait();
    }
}
