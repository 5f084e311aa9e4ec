//! Mistakes, each answered with what to do about it.

use std::fs;

use crate::world::World;

/// Runs each line's arguments and looks for the exit code and the word.
fn answered(world: &World, table: &[(&[&str], i32, &str)]) {
    for (args, code, word) in table {
        let wrong = world.run(args);
        assert_eq!((wrong.code, wrong.stdout.as_str()), (*code, ""), "{args:?}: {}", wrong.stderr);
        assert!(wrong.stderr.contains(word), "{args:?}: no word of `{word}`: {}", wrong.stderr);
    }
}

#[test]
fn a_command_without_dashes_is_told_where_they_go() {
    let world = World::new();
    let hint = "put `--` before the command";
    answered(
        &world,
        &[
            (&["run", "job", "true"], 64, hint),
            (&["run", "-n", "job", "true", "x"], 64, hint),
            (&["run", "-w", "1", "job"], 64, hint),
            (&["run", "job", "--"], 64, hint),
        ],
    );
    assert_eq!(world.files(), [""; 0], "something was made all the same");
}

#[test]
fn two_pairs_of_dashes_are_one_too_many() {
    let world = World::new();
    answered(&world, &[(&["run", "job", "--", "--", "true"], 127, "One `--` is enough")]);
}

#[test]
fn a_command_and_a_line_of_shell_are_one_too_many() {
    let world = World::new();
    answered(&world, &[(&["run", "-c", "true", "job", "--", "true"], 64, "cannot be used with")]);
}

#[test]
fn an_empty_path_is_told() {
    let world = World::new();
    let hint = "a path can't be empty";
    answered(
        &world,
        &[
            (&["run", "", "--", "true"], 64, hint),
            (&["run", "job", "", "--", "true"], 64, hint),
            (&["status", ""], 64, hint),
            (&["list", ""], 64, hint),
            (&["wait", ""], 64, hint),
            (&["break", ""], 64, hint),
        ],
    );
    assert_eq!(world.files(), [""; 0], "something was made all the same");
}

#[test]
fn a_time_that_makes_no_sense_is_told() {
    let world = World::new();
    for time in ["-1", "-1s", "soon", "", "1.2.3", "5 minutes", "inf", "1e3"] {
        for option in ["-w", "--timeout", "--max-run", "--kill-after"] {
            answered(&world, &[(&["run", option, time, "job", "--", "true"], 64, "500ms, 90s, 5m, 2h, 1d")]);
        }
        answered(&world, &[(&["wait", "-w", time, "job"], 64, "500ms, 90s, 5m, 2h, 1d")]);
        answered(&world, &[(&["fd", "-w", time, "9"], 64, "500ms, 90s, 5m, 2h, 1d")]);
    }
    assert_eq!(world.files(), [""; 0], "something was made all the same");
}

#[test]
fn no_time_is_a_time_to_wait_but_none_to_run() {
    let world = World::new();
    assert_eq!(world.code(&["run", "-w", "0", "job", "--", "true"]), 0);
    for option in ["--max-run", "--kill-after"] {
        for time in ["0", "0s", "0.0"] {
            answered(&world, &[(&["run", option, time, "job", "--", "true"], 64, "give more than 0")]);
        }
    }
}

#[test]
fn a_directory_that_is_missing_is_to_be_made() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it can be written");
    for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
        for (path, word) in [("missing/job", "make it first"), ("file/job", "directory")] {
            let lock = ["--scheme", scheme, path];
            answered(&world, &[(&[&["run"], &lock[..], &["--", "echo", "ran"]].concat(), 73, word)]);
            for subcommand in ["status", "wait", "break"] {
                answered(&world, &[(&[&[subcommand], &lock[..]].concat(), 73, word)]);
            }
        }
    }
    assert_eq!(world.files(), ["file"], "something was made all the same");
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    fs::create_dir(world.path("closed")).expect("it can be made");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o555)).expect("it is ours");
    // Permissions do not bind root, but nobody can make files in /sys.
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || cfg!(target_os = "linux") {
        let path = if is_root { "/sys/job" } else { "closed/job" };
        for scheme in ["link", "symlink", "mkdir", "pid", "flock", "ofd"] {
            let failed = world.run(&["run", "--scheme", scheme, path, "--", "echo", "ran"]);
            assert_eq!((failed.code, failed.stdout.as_str()), (73, ""), "{scheme}: {}", failed.stderr);
            let told = ["write permission", "put the lock file elsewhere", "use another scheme"];
            assert!(told.iter().any(|word| failed.stderr.contains(word)), "{scheme}: {}", failed.stderr);
        }
    }
}

#[test]
fn a_directory_in_the_place_of_the_lock_file_is_told_and_left_alone() {
    let world = World::new();
    fs::create_dir_all(world.path("site/inner")).expect("it can be made");
    for (scheme, code, word) in [
        // What might be another scheme's lock counts as one.
        ("link", 75, "a lock of scheme mkdir, it seems"),
        ("symlink", 75, "another scheme"),
        ("mkdir", 73, "give the lock file another name"),
        ("pid", 73, "give the lock file another name"),
        ("ofd", 73, "use scheme flock"),
    ] {
        let args = ["run", "-n", "--scheme", scheme, "--at", "site", "--", "echo", "ran"];
        answered(&world, &[(&args, code, word)]);
    }
    let args = ["run", "-n", "--scheme", "flock", "--at", "site", "--", "echo", "ran"];
    assert_eq!(world.run(&args).stdout, "ran\n", "flock locks directories, as flock(1) does");
    assert!(world.path("site/inner").is_dir(), "it was left alone");
    assert_eq!(world.files(), ["site"]);
}

#[test]
fn a_code_for_busy_that_no_program_can_exit_with_is_refused() {
    let world = World::new();
    for code in ["256", "-1", "seven", ""] {
        let wrong = world.run(&["run", "-E", code, "job", "--", "true"]);
        assert_eq!(wrong.code, 64, "{code}: {}", wrong.stderr);
        assert!(wrong.stderr.contains("CODE"), "{code}: the option is not named: {}", wrong.stderr);
    }
}
