//! `pathlock schemes`, `completions` and `man`.

use std::fs;

use crate::world::{World, json};

const SCHEMES: [&str; 6] = ["link", "symlink", "mkdir", "pid", "flock", "ofd"];

#[test]
fn schemes_are_explained_one_a_line() {
    let world = World::new();
    let answer = world.run(&["schemes"]);
    assert_eq!((answer.code, answer.stderr.as_str()), (0, ""));
    for scheme in SCHEMES {
        let lines = answer.stdout.lines().filter(|line| line.split_whitespace().next() == Some(scheme));
        assert_eq!(lines.count(), 1, "{scheme}: {}", answer.stdout);
    }
    assert!(answer.stdout.contains("--scheme"), "it says how to pick one: {}", answer.stdout);
}

#[test]
fn schemes_in_json_are_those_that_run_takes() {
    let world = World::new();
    let found = json(&world.run(&["schemes", "--json"]).stdout);
    let names: Vec<&str> = found.iter().map(|one| one["scheme"].as_str().expect("a name")).collect();
    assert_eq!(names, [&SCHEMES[..], &["sqlite"]].concat());
    let defaults: Vec<_> = found.iter().filter(|one| one["default"] == true).collect();
    assert_eq!(defaults.len(), 1, "{found:?}");
    for one in &found {
        let scheme = one["scheme"].as_str().expect("a name");
        let shared = world.code(&["run", "-n", "-s", "--scheme", scheme, scheme, "--", "true"]);
        assert_eq!(shared == 0, one["shared"] == true, "{one}");
    }
}

#[test]
fn every_shell_has_completions() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.run(&["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for word in ["pathlock", "run", "status", "busy-code", "max-run"] {
            assert!(script.stdout.contains(word), "{shell}: no word of `{word}`");
        }
    }
    let script = world.shell("\"$PATHLOCK\" completions bash >script && bash -n script");
    assert_eq!(crate::world::Finished::of(script).code, 0, "bash reads it");
    let wrong = world.run(&["completions", "csh"]);
    assert_eq!(wrong.code, 64);
    assert!(wrong.stderr.contains("bash"), "it says which there are: {}", wrong.stderr);
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let world = World::new();
    let written = world.run(&["man", "share/man1"]);
    assert_eq!((written.code, written.stdout.as_str(), written.stderr.as_str()), (0, "", ""));
    for name in ["run", "fd", "status", "list", "wait", "break", "doctor", "schemes", "completions", "man"] {
        let path = world.path(format!("share/man1/pathlock-{name}.1"));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(page.contains(".TH") && page.contains("SYNOPSIS"), "{name} is no page: {page}");
    }
    let page = fs::read_to_string(world.path("share/man1/pathlock.1")).expect("it is there");
    assert!(page.contains("Lock files that always come free"), "{page}");
    assert_eq!(world.code(&["man", "share/man1"]), 0, "they can be written anew");
}

#[test]
fn pages_that_cannot_be_written_are_an_error() {
    let world = World::new();
    fs::write(world.path("file"), "").expect("it can be written");
    for path in ["file", "file/man"] {
        let failed = world.run(&["man", path]);
        assert_eq!(failed.code, 74, "{path}: {}", failed.stderr);
        assert!(failed.stderr.contains(path), "{path} is not named: {}", failed.stderr);
    }
}
