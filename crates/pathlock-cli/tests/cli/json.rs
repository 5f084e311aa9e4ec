//! `--json`: each line is an object that says what happened.

use serde_json::Value;

use crate::world::{Finished, Running, World, json};

/// The events of a run, which must all be JSON.
fn events(finished: &Finished) -> Vec<Value> {
    json(&finished.stderr)
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().expect("a name")).collect()
}

#[test]
fn a_run_tells_that_the_lock_was_acquired_and_released() {
    let world = World::new();
    let ran = world.run(&["run", "--json", "a", "b", "--", "echo", "ran"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "ran\n"), "{}", ran.stderr);
    let events = events(&ran);
    assert_eq!(names(&events), ["acquired", "released"]);
    let paths = [world.path("a"), world.path("b")].map(|path| path.display().to_string());
    for event in &events {
        assert_eq!(event["paths"], Value::from(&paths[..]), "{event}");
    }
    assert_eq!(events[0]["mode"], "exclusive");
    assert!(events[0]["waited"].is_f64() && events[1]["held"].is_f64(), "{events:?}");
    let shared = world.run(&["run", "--json", "-s", "flock:job", "--", "true"]);
    assert_eq!(json(&shared.stderr)[0]["mode"], "shared");
}

#[test]
fn a_wait_tells_for_whom() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    let mut waiter = Running::start(world.pathlock(["run", "--json", "-w", "1h", "job", "--", "true"]));
    let event = json(&waiter.read_error_line()).remove(0);
    assert_eq!(event["event"], "waiting", "{event}");
    assert_eq!(event["path"], world.path("job").display().to_string(), "{event}");
    assert_eq!(event["lock_file"], world.path("job.lock").display().to_string(), "{event}");
    assert_eq!(event["limit"], 3600.0, "{event}");
    let owner = &event["owner"];
    assert_eq!(owner["pid"], holder.pid(), "{event}");
    assert_eq!((&owner["scheme"], &owner["liveness"]), (&"link".into(), &"alive".into()), "{event}");
    for field in ["host", "command", "user", "since", "start_time", "boot_id"] {
        assert!(!owner[field].is_null() || cfg!(not(target_os = "linux")), "no {field}: {event}");
    }
    assert_eq!(holder.end().code, 0);
    let finished = waiter.end();
    let events = events(&finished);
    let names = names(&events);
    assert_eq!(names[names.len() - 2..], ["acquired", "released"], "{names:?}");
}

#[test]
fn an_error_has_the_exit_code() {
    let world = World::new();
    let holder = world.hold(&["job"]);
    for (args, code) in [
        (&["run", "--json", "-n", "job", "--", "true"][..], 75),
        (&["run", "--json", "-w", "50ms", "-E", "9", "job", "--", "true"], 9),
        (&["run", "--json", "missing/job", "--", "true"], 73),
        (&["run", "--json", "-s", "other", "--", "true"], 73),
        (&["run", "--json", "other", "--", "no-such-command"], 127),
        (&["run", "--json", "--max-run", "50ms", "other", "--", "cat"], 124),
        (&["fd", "--json", "199"], 73),
        (&["wait", "--json", "-n", "job"], 75),
        (&["wait", "--json", "missing/job"], 73),
        (&["status", "--json", "missing/job"], 73),
        (&["list", "--json", "missing"], 73),
        (&["break", "--json", "job"], 75),
        (&["break", "--json", "--if-owner", "1", "job"], 75),
    ] {
        let failed = Running::start(world.pathlock(args)).end_by_itself();
        assert_eq!(failed.code, code, "{args:?}: {}", failed.stderr);
        let events = events(&failed);
        let error = events.last().unwrap_or_else(|| panic!("{args:?}: nothing was said"));
        assert_eq!((&error["event"], &error["code"]), (&"error".into(), &code.into()), "{args:?}: {error}");
        assert!(error["message"].as_str().is_some_and(|text| text.len() > 20), "{args:?}: {error}");
    }
    assert_eq!(holder.end().code, 0);
}

#[test]
fn a_lock_that_was_broken_meanwhile_is_told_in_json() {
    let world = World::new();
    for (exit, code) in [("0", 76), ("3", 3)] {
        let args = ["run", "--json", "job", "--", "sh", "-c", "rm job.lock; exit $0", exit];
        let lost = world.run(&args);
        assert_eq!(lost.code, code, "{}", lost.stderr);
        let events = events(&lost);
        assert_eq!(names(&events), ["acquired", "warning", "released"]);
        assert!(events[1]["message"].as_str().is_some_and(|text| text.contains("broken")), "{}", events[1]);
    }
}

#[test]
fn wait_tells_when_it_is_free() {
    let world = World::new();
    let free = world.run(&["wait", "--json", "job"]);
    assert_eq!(names(&events(&free)), ["free"]);
    let holder = world.hold(&["job"]);
    let mut waiter = Running::start(world.pathlock(["wait", "--json", "job"]));
    let first = json(&waiter.read_error_line()).remove(0);
    assert_eq!((&first["event"], &first["owner"]["pid"]), (&"waiting".into(), &holder.pid().into()));
    assert_eq!(holder.end().code, 0);
    let events = events(&waiter.end());
    let last = events.last().expect("it says so");
    assert_eq!(last["event"], "free", "{last}");
    assert_eq!(last["path"], world.path("job").display().to_string(), "{last}");
    assert!(last["waited"].is_f64(), "{last}");
}

#[test]
fn status_says_all_that_is_known() {
    let world = World::new();
    let holder = world.hold(&["held"]);
    let status = world.run(&["status", "--json", "free", "held"]);
    assert_eq!((status.code, status.stderr.as_str()), (1, ""));
    let [free, held] = &json(&status.stdout)[..] else { panic!("not two lines: {}", status.stdout) };
    assert_eq!((&free["state"], &free["owner"]), (&"free".into(), &Value::Null), "{free}");
    assert_eq!((&held["state"], &held["scheme"]), (&"held".into(), &"link".into()), "{held}");
    assert_eq!(held["path"], world.path("held").display().to_string(), "{held}");
    assert_eq!(held["lock_file"], world.path("held.lock").display().to_string(), "{held}");
    assert_eq!(held["owner"]["pid"], holder.pid(), "{held}");
    assert!(held["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{held}");
    assert_eq!(held["waiters"], Value::Array(Vec::new()), "{held}");
    #[cfg(target_os = "linux")]
    {
        let pids: Vec<_> =
            held["holders"].as_array().expect("a list").iter().map(|one| &one["pid"]).collect();
        assert!(pids.contains(&&holder.pid().into()), "{held}");
        assert!(pids.len() > 1, "its command has inherited the lock: {held}");
    }
    assert_eq!(holder.end().code, 0);
}

#[test]
fn an_error_of_one_path_is_json_beside_the_answer_about_the_next() {
    let world = World::new();
    let status = world.run(&["status", "--json", "missing/job", "free"]);
    assert_eq!(status.code, 73);
    assert_eq!(json(&status.stdout)[0]["state"], "free");
    let error = json(&status.stderr).remove(0);
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &73.into()), "{error}");
}

#[test]
fn a_mistake_in_the_arguments_is_an_object_too() {
    let world = World::new();
    let ran = world.run(&["run", "--json", "-w", "soon", "job", "--", "true"]);
    assert_eq!(ran.code, 64);
    let event = json(&ran.stderr).remove(0);
    assert_eq!((&event["event"], &event["code"]), (&Value::from("error"), &Value::from(64)), "{event}");
    assert!(event["message"].as_str().is_some_and(|message| message.contains("soon")), "{event}");
    // The command's own words are not ours.
    let plain = world.run(&["run", "-w", "soon", "job", "--", "true", "--json"]);
    assert!(plain.stderr.starts_with("error: "), "{}", plain.stderr);
}
