//! Security.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use crate::common::{everywhere, places};

#[test]
fn m14_breaking_a_lock_never_follows_a_link() {
    for place in everywhere() {
        let victim = place.join("victim");
        fs::create_dir(&victim).expect("it can be made");
        // The second looks like an owner's file of pylockfile's.
        for name in ["precious", "host.-7f00112233"] {
            fs::write(victim.join(name), "").expect("it can be written");
        }
        symlink(&victim, place.lock_file()).expect("a link can be planted");
        let broken = place.lock().break_lock();
        let acquired = place.lock().acquire_within(Duration::from_millis(10)).map(|guard| guard.release());
        let left = fs::read_dir(&victim).expect("it is still a directory").count();
        assert_eq!(left, 2, "{place}: nothing in it is gone: {broken:?}, {acquired:?}");
    }
}

#[test]
fn l34_a_planted_link_is_neither_followed_nor_written_through() {
    for place in everywhere() {
        let victim = place.join("victim");
        fs::write(&victim, "precious").expect("it can be written");
        symlink(&victim, place.lock_file()).expect("a link can be planted");
        let _ = place.lock().acquire_within(Duration::from_millis(10)).map(|guard| guard.release());
        let _ = place.lock().break_lock();
        let _ = place.lock().acquire_within(Duration::from_millis(10)).map(|guard| guard.release());
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious", "{place}: untouched");
    }
}

#[test]
fn l34_a_link_planted_where_breakers_meet_is_not_followed() {
    for place in places(&["symlink"]) {
        place.holder().kill();
        let victim = place.join("victim");
        fs::write(&victim, "precious").expect("it can be written");
        let mut hasher = DefaultHasher::new();
        OsStr::new("res.lock").hash(&mut hasher);
        let breakers = place.join(format!(".pathlock-breaker-{:016x}", hasher.finish()));
        symlink(&victim, &breakers).expect("a link can be planted");
        let result = place.lock().acquire_within(Duration::from_millis(50));
        assert!(result.is_err(), "{place}: this is the name that breakers use, or the test proves nothing");
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious", "{place}: untouched");
        assert!(fs::symlink_metadata(&victim).expect("it is there").len() == 8, "{place}: not truncated");
    }
}

#[test]
fn p45_the_mode_of_a_lock_file_can_be_set() {
    for place in places(&["link", "pid", "flock", "ofd"]) {
        for mode in [0o600, 0o640, 0o400] {
            let guard = place.lock().file_mode(mode).acquire().expect("it is free");
            let umasked = mode & !umask();
            let made = fs::metadata(place.lock_file()).expect("it is there").mode() & 0o7777;
            assert_eq!(made, umasked, "{place}: {made:o} and not {umasked:o}");
            guard.release().expect("it is ours");
            if place.has_lock_file() {
                crate::common::remove(place.lock_file());
            }
        }
        let guard = place.lock().acquire().expect("it is free");
        let made = fs::metadata(place.lock_file()).expect("it is there").mode() & 0o7777;
        let default = if place.scheme == "pid" { 0o644 } else { 0o666 };
        assert_eq!(made, default & !umask(), "{place}: the default, as the umask cuts it");
        drop(guard);
    }
}

/// What the kernel says, without changing it.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("Linux 4.7");
    u32::from_str_radix(line.trim(), 8).expect("it is octal")
}

#[test]
fn p10_p47_a_forged_pid_file_names_nobody_who_could_be_killed() {
    let forged: [&[u8]; 12] = [
        b"-1\n",
        b"0\n",
        b"+1\n",
        b"1_000\n",
        "１２\n".as_bytes(),
        b"99999999999999999999\n",
        b"2147483648\n",
        b"0x10\n",
        b"\xff\xfe\n",
        b"1 2\n",
        b"\n-1\n",
        b"-1\npathlock=1\nkernel=flock\n",
    ];
    for place in places(&["pid", "link"]) {
        for bytes in forged {
            fs::write(place.lock_file(), bytes).expect("it can be written");
            let shown = bytes.escape_ascii();
            let status = place.lock().status().expect("any bytes give an answer");
            assert!(status.owner().is_none(), "{place}: {shown}: {status:?}");
            assert!(place.lock().owner().expect("any bytes give an answer").is_none(), "{place}: {shown}");
            assert!(place.lock().try_acquire().is_err(), "{place}: {shown}: it is not proven free");
            assert_eq!(
                fs::read(place.lock_file()).expect("it is there"),
                bytes,
                "{place}: {shown}: untouched"
            );
        }
    }
}
