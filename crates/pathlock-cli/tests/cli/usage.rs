//! Help, wrong arguments, and paths that can't be locked.

use std::fs;

use crate::world::World;

#[test]
fn help_and_version_are_answers_and_not_errors() {
    let world = World::new();
    for args in [&["--help"][..], &["run", "--help"], &["status", "--help"], &["break", "--help"]] {
        let help = world.run(args);
        assert_eq!(help.code, 0, "{args:?}: {}", help.stderr);
        let (examples, usage) = (help.stdout.find("Examples:"), help.stdout.find("Usage:"));
        assert!(examples.is_some() && examples < usage, "{args:?}: examples come first: {}", help.stdout);
    }
    let version = world.run(&["--version"]);
    assert_eq!((version.code, version.stdout.trim()), (0, concat!("pathlock ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn arguments_that_make_no_sense_exit_64_and_say_why() {
    let world = World::new();
    for args in [
        &[][..],
        &["frobnicate"],
        &["run"],
        &["run", "job"],
        &["run", "job", "--"],
        &["run", "job", "true"],
        &["run", "-n", "-w", "1", "job", "--", "true"],
        &["run", "-w", "-1", "job", "--", "true"],
        &["run", "-w", "soon", "job", "--", "true"],
        &["run", "-w", "nan", "job", "--", "true"],
        &["run", "-E", "256", "job", "--", "true"],
        &["run", "-E", "-1", "job", "--", "true"],
        &["run", "--scheme", "telepathy", "job", "--", "true"],
        &["run", "--frobnicate", "job", "--", "true"],
        &["run", "", "--", "true"],
        &["run", "mkdir:", "--", "true"],
        &["status", ""],
        &["status"],
        &["break"],
        &["break", "one", "two"],
    ] {
        let wrong = world.run(args);
        assert_eq!(wrong.code, 64, "{args:?}: {}", wrong.stderr);
        assert!(!wrong.stderr.is_empty(), "{args:?}: no reason was given");
        assert_eq!(wrong.stdout, "", "{args:?}: an error was printed as an answer");
    }
    assert_eq!(world.files(), [""; 0], "something was made all the same");
}

#[test]
fn an_unknown_scheme_is_answered_with_those_there_are() {
    let world = World::new();
    for args in
        [&["run", "--scheme", "telepathy", "job", "--", "true"][..], &["status", "--scheme", "Link", "job"]]
    {
        let wrong = world.run(args);
        assert_eq!(wrong.code, 64, "{args:?}: {}", wrong.stderr);
        for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
            assert!(wrong.stderr.contains(scheme), "{args:?}: {scheme} is not listed: {}", wrong.stderr);
        }
    }
}

#[test]
fn a_lock_file_that_cannot_be_made_exits_73_and_says_which() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it can be written");
    // The last one is read-only for root too.
    for path in [
        "missing/job",
        "file/job",
        #[cfg(target_os = "linux")]
        "/sys/job",
    ] {
        let failed = world.run(&["run", path, "--", "echo", "ran"]);
        assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{path}: {}", failed.stderr);
        assert!(failed.stderr.starts_with("pathlock: "), "{path}: {}", failed.stderr);
        assert!(failed.stderr.contains(path), "{path} is not named: {}", failed.stderr);
    }
}

#[test]
fn what_is_no_lock_is_left_alone() {
    let world = World::new();
    fs::create_dir_all(world.path("directory/inner")).expect("it can be made");
    fs::write(world.path("letter"), "Dear Sir,\n").expect("it can be written");
    std::os::unix::fs::symlink("nowhere", world.path("dangling")).expect("it can be made");
    for (scheme, path) in [
        ("link", "letter"),
        ("pid", "letter"),
        ("mkdir", "directory"),
        ("flock", "dangling"),
        ("ofd", "dangling"),
    ] {
        let failed = world.run(&["run", "--scheme", scheme, "--at", path, "--", "echo", "ran"]);
        assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{scheme} {path}: {}", failed.stderr);
        assert!(failed.stderr.contains(path), "{scheme}: {path} is not named: {}", failed.stderr);
    }
    assert_eq!(world.files(), ["dangling", "directory", "letter"], "something was made or removed");
    assert_eq!(fs::read_to_string(world.path("letter")).expect("it is there"), "Dear Sir,\n");
}

#[test]
fn the_kernel_schemes_lock_any_file_and_do_not_change_what_is_in_it() {
    let world = World::new();
    fs::write(world.path("letter"), "Dear Sir,\n").expect("it can be written");
    for scheme in ["flock", "ofd"] {
        let holder = world.hold(&["--scheme", scheme, "--at", "letter"]);
        assert_eq!(
            world.code(&["run", "-n", "--scheme", scheme, "--at", "letter", "--", "true"]),
            75,
            "{scheme}"
        );
        assert_eq!(holder.end().code, 0, "{scheme}");
    }
    assert_eq!(fs::read_to_string(world.path("letter")).expect("it is there"), "Dear Sir,\n");
}

#[test]
fn a_directory_can_be_locked_like_a_file() {
    let world = World::new();
    fs::create_dir(world.path("site")).expect("it can be made");
    let ran = world.run(&["run", "site", "--", "sh", "-c", "ls"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("site.lock"), "the lock file is beside it: {}", ran.stdout);
}
