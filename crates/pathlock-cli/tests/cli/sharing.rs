//! Readers and writers: `-s` and `-x`.

use std::fs;

use crate::world::{Running, World};

const CAN_SHARE: [&str; 2] = ["flock", "ofd"];

#[test]
fn readers_hold_the_lock_together_and_keep_writers_out() {
    for scheme in CAN_SHARE {
        let world = World::new();
        let first = world.hold(&["-s", "--scheme", scheme, "job"]);
        let second = world.hold(&["--shared", "--scheme", scheme, "job"]);
        let write = ["run", "-n", "-x", "--scheme", scheme, "job", "--", "echo", "ran"];
        for reader in [first, second] {
            let busy = world.run(&write);
            assert_eq!((busy.code, busy.stdout.as_str()), (75, ""), "{scheme}: {}", busy.stderr);
            assert!(busy.stderr.contains("readers"), "{scheme}: {}", busy.stderr);
            assert_eq!(reader.end().code, 0, "{scheme}");
        }
        assert_eq!(world.code(&write), 0, "{scheme}: the readers have gone");
    }
}

#[test]
fn a_writer_keeps_readers_out() {
    for scheme in CAN_SHARE {
        let world = World::new();
        let writer = world.hold(&["--scheme", scheme, "job"]);
        let read = ["run", "-n", "-s", "--scheme", scheme, "job", "--", "echo", "ran"];
        let busy = world.run(&read);
        assert_eq!((busy.code, busy.stdout.as_str()), (75, ""), "{scheme}: {}", busy.stderr);
        assert!(busy.stderr.contains(&format!("pid {}", writer.pid())), "{scheme}: {}", busy.stderr);
        assert_eq!(writer.end().code, 0, "{scheme}");
        assert_eq!(world.code(&read), 0, "{scheme}: the writer has gone");
    }
}

#[test]
fn a_writer_gets_in_while_readers_come_and_go() {
    for scheme in CAN_SHARE {
        let world = World::new();
        let log = |word| format!("echo {word} >>log");
        let mut reader = world.hold(&["-s", "--scheme", scheme, "job"]);
        let line = log("writer");
        let write = ["run", "--scheme", scheme, "job", "--", "sh", "-c", &line];
        let mut writer = Running::start(world.pathlock(write));
        assert!(writer.read_error_line().contains("waiting for"), "{scheme}");
        // Each of these comes while there are readers inside, and before the last of them has left.
        let line = log("reader");
        let read = ["run", "-s", "--scheme", scheme, "job", "--", "sh", "-c", &line];
        let mut later: Vec<Running> = (0..3).map(|_| Running::start(world.pathlock(read))).collect();
        for reader in &mut later {
            assert!(
                reader.read_error_line().contains("waiting for"),
                "{scheme}: it stands behind the writer"
            );
        }
        reader.close_stdin();
        assert_eq!(reader.end().code, 0, "{scheme}");
        for run in later.into_iter().chain([writer]) {
            let finished = run.end();
            assert_eq!(finished.code, 0, "{scheme}: {}", finished.stderr);
        }
        let order = fs::read_to_string(world.path("log")).expect("it was written");
        assert_eq!(order, "writer\nreader\nreader\nreader\n", "{scheme}");
    }
}

#[test]
fn readers_that_waited_for_a_writer_are_in_together() {
    for scheme in CAN_SHARE {
        let world = World::new();
        let writer = world.hold(&["--scheme", scheme, "job"]);
        let mut readers: Vec<Running> = (0..3)
            .map(|_| {
                let args = ["run", "-s", "--scheme", scheme, "job", "--", "sh", "-c", "echo in; cat"];
                let mut reader = Running::start(world.pathlock(args));
                assert!(reader.read_error_line().contains("waiting for"), "{scheme}");
                reader
            })
            .collect();
        assert_eq!(writer.end().code, 0, "{scheme}");
        for reader in &mut readers {
            assert_eq!(reader.read_line(), "in", "{scheme}: the others are inside and stay there");
        }
        for reader in readers {
            assert_eq!(reader.end().code, 0, "{scheme}");
        }
    }
}

#[test]
fn a_scheme_without_readers_says_which_ones_have_them() {
    let world = World::new();
    for scheme in [&[][..], &["--scheme", "link"], &["--scheme", "pid"], &["--scheme", "symlink"]] {
        let refused = world.run(&[&["run", "-s"], scheme, &["job", "--", "echo", "ran"]].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (73, ""), "{scheme:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("use mkdir, flock or ofd"), "{scheme:?}: {}", refused.stderr);
    }
    assert_eq!(world.files(), [""; 0], "something was made all the same");
}

#[test]
fn a_reader_is_told_that_it_is_one() {
    let world = World::new();
    let told = world.run(&["run", "-s", "flock:job", "--", "sh", "-c", "echo $PATHLOCK_MODE"]);
    assert_eq!(told.stdout, "shared\n", "{}", told.stderr);
}
