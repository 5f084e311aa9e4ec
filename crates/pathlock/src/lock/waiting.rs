//! What a wait is told, and what it tells.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::options::Options;
use super::{Lock, failed};
use crate::deadline::Deadline;
use crate::error::{Contention, LockError};
use crate::event::WaitEvent;
use crate::owner::Owner;
use crate::scheme::Scheme;
use crate::site::Site;
use crate::status::Status;
use crate::wait::{Ended, Wait};

/// A caller is told at most this often of the same owner.
const QUIET: Duration = Duration::from_secs(1);

/// Whom a caller has been told of, and when.
#[derive(Debug, Default)]
pub(super) struct Telling {
    last: Option<(Option<Owner>, Instant)>,
}

impl Telling {
    /// Tells the caller what a look at the lock has shown, if that is news.
    pub(super) fn tell(&mut self, options: &Options, site: &Site, deadline: Deadline, status: &Status) {
        let Some(on_wait) = &options.on_wait else { return };
        let known = |(owner, when): &(Option<Owner>, Instant)| {
            owner.as_ref() == status.owner() && when.elapsed() < QUIET
        };
        if self.last.as_ref().is_some_and(known) {
            return;
        }
        self.last = Some((status.owner().cloned(), Instant::now()));
        on_wait(&WaitEvent {
            path: site.path(),
            lock_file: site.lock_file(),
            owner: status.owner(),
            detail: status.detail(),
            waited: deadline.waited(),
            deadline: deadline.end(),
        });
    }
}

/// Why there is no lock, as the caller is told.
pub(super) fn in_vain(site: &Site, deadline: Deadline, ended: Ended) -> LockError {
    match ended {
        Ended::Failed(obstacle) => failed(site, obstacle),
        Ended::Busy(status) => {
            let contention = Box::new(Contention {
                path: site.path().to_owned(),
                lock_file: site.lock_file().to_owned(),
                status: *status,
                waited: deadline.waited(),
            });
            if deadline.waits() {
                LockError::LockTimeout(contention)
            } else {
                LockError::AlreadyLocked(contention)
            }
        }
    }
}

impl<S: Scheme> Lock<S> {
    /// Waits as the options say, and says why in vain.
    pub(super) fn with_wait<T>(
        &self,
        site: &Site,
        deadline: Deadline,
        body: impl FnOnce(&Wait<'_>) -> Result<T, Ended>,
    ) -> Result<T, LockError> {
        let options = &self.options;
        let telling = RefCell::new(Telling::default());
        let wait = Wait {
            deadline,
            cancel: options.cancel.as_ref(),
            on_interrupt: options.on_interrupt.as_deref(),
            on_wait: &|status| telling.borrow_mut().tell(options, site, deadline, status),
        };
        body(&wait).map_err(|ended| in_vain(site, deadline, ended))
    }
}
