//! `pathlock status`.

use std::fs;

use crate::world::World;

#[test]
fn a_free_lock_is_free_and_looking_makes_nothing() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
        let status = world.run(&["status", "--scheme", scheme, "job"]);
        assert_eq!((status.code, status.stderr.as_str()), (0, ""), "{scheme}");
        assert_eq!(status.stdout, format!("{}: free\n", world.path("job").display()), "{scheme}");
    }
    assert_eq!(world.files(), [""; 0], "something was made");
}

#[test]
fn a_held_lock_names_its_holder() {
    let world = World::new();
    for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
        let holder = world.hold(&["--scheme", scheme, scheme]);
        let status = world.run(&["status", "--scheme", scheme, scheme]);
        assert_eq!(status.code, 1, "{scheme}: {}{}", status.stdout, status.stderr);
        let expected = format!("{}: held by pid {} (sh -c", world.path(scheme).display(), holder.pid());
        assert!(status.stdout.starts_with(&expected), "{scheme}: not `{expected}`: {}", status.stdout);
        assert_eq!(holder.end().code, 0);
        assert_eq!(world.code(&["status", "--scheme", scheme, scheme]), 0, "{scheme}: it is free again");
    }
}

#[test]
fn what_another_program_holds_is_unknown_and_counts_as_held() {
    let world = World::new();
    // The pid says too little to prove a death by it; an empty file says nothing at all.
    for record in ["1\n", ""] {
        fs::write(world.path("job.lock"), record).expect("it can be written");
        let status = world.run(&["status", "job"]);
        assert_eq!(status.code, 1, "`{record}`: {}{}", status.stdout, status.stderr);
        assert!(status.stdout.contains(": unknown"), "`{record}`: {}", status.stdout);
    }
}

#[test]
fn every_path_is_answered_and_the_worst_one_is_the_code() {
    let world = World::new();
    let holder = world.hold(&["held"]);
    let both = world.run(&["status", "free", "held"]);
    let paths = both.stdout.lines().filter(|line| !line.starts_with(' ')).count();
    assert_eq!((both.code, paths), (1, 2), "{}", both.stdout);
    let bad = world.run(&["status", "missing/job", "held"]);
    assert_eq!(bad.code, 73, "{}{}", bad.stdout, bad.stderr);
    assert!(bad.stderr.starts_with("pathlock: ") && bad.stderr.contains("missing"), "{}", bad.stderr);
    assert!(bad.stdout.contains("held by pid"), "an error hides no other answer: {}", bad.stdout);
    assert_eq!(holder.end().code, 0);
}

#[test]
#[cfg(target_os = "linux")]
fn an_answer_that_cannot_be_written_is_an_error() {
    let world = World::new();
    let full = world.shell(r#"exec "$PATHLOCK" status job >/dev/full"#);
    assert_eq!(crate::world::Finished::of(full).code, 74);
}
