//! The thread that waits for all futures of this process.
//!
//! It is started by the first future that is polled, and ends [`IDLE`] after the last has come to its
//! end. It sleeps in one poll(2), over everything that any of them waits for; what they wait in and how
//! they are told is the business of the modules `lines` and `handoff`.
//!
//! A look at a lock is a few calls of the system, and this thread makes them one after the other: a network
//! filesystem that does not answer holds up the other futures, though never their executors.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::handoff::Inbox;
use super::lines::Lines;
use crate::error::Obstacle;
use crate::lock::Asked;
use crate::sys::{self, Event, ForkLocal, Woken};

/// How long the thread waits for something to do before it ends.
const IDLE: Duration = Duration::from_secs(1);

/// A forked child has none of the parent's futures to wait for, and starts with its own.
#[derive(Debug, Default)]
struct Driver {
    inbox: Inbox<Asked>,
    event: OnceLock<Arc<Event>>,
}

fn driver() -> &'static Driver {
    static DRIVER: ForkLocal<Driver> = ForkLocal::new();
    DRIVER.get_or_init(Driver::default)
}

/// Has the thread wait for what is asked.
pub(crate) fn submit(asked: Asked) {
    let driver = driver();
    let event = match driver.event() {
        Ok(event) => event,
        Err(error) => return asked.fail(error.into()),
    };
    if !driver.inbox.submit(asked) {
        event.raise();
        return;
    }
    let spawned = sys::with_signals_blocked(|| {
        let thread = std::thread::Builder::new().name("pathlock-async".into());
        thread.spawn(move || driver.serve(event))
    });
    if let Err(error) = spawned {
        for asked in driver.inbox.fail() {
            asked.fail(again(&error).into());
        }
    }
}

/// A future that was waited for has been dropped.
pub(crate) fn someone_left() {
    if let Some(event) = driver().event.get() {
        event.raise();
    }
}

/// The same error once more: each future has its own.
pub(super) fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

impl Driver {
    fn event(&'static self) -> io::Result<&'static Arc<Event>> {
        if let Some(event) = self.event.get() {
            return Ok(event);
        }
        let fresh = Arc::new(Event::new()?);
        Ok(self.event.get_or_init(|| fresh))
    }

    fn serve(&self, event: &Arc<Event>) {
        let mut lines = Lines::new(event);
        loop {
            // Whatever is raised after this ends the next sleep.
            event.clear();
            for pending in self.inbox.take().into_iter().filter_map(Asked::begin) {
                lines.enter(pending);
            }
            lines.go_on();
            if !lines.are_empty() {
                if let Err(error) = lines.sleep() {
                    lines.fail(|| Obstacle::from(again(&error)));
                }
            } else if !matches!(
                sys::poll(&[event.source()], Some(IDLE)),
                Ok(Woken::Ready(_) | Woken::Interrupted)
            ) && self.inbox.close()
            {
                return;
            }
        }
    }
}
