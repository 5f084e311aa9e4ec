//! An acquisition that a future waits for, as the thread sees it that waits in its place.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::waiting::{Telling, in_vain};
use super::{AnyLock, failed};
use crate::cancel::CancelToken;
use crate::deadline::Deadline;
use crate::error::{FailureReason, LockError, Obstacle};
use crate::guard::Guard;
use crate::mode::{Mode, Ownership};
use crate::owner::Owner;
use crate::registry;
use crate::scheme::{Hold, Request, Scheme};
use crate::site::{Key, Site};
use crate::status::Status;
use crate::wait::{Ended, Handoff};

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The guard releases it if nobody wants it.
    Won(Guard),
    Failed(LockError),
    /// The caller's own code has panicked: a scheme, or `on_wait`.
    Panicked(Box<dyn Any + Send>),
}

/// What a future has asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) lock: AnyLock,
    pub(super) deadline: Deadline,
    pub(super) handoff: Arc<Handoff<Outcome>>,
}

/// An acquisition that waits, or is about to.
#[derive(Debug)]
pub(crate) struct Pending {
    asked: Asked,
    site: Site,
    key: Key,
    owner: Owner,
    telling: Telling,
}

/// What two acquisitions have in common of which one stands behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    key: Key,
    scheme: String,
    mode: Mode,
    slots: Option<u16>,
}

impl Asked {
    /// Begins; `None` when it has come to its end already.
    pub(crate) fn begin(self) -> Option<Pending> {
        let handoff = Arc::clone(&self.handoff);
        // The scheme may be the caller's own.
        catch_unwind(AssertUnwindSafe(|| self.start())).unwrap_or_else(|payload| {
            drop(handoff.give(Outcome::Panicked(payload)));
            None
        })
    }

    fn start(self) -> Option<Pending> {
        match self.prepared() {
            Ok((site, key)) => {
                // The thread that acquires it is none that the owner knows.
                let owner = Owner { thread: None, ..self.lock.asker() };
                Some(Pending { asked: self, site, key, owner, telling: Telling::default() })
            }
            Err(outcome) => {
                self.end(*outcome);
                None
            }
        }
    }

    fn prepared(&self) -> Result<(Site, Key), Box<Outcome>> {
        let failed = |error| Box::new(Outcome::Failed(error));
        let (site, key) = self.lock.located().map_err(failed)?;
        self.lock.check_mode(&site).map_err(failed)?;
        // Of a thread's own locks a future that runs on it knows nothing.
        if self.lock.options.ownership == Ownership::Process
            && let Some(mine) = registry::find(&key, Ownership::Process)
            && let Some(guard) = self.lock.enter_again(mine)
        {
            return Err(Box::new(Outcome::Won(guard)));
        }
        Ok((site, key))
    }

    /// Nothing can be waited for.
    pub(crate) fn fail(self, obstacle: Obstacle) {
        let error = match self.lock.site() {
            Ok(site) => failed(&site, obstacle),
            Err(error) => error,
        };
        self.end(Outcome::Failed(error));
    }

    fn end(&self, outcome: Outcome) {
        // What nobody wants is dropped, and with it released.
        drop(self.handoff.give(outcome));
    }
}

impl Pending {
    pub(crate) fn line(&self) -> Line {
        let scheme = self.asked.lock.scheme.name().to_owned();
        let options = &self.asked.lock.options;
        Line { key: self.key.clone(), scheme, mode: options.mode, slots: options.slots }
    }

    pub(crate) fn scheme(&self) -> &dyn Scheme {
        &*self.asked.lock.scheme
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.asked.deadline
    }

    pub(crate) fn cancel(&self) -> Option<&CancelToken> {
        self.asked.lock.options.cancel.as_ref()
    }

    /// Whether the future is still there.
    pub(crate) fn is_awaited(&self) -> bool {
        self.asked.handoff.is_awaited()
    }

    pub(crate) fn request(&self, waits: bool) -> Request<'_> {
        self.asked.lock.request(&self.site, &self.owner, waits)
    }

    pub(crate) fn tell(&mut self, status: &Status) {
        self.telling.tell(&self.asked.lock.options, &self.site, self.asked.deadline, status);
    }

    /// Why it can't go on waiting.
    pub(crate) fn ended(&self) -> Option<Obstacle> {
        let cancelled = self.cancel().is_some_and(CancelToken::is_cancelled);
        cancelled.then(|| Obstacle::new(FailureReason::Cancelled, "the wait was cancelled"))
    }

    pub(crate) fn won(self, hold: Box<dyn Hold>) {
        let guard = self.asked.lock.guard(hold, self.site, self.key, None);
        self.asked.end(guard.map_or_else(Outcome::Failed, Outcome::Won));
    }

    pub(crate) fn lost(self, ended: Ended) {
        let error = in_vain(&self.site, self.asked.deadline, ended);
        self.asked.end(Outcome::Failed(error));
    }

    pub(crate) fn panicked(self, payload: Box<dyn Any + Send>) {
        self.asked.end(Outcome::Panicked(payload));
    }
}
