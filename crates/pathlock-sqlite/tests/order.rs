//! Eight processes take turns and are killed: tokens only grow, and the lock goes to who came first.
//!
//! The auditor is the database's own: a trigger writes down each grant, in the transaction that makes it.
//! `PATHLOCK_TEST_SECONDS` says for how long, five seconds unless told.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::{Duration, Instant};

use pathlock_sqlite::named;
use rusqlite::Connection;

#[path = "../../pathlock/tests/common/mod.rs"]
mod common;

use common::{Child, PATIENCE, Place, places, say, work};

const PROCESSES: usize = 8;
const AUDIT: &str = "
    CREATE TABLE granted (id INTEGER PRIMARY KEY AUTOINCREMENT, ticket INTEGER, token INTEGER, shared INTEGER);
    CREATE TRIGGER audit AFTER INSERT ON holders BEGIN
        INSERT INTO granted (ticket, token, shared) VALUES (NEW.ticket, NEW.token, NEW.shared);
    END;
";

#[test]
fn child() {
    common::play(&[("work", work_until_killed)]);
}

fn work_until_killed(args: &[&str]) {
    let lock = named(args[0], "job");
    let readers = args[1] == "readers";
    say("begins");
    for turn in 0.. {
        let lock = if readers && turn % 3 != 0 { lock.clone().shared() } else { lock.clone() };
        match lock.acquire_within(if turn % 5 == 0 { Duration::from_millis(2) } else { PATIENCE }) {
            Ok(guard) => guard.release().expect("it is ours"),
            Err(error) => assert!(common::is_busy::<()>(&Err(error)), "it is busy or ours"),
        }
    }
}

/// The grants, in their order: ticket, token, whether to a reader.
fn granted(database: &Path) -> Vec<(i64, i64, bool)> {
    let connection = Connection::open(database).expect("it is a database");
    let mut statement =
        connection.prepare("SELECT ticket, token, shared FROM granted ORDER BY id").expect("SQL");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    rows.collect::<Result<_, _>>().expect("numbers")
}

fn take_turns(place: &Place, kind: &str) {
    let seconds = std::env::var("PATHLOCK_TEST_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let database = place.join("locks.db");
    drop(named(&database, "job").acquire().expect("it is free"));
    Connection::open(&database).expect("it is a database").execute_batch(AUDIT).expect("SQL");
    let text = database.to_str().expect("a plain path").to_owned();
    let start = || Child::start("work", [text.clone(), kind.to_owned()]);
    let mut children: Vec<Child> = (0..PROCESSES).map(|_| start()).collect();
    let began = Instant::now();
    let mut kills = 0_usize;
    while began.elapsed() < Duration::from_secs(seconds) {
        (0..kills % 16).for_each(|_| work());
        let child = children.remove(kills * 5 % PROCESSES);
        child.kill();
        children.push(start());
        kills += 1;
    }
    children.into_iter().for_each(Child::kill);
    let last = named(&database, "job").acquire_within(PATIENCE).expect("all are dead");
    let grants = granted(&database);
    println!("{place}, {kind}: {} grants, {kills} kills, last token {:?}", grants.len(), last.token());
    assert!(grants.len() > 200 && kills > 20, "{place}: too little has happened to show anything");
    for pair in grants.windows(2) {
        let ((one, before, _), (other, after, shared)) = (pair[0], pair[1]);
        assert!(one < other, "{place}: ticket {other} came before {one}, and was served after it");
        let grows = if shared { before <= after } else { before < after };
        assert!(grows, "{place}: token {after} after {before}");
    }
}

#[test]
fn writers_are_served_as_they_came_and_tokens_grow_while_processes_are_killed() {
    for place in places(&["link"]) {
        take_turns(&place, "writers");
    }
}

#[test]
fn readers_and_writers_are_served_as_they_came_while_processes_are_killed() {
    for place in places(&["link"]) {
        take_turns(&place, "readers");
    }
}
