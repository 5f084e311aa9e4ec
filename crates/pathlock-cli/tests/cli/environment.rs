//! What the command is told, and runs within runs.

use crate::world::{Finished, World};

const NESTED: &str = r#""$PATHLOCK" run outer -- "$PATHLOCK" run"#;

#[test]
fn the_command_is_told_which_lock_it_runs_under() {
    let world = World::new();
    let show = r#"echo "$PATHLOCK_PATH $PATHLOCK_MODE $PATHLOCK_HELD ${PATHLOCK_TOKEN-none}"; test $PATHLOCK_HELD_BY = $PPID"#;
    let told = world.run(&["run", "job", "--", "sh", "-c", show]);
    let (path, lock_file) = (world.path("job"), world.path("job.lock"));
    assert_eq!(told.code, 0, "PATHLOCK_HELD_BY is the pid of pathlock");
    assert_eq!(told.stdout, format!("{} exclusive {} none\n", path.display(), lock_file.display()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let world = World::new();
    let name = OsStr::from_bytes(b"caf\xe9\n");
    let show = ["--", "sh", "-c", r#"printf %s "$PATHLOCK_PATH"; ls"#].map(OsStr::new);
    let output = world.pathlock([&[OsStr::new("run"), name][..], &show].concat()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        output.stdout.starts_with(world.path(name).as_os_str().as_bytes()),
        "the bytes of the path are kept"
    );
    assert!(output.stdout.ends_with(b"caf\xe9\n.lock\n"), "the bytes of the name are kept");
    let status = Finished::of(world.pathlock([OsStr::new("status"), name]));
    assert_eq!((status.code, status.stdout.lines().count()), (0, 1), "one line: {}", status.stdout);
}

#[test]
fn a_run_of_a_lock_within_itself_is_refused_and_not_waited_for() {
    let world = World::new();
    for args in
        ["outer", "-n outer", "-w 1h outer", "-E 9 outer", "./outer", "-n -E 9 ../$(basename $PWD)/outer"]
    {
        let nested = Finished::of(world.shell(&format!("{NESTED} {args} -- echo ran")));
        assert_eq!((nested.code, nested.stdout.as_str()), (75, ""), "{args}: {}", nested.stderr);
        assert!(nested.stderr.contains("ancestor"), "{args}: {}", nested.stderr);
        assert_eq!(
            nested.stderr.lines().count(),
            1,
            "{args}: one reason, and no word of waiting: {}",
            nested.stderr
        );
    }
    assert_eq!(world.files(), [""; 0], "something was left");
}

#[test]
fn a_run_of_another_lock_within_a_run_lists_both() {
    let world = World::new();
    let nested = Finished::of(world.shell(&format!(r#"{NESTED} inner -- sh -c 'echo "$PATHLOCK_HELD"'"#)));
    let (outer, inner) = (world.path("outer.lock"), world.path("inner.lock"));
    assert_eq!(nested.stdout, format!("{}:{}\n", outer.display(), inner.display()), "{}", nested.stderr);
    let thrice =
        Finished::of(world.shell(&format!(r#"{NESTED} inner -- "$PATHLOCK" run outer -- echo ran"#)));
    assert_eq!((thrice.code, thrice.stdout.as_str()), (75, ""), "{}", thrice.stderr);
}

#[test]
fn what_outlives_its_run_can_lock_again() {
    let world = World::new();
    let holder = world.hold(&["outer"]);
    // As in a daemon that a run started and left: the variables are those of a run that has ended.
    let mut daemon = world.pathlock(["run", "-n", "-E", "9", "outer", "--", "true"]);
    daemon.env("PATHLOCK_HELD", world.path("outer.lock")).env("PATHLOCK_HELD_BY", "1");
    let busy = Finished::of(daemon);
    assert_eq!(busy.code, 9, "busy, and not its own ancestor's: {}", busy.stderr);
    assert_eq!(holder.end().code, 0);

    let mut daemon = world.pathlock(["run", "-n", "outer", "--", "true"]);
    daemon.env("PATHLOCK_HELD", world.path("outer.lock")).env("PATHLOCK_HELD_BY", "1");
    let free = Finished::of(daemon);
    assert_eq!(free.code, 0, "it is free: {}", free.stderr);
}
