//! A scheme outside of the crate: a lock file that is made with `O_EXCL`, as many shell scripts
//! do it. It gets timeouts, cancelling, events, guards, re-entry and `acquire_all` from [`Lock`].
//!
//! ```text
//! cargo run --example own_scheme
//! ```

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use pathlock::scheme::{Attempt, Busy, Hold, Lost, Request, Waiter};
use pathlock::{FailureReason, Liveness, Lock, LockError, Obstacle, Owner, Scheme, Site, State, Status};

/// The lock is held while the file exists.
#[derive(Debug, Clone, Copy, Default)]
struct Exclusive;

impl Scheme for Exclusive {
    fn name(&self) -> &str {
        "exclusive"
    }

    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        let path = request.site.lock_file();
        match File::create_new(path) {
            Ok(mut file) => {
                let held = Held { path: path.to_owned(), owner: request.owner.clone() };
                if let Err(error) = file.write_all(&request.owner.to_record()) {
                    remove(path)?;
                    return Err(error.into());
                }
                Ok(Attempt::Held(Box::new(held)))
            }
            // Somebody has it: sleep until the name goes, or its owner dies, and try again.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(Attempt::Busy(Busy { status: self.status(request.site)?, waiter: Waiter::Change }))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn status(&self, site: &Site) -> Result<Status, Obstacle> {
        let text = match fs::read(site.lock_file()) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Status::new(State::Free, None, "there is no lock file"));
            }
            Err(error) => return Err(error.into()),
        };
        let owner = Owner::from_record(&text);
        let state = match owner.as_ref().map(Owner::liveness) {
            Some(Liveness::Alive) => State::Held,
            // This scheme recovers nothing: that needs more than a dead pid (see `docs/protocol.md`).
            Some(Liveness::Dead) => State::Stale,
            Some(Liveness::Unknown) | None => State::Unknown,
        };
        Ok(Status::new(state, owner, "the lock file exists"))
    }

    fn remove(&self, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
        let now = self.status(site)?;
        if now.state() == State::Free || now.owner() != seen.owner() {
            return Ok(false);
        }
        remove(site.lock_file())?;
        Ok(true)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of this scheme that removes its file")]
fn remove(path: &std::path::Path) -> io::Result<()> {
    fs::remove_file(path)
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    owner: Owner,
}

impl Held {
    fn check(&self) -> Result<(), Lost> {
        match fs::read(&self.path) {
            Ok(text) if text == self.owner.to_record() => Ok(()),
            Ok(text) => Err(Lost::Taken(Owner::from_record(&text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Lost::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

impl Hold for Held {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        self.check()?;
        Ok(remove(&self.path)?)
    }

    fn is_valid(&self) -> bool {
        self.check().is_ok()
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        fs::write(&self.path, owner.to_record())?;
        self.owner = owner;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("own-scheme-{}", std::process::id()));
    let lock: Lock<Exclusive> = Lock::new(&path);
    let guard = lock.acquire()?;

    match lock.acquire() {
        Err(LockError::LockFailed(why)) if why.reason() == FailureReason::WouldDeadlock => {
            println!("this thread holds it: waiting for itself is refused");
        }
        other => return Err(format!("{other:?}").into()),
    }
    let (told, hears) = std::sync::mpsc::channel();
    let other = lock.clone().on_wait(move |event| {
        let _ = told.send(format!("waiting for {}", event.lock_file.display()));
    });
    let waiter = std::thread::spawn(move || {
        let late = other.acquire_within(Duration::from_millis(50));
        println!("{}", late.expect_err("it is held for longer"));
        other.acquire()
    });
    println!("{}", hears.recv()?);
    println!("{}", hears.recv()?);
    guard.release()?;
    waiter.join().map_err(|_| "the waiter panicked")??.release()?;
    Ok(())
}
