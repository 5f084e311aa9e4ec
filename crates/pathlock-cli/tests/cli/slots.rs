//! `--slots`: so many run at once.

use rustix::process::Signal;

use crate::world::{World, json};

const SLOTTED: [&str; 3] = ["mkdir", "flock", "ofd"];

#[test]
fn as_many_run_at_once_as_there_are_slots() {
    let world = World::new();
    for scheme in SLOTTED {
        let args = ["--slots", "2", "--scheme", scheme, scheme];
        let (first, second) = (world.hold(&args), world.hold(&args));
        let third = world.run(&[&["run", "-n"], &args[..], &["--", "true"]].concat());
        assert_eq!(third.code, 75, "{scheme}: {}", third.stderr);
        assert!(third.stderr.contains("all 2 slots are taken"), "{scheme}: {}", third.stderr);
        let status = world.run(&["status", "--slots", "2", "--scheme", scheme, scheme]);
        assert!(status.stdout.contains("2 of 2 slots are taken"), "{scheme}: {}", status.stdout);
        let status = world.run(&["status", "--json", "--scheme", scheme, scheme]);
        assert_eq!(json(&status.stdout)[0]["slots_taken"], 2, "{scheme}: {}", status.stdout);
        assert_eq!(first.end().code, 0, "{scheme}");
        let again =
            world.run(&[&["run", "-n"], &args[..], &["--", "sh", "-c", "echo $PATHLOCK_SLOT"]].concat());
        assert_eq!((again.code, again.stdout.trim()), (0, "0"), "{scheme}: the first slot: {}", again.stderr);
        assert_eq!(second.end().code, 0, "{scheme}");
    }
}

#[test]
fn a_slot_stays_taken_until_the_command_has_ended() {
    let world = World::new();
    for scheme in SLOTTED {
        let args = ["--slots", "1", "--scheme", scheme, scheme];
        let mut held = world.hold(&args);
        held.signal(Signal::KILL);
        held.wait();
        let refused = world.run(&[&["run", "-n"], &args[..], &["--", "true"]].concat());
        assert_eq!(refused.code, 75, "{scheme}: the command runs on: {}", refused.stderr);
        held.close_stdin();
        let next = world.run(&[&["run", "-w", "60"], &args[..], &["--", "true"]].concat());
        assert_eq!(next.code, 0, "{scheme}: it has ended: {}", next.stderr);
    }
}

#[test]
fn numbers_of_slots_that_make_no_sense_are_refused() {
    let world = World::new();
    for slots in ["0", "-1", "many", "65536"] {
        assert_eq!(world.code(&["run", "--slots", slots, "flock:job", "--", "true"]), 64, "{slots}");
    }
    assert_eq!(world.code(&["run", "--slots", "2", "-s", "flock:job", "--", "true"]), 64, "slots are shared");
    let refused = world.run(&["run", "--slots", "2", "job", "--", "true"]);
    assert_eq!(refused.code, 73, "links have none");
    assert!(refused.stderr.contains("no slots: use mkdir, flock or ofd"), "{}", refused.stderr);
    assert_eq!(world.files(), [""; 0], "nothing was made");
}
