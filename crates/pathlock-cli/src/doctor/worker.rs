//! `pathlock doctor-worker`: one of the processes that contend for a lock, and say what they see.
//!
//! It does as it is told on stdin, one byte for an [`Order`]. It ends when that pipe ends, which it
//! does at the latest with the parent, and when nobody reads what it says any more.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pathlock::{AnyLockFile, CancelToken, LockError, UnlockError, scheme_named};

use super::event::{Event, Kind};
use crate::args;
use crate::exit::{self, Failure};

/// How long a turn lasts: long enough for another that is let in by fault to be seen.
const TURN: Duration = Duration::from_micros(400);
/// The backstop of a wait: a run is over long before.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What a worker is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Take one short turn after the other.
    Race,
    /// Take the lock, and keep it until the next order.
    Stay,
    /// Let go, and do nothing.
    Rest,
}

impl Order {
    /// How it is written.
    pub(super) fn byte(self) -> u8 {
        match self {
            Order::Race => b'r',
            Order::Stay => b's',
            Order::Rest => b'e',
        }
    }

    fn read(byte: u8) -> Option<Order> {
        [Order::Race, Order::Stay, Order::Rest].into_iter().find(|order| order.byte() == byte)
    }
}

/// The work of one worker, from its first order to the end of stdin.
pub(crate) fn worker(args: &args::DoctorWorker) -> Result<i32, Failure> {
    let cannot = |error: io::Error| Failure::new(exit::CANNOT_LOCK, format_args!("can't begin: {error}"));
    let scheme = scheme_named(&args.scheme)
        .ok_or_else(|| Failure::new(exit::USAGE, format_args!("there is no scheme {}", args.scheme)))?;
    let token = CancelToken::new().map_err(cannot)?;
    let voice = Arc::new(Voice::new().map_err(cannot)?);
    let orders = listen(token.clone()).map_err(cannot)?;

    let lock = AnyLockFile::at_with_scheme(&args.lock_file, scheme);
    let lock = lock.timeout(LONGEST_WAIT).cancel_token(token.clone()).on_wait({
        let (voice, token) = (Arc::clone(&voice), token.clone());
        move |_| {
            if voice.tell(Kind::Wait, "").is_err() {
                token.cancel();
            }
        }
    });
    let mut order = orders.recv().ok();
    while let Some(now) = order {
        order = match take_turn(&lock, now, &orders, &voice) {
            Ok(next) => next,
            // The end of stdin has ended the wait: there is nothing to tell.
            Err(Trouble::Lock(_)) if token.is_cancelled() => None,
            Err(Trouble::Lock(text)) => {
                let _ = voice.tell(Kind::Fail, &text);
                return Ok(exit::CANNOT_LOCK);
            }
            Err(Trouble::Unheard) => None,
        };
    }
    Ok(exit::SUCCESS)
}

/// Why a worker stops.
enum Trouble {
    /// The lock could not be taken or released.
    Lock(String),
    /// Nobody reads what it says.
    Unheard,
}

/// Does what `order` says; returns the next one, or `None` when there will be none.
fn take_turn(
    lock: &AnyLockFile,
    order: Order,
    orders: &Receiver<Order>,
    voice: &Voice,
) -> Result<Option<Order>, Trouble> {
    if order == Order::Rest {
        return Ok(orders.recv().ok());
    }
    let tell = |kind| voice.tell(kind, "").map_err(|_: io::Error| Trouble::Unheard);
    let guard = lock.acquire().map_err(|error| Trouble::Lock(reason(&error, lock.path())))?;
    // No way out of here before `leave` but the process's end: the auditor counts on it.
    let next = if order == Order::Stay {
        tell(Kind::Stay)?;
        orders.recv().ok()
    } else {
        tell(Kind::Enter)?;
        match orders.recv_timeout(TURN) {
            Ok(next) => Some(next),
            Err(RecvTimeoutError::Timeout) => Some(Order::Race),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    };
    tell(Kind::Leave)?;
    guard.release().map_err(|error| Trouble::Lock(loss(&error)))?;
    Ok(next)
}

/// The error without the paths, which are known: in a table there is no room for them.
fn reason(error: &LockError, path: &Path) -> String {
    let text = error.to_string();
    let (path, error) = (path.display(), error.io_error());
    let rest = text.strip_prefix(&format!("{path} can't be locked with {path}: ")).unwrap_or(&text);
    error.map_or_else(|| rest.to_owned(), ToString::to_string)
}

/// What was wrong at the release, as short.
fn loss(error: &UnlockError) -> String {
    match (error, error.loss().io_error()) {
        (UnlockError::NotLocked(_), _) => "the lock was gone when its holder released it".to_owned(),
        (UnlockError::NotMyLock(_), _) => "the lock was another's when its holder released it".to_owned(),
        (UnlockError::Failed(_), Some(error)) => format!("the lock can't be released: {error}"),
        (UnlockError::Failed(_), None) => error.to_string(),
    }
}

/// Hears the orders in a thread, which ends the wait of the moment when there will be no more.
fn listen(token: CancelToken) -> io::Result<Receiver<Order>> {
    let (heard, orders) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        for order in io::stdin().lock().bytes().map_while(Result::ok).filter_map(Order::read) {
            if heard.send(order).is_err() {
                break;
            }
        }
        token.cancel();
    })?;
    Ok(orders)
}

/// What the worker speaks with: its stdout, without a buffer, so that a line is one write(2).
struct Voice(File);

impl Voice {
    fn new() -> io::Result<Voice> {
        Ok(Voice(File::from(io::stdout().as_fd().try_clone_to_owned()?)))
    }

    fn tell(&self, kind: Kind, text: &str) -> io::Result<()> {
        let line = format!("{}\n", Event::mine(kind, text));
        (&self.0).write_all(line.as_bytes())
    }
}
