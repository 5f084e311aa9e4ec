//! Exclusion under kills, for a few seconds each: every scheme in every directory of
//! `PATHLOCK_TEST_DIRS`, and the broken scheme that shows that a violation would be seen.
//! `cargo xtask verify` runs the same for as long as one likes.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// Runs that share the processors disturb each other's timing: one after the other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn directories() -> Vec<PathBuf> {
    match std::env::var_os("PATHLOCK_TEST_DIRS") {
        Some(dirs) => std::env::split_paths(&dirs).collect(),
        None => vec![PathBuf::from(env!("CARGO_TARGET_TMPDIR"))],
    }
}

fn run(args: &[&str], dir: &Path) -> (Output, String) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(env!("CARGO_BIN_EXE_pathlock-verify"));
    command.arg("exclusion").args(args).arg("--dir").arg(dir);
    let output = command.output().expect("the binary runs");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    (output, said)
}

/// The number after `key=` in a line of results.
fn count(said: &str, key: &str) -> u64 {
    let value = said.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("there is no `{key}=` in: {said}"))
}

fn nobody_is_inside_with_another(scheme: &str) {
    for dir in directories() {
        let (output, said) = run(&["--scheme", scheme, "--seconds", "5"], &dir);
        assert!(output.status.success(), "{scheme} in {}: a claim does not hold: {said}", dir.display());
        assert_eq!(count(&said, "violations"), 0, "two were inside at once: {said}");
        assert_eq!(count(&said, "litter"), 0, "a recovery sweeps what the dead have left: {said}");
        assert!(count(&said, "acquisitions") > 500, "too little was acquired to show anything: {said}");
        assert!(count(&said, "kills") > 100, "too few were killed to show anything: {said}");
        assert!(count(&said, "recovered") > 20, "too few died inside to show anything: {said}");
    }
}

#[test]
fn link_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("link");
}

#[test]
fn symlink_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("symlink");
}

#[test]
fn mkdir_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("mkdir");
}

#[test]
fn pid_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("pid");
}

#[test]
fn flock_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("flock");
}

#[test]
fn ofd_excludes_while_holders_and_waiters_are_killed() {
    nobody_is_inside_with_another("ofd");
}

#[test]
fn readers_and_writers_of_mkdir_exclude_while_they_are_killed() {
    nobody_is_inside_with_another("mkdir+readers");
}

#[test]
fn readers_and_writers_of_flock_exclude_while_they_are_killed() {
    nobody_is_inside_with_another("flock+readers");
}

#[test]
fn readers_and_writers_of_ofd_exclude_while_they_are_killed() {
    nobody_is_inside_with_another("ofd+readers");
}

#[test]
fn no_more_have_slots_of_mkdir_than_there_are_while_they_are_killed() {
    nobody_is_inside_with_another("mkdir+slots3");
}

#[test]
fn no_more_have_slots_of_flock_than_there_are_while_they_are_killed() {
    nobody_is_inside_with_another("flock+slots3");
}

#[test]
fn no_more_have_slots_of_ofd_than_there_are_while_they_are_killed() {
    nobody_is_inside_with_another("ofd+slots3");
}

#[test]
fn readers_and_writers_of_a_database_exclude_while_they_are_killed() {
    nobody_is_inside_with_another("sqlite+readers");
}

#[test]
fn futures_exclude_while_they_are_dropped_and_processes_are_killed() {
    for (scheme, dir) in ["link", "symlink", "flock"].iter().zip(directories().iter().cycle()) {
        let (output, said) = run(&["--scheme", &format!("{scheme}+futures"), "--seconds", "5"], dir);
        assert!(output.status.success(), "{scheme} in {}: a claim does not hold: {said}", dir.display());
        assert_eq!(count(&said, "violations"), 0, "two were inside at once: {said}");
        assert_eq!(count(&said, "litter"), 0, "a future that is dropped leaves nothing: {said}");
        assert!(count(&said, "acquisitions") > 500, "too little was acquired to show anything: {said}");
    }
}

#[test]
fn the_auditor_sees_that_a_broken_scheme_does_not_exclude() {
    let dir = &directories()[0];
    for scheme in ["broken", "broken+readers", "broken+slots2"] {
        let (output, said) = run(&["--scheme", scheme, "--seconds", "5"], dir);
        assert_eq!(output.status.code(), Some(1), "a violation fails the run: {said}");
        assert!(count(&said, "violations") > 0, "unlinking what one believes to be stale is seen: {said}");
    }
}
