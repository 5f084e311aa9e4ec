//! `pathlock break`. Stale locks are in [`crate::survival`].

use std::fs;

use crate::world::{World, json};

#[test]
fn there_is_nothing_to_break_on_a_free_lock() {
    let world = World::new();
    for args in [&["break", "job"][..], &["break", "--force", "job"]] {
        let broken = world.run(args);
        assert_eq!(broken.code, 0, "{args:?}: {}", broken.stderr);
        assert!(broken.stdout.contains("nothing to break"), "{args:?}: {}", broken.stdout);
    }
}

#[test]
fn a_live_holder_is_not_broken_without_force() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir"] {
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let refused = world.run(&["break", "--scheme", scheme, "job"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (75, ""), "{scheme}: {}", refused.stderr);
        for word in [&format!("pid {}", holder.pid()), "--force"] {
            assert!(refused.stderr.contains(word), "{scheme}: no word of `{word}`: {}", refused.stderr);
        }
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 1, "{scheme}: it is held");

        let forced = world.run(&["break", "--force", "--scheme", scheme, "job"]);
        assert_eq!(forced.code, 0, "{scheme}: {}", forced.stderr);
        assert_eq!(
            world.code(&["run", "-n", "--scheme", scheme, "job", "--", "true"]),
            0,
            "{scheme}: it is free"
        );
        let told = holder.end();
        assert_eq!(told.code, 76, "{scheme}: the holder is told: {}", told.stderr);
    }
}

#[test]
fn what_another_program_may_hold_is_not_broken_without_force() {
    let world = World::new();
    fs::write(world.path("job.lock"), "1\n").expect("it can be written");
    let refused = world.run(&["break", "job"]);
    assert_eq!(refused.code, 75, "{}", refused.stderr);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(world.files(), ["job.lock"], "it was left alone");
    assert_eq!(world.code(&["break", "--force", "job"]), 0);
    assert_eq!(world.files(), [""; 0], "it was removed");
}

#[test]
fn what_is_no_lock_is_not_broken_even_by_force() {
    let world = World::new();
    fs::write(world.path("letter"), "Dear Sir,\n").expect("it can be written");
    let failed = world.run(&["break", "--force", "--at", "letter"]);
    assert_eq!(failed.code, 73, "{}{}", failed.stdout, failed.stderr);
    assert_eq!(world.files(), ["letter"]);
}

#[test]
fn a_lock_is_broken_if_it_is_the_owners_that_was_named() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir", "pid"] {
        let holder = world.hold(&["--scheme", scheme, "job"]);
        let wrong = world.run(&["break", "--if-owner", "1", "--scheme", scheme, "job"]);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (75, ""), "{scheme}: {}", wrong.stderr);
        for word in ["pid 1 does not own it", &format!("pid {}", holder.pid())] {
            assert!(wrong.stderr.contains(word), "{scheme}: no word of `{word}`: {}", wrong.stderr);
        }
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 1, "{scheme}: it is held");

        let owner = holder.pid().to_string();
        let right = world.run(&["break", "--if-owner", &owner, "--scheme", scheme, "job"]);
        assert_eq!(right.code, 0, "{scheme}: {}", right.stderr);
        assert!(right.stdout.contains("broken"), "{scheme}: {}", right.stdout);
        assert_eq!(world.code(&["status", "--scheme", scheme, "job"]), 0, "{scheme}: it is free");
        assert_eq!(holder.end().code, 76, "{scheme}: the holder is told");
    }
    let both = world.run(&["break", "--if-owner", "1", "--force", "job"]);
    assert_eq!(both.code, 64, "{}", both.stderr);
}

#[test]
fn what_was_broken_is_told_in_json() {
    let world = World::new();
    let free = json(&world.run(&["break", "--json", "job"]).stdout).remove(0);
    assert_eq!(free["state"], "free", "{free}");
    let holder = world.hold(&["job"]);
    let broken = json(&world.run(&["break", "--json", "--force", "job"]).stdout).remove(0);
    assert_eq!(
        (&broken["state"], &broken["owner"]["pid"]),
        (&"held".into(), &holder.pid().into()),
        "{broken}"
    );
    assert_eq!(broken["lock_file"], world.path("job.lock").display().to_string(), "{broken}");
    assert_eq!(holder.end().code, 76);
}
