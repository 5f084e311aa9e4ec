//! What a lock in a database costs on your disk, beside the bare transactions of SQLite that it takes.
//!
//! ```text
//! cargo run --release -p pathlock-sqlite --example cost -- DIR
//! ```
//!
//! *Cycle*: acquiring and releasing a free lock. *Floor*: two transactions of one small row on a connection that is open.
//! *Hand-over*: from the moment before a release until a waiter in another process has the lock.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pathlock_sqlite::named;
use rusqlite::{Connection, TransactionBehavior};

const TURNS: u32 = 500;
const HAND_OVERS: usize = 200;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut words = std::env::args_os().skip(1);
    let directory = words.next().ok_or("say in which directory")?;
    if words.next().is_some() {
        return wait_again_and_again(Path::new(&directory));
    }
    let directory = tempfile::tempdir_in(directory)?;
    let floor = floor(&directory.path().join("floor.db"))?;
    let cycle = cycle(&directory.path().join("locks.db"))?;
    let hand_over = hand_over(directory.path())?;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    println!("floor      {:8.1} us", us(floor));
    println!("cycle      {:8.1} us  {:.2} times the floor", us(cycle), us(cycle) / us(floor));
    println!("hand-over  {:8.1} us  (median of {HAND_OVERS})", us(hand_over));
    Ok(())
}

fn floor(path: &Path) -> Result<Duration> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, record BLOB)")?;
    let began = Instant::now();
    for turn in 0..TURNS {
        for sql in ["INSERT INTO rows VALUES (?1, zeroblob(512))", "DELETE FROM rows WHERE id = ?1"] {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.prepare_cached(sql)?.execute([turn])?;
            transaction.commit()?;
        }
    }
    Ok(began.elapsed() / TURNS)
}

fn cycle(path: &Path) -> Result<Duration> {
    let lock = named(path, "cycle");
    lock.acquire()?.release()?;
    let began = Instant::now();
    for _ in 0..TURNS {
        lock.acquire()?.release()?;
    }
    Ok(began.elapsed() / TURNS)
}

/// The other process: says when it waits, and when it has got the lock.
fn wait_again_and_again(directory: &Path) -> Result<()> {
    let lock = named(directory.join("locks.db"), "hand-over").on_wait(|_| say("waits"));
    for line in std::io::stdin().lines() {
        line?;
        let guard = lock.acquire()?;
        say("has it");
        guard.release()?;
    }
    Ok(())
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Who measures may have ended.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn hand_over(directory: &Path) -> Result<Duration> {
    let lock = named(directory.join("locks.db"), "hand-over");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(directory).arg("waiter").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut waiter = command.spawn()?;
    let mut orders = waiter.stdin.take().ok_or("it is piped")?;
    let mut lines = BufReader::new(waiter.stdout.take().ok_or("it is piped")?).lines();
    let mut times = Vec::new();
    for _ in 0..HAND_OVERS {
        let guard = lock.acquire()?;
        writeln!(orders, "go")?;
        while lines.next().ok_or("it ends")?? != "waits" {}
        let began = Instant::now();
        guard.release()?;
        while lines.next().ok_or("it ends")?? != "has it" {}
        times.push(began.elapsed());
    }
    drop(orders);
    waiter.wait()?;
    times.sort();
    Ok(times[HAND_OVERS / 2])
}
