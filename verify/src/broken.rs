//! A scheme that is broken on purpose, to show that the auditor notices.
//!
//! It is the lock that everybody writes first: a file with a pid, and "is that process dead? then
//! unlink it". Of two contenders that read the same dead pid, the first unlinks the file and makes
//! its own; the second, still believing what it read, unlinks that.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use pathlock::scheme::{Attempt, Busy, Hold, Lost, Request, Waiter};
use pathlock::{Obstacle, Owner, Scheme, Site, State, Status};
use rustix::process::{Pid, test_kill_process};

/// The name of the scheme.
pub const NAME: &str = "broken";

/// "Is the pid dead? Then unlink."
#[derive(Debug)]
pub struct Broken;

impl Scheme for Broken {
    fn name(&self) -> &str {
        NAME
    }

    fn attempt(&self, request: &Request<'_>) -> Result<Attempt, Obstacle> {
        let path = request.site.lock_file();
        loop {
            match fs::File::create_new(path) {
                Ok(mut file) => {
                    write!(file, "{}", std::process::id())?;
                    let hold = BrokenHold { path: path.to_owned(), owner: request.owner.clone() };
                    return Ok(Attempt::Held(Box::new(hold)));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
            let pid =
                fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
            if pid.is_some_and(|pid| test_kill_process(pid).is_ok()) {
                let status = Status::new(State::Held, None, "its pid is alive");
                return Ok(Attempt::Busy(Busy { status, waiter: Waiter::Change }));
            }
            let _ = rustix::fs::unlink(path);
        }
    }

    fn status(&self, _site: &Site) -> Result<Status, Obstacle> {
        Ok(Status::new(State::Unknown, None, "nothing looks at it"))
    }

    fn remove(&self, _site: &Site, _seen: &Status) -> Result<bool, Obstacle> {
        Ok(false)
    }
}

#[derive(Debug)]
struct BrokenHold {
    path: PathBuf,
    owner: Owner,
}

impl Hold for BrokenHold {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        let _ = rustix::fs::unlink(&self.path);
        Ok(())
    }

    fn is_valid(&self) -> bool {
        true
    }

    fn adopt(&mut self, _owner: Owner) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
