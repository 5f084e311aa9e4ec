//! A place in the queue of an inode's `flock(2)`.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{Form, Place, queued_status, settle};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::owner::Owner;
use crate::recover;
use crate::scheme::breaking::ANNOUNCED;
use crate::scheme::flock::WholeFile;
use crate::scheme::kernel::{Courtesy, give_way};
use crate::scheme::turns::{self, Turn};
use crate::scheme::{Attempt, Queue, QueueKey, Request, Waiter};
use crate::site::Site;
use crate::status::Status;
use crate::sys;

#[derive(Debug)]
pub(super) struct BatonQueue<F> {
    form: F,
    site: Site,
    place: Arc<Place>,
    owner: Owner,
    /// Where there are readers.
    turn: Option<Turn>,
}

impl<F: Form> BatonQueue<F> {
    pub(super) fn waiter(form: F, request: &Request<'_>, place: &Arc<Place>) -> Waiter {
        let queue = BatonQueue {
            form,
            site: request.site.clone(),
            place: Arc::clone(place),
            owner: request.owner.clone(),
            turn: form.turnstile(place).map(|file| Turn::new(file, Mode::Exclusive)),
        };
        queue.join();
        Waiter::queue(queue)
    }

    fn withdraw(&self) {
        turns::withdraw(&self.place.inode);
        if let Some((turn, file)) = self.turn() {
            turn.leave(file);
        }
    }

    fn turn(&self) -> Option<(&Turn, &File)> {
        self.turn.as_ref().zip(self.form.turnstile(&self.place))
    }
}

impl<F: Form> Queue for BatonQueue<F> {
    fn key(&self) -> QueueKey {
        QueueKey { inode: self.place.id, ranged: false, mode: Mode::Exclusive }
    }

    fn join(&self) {
        // Who could not adopt a mark must not be the reason for one. Where announcing fails, the
        // name goes at the release, and we start again.
        if F::BATON && matches!(self.place.record_file(self.form), Ok(Some((_, true)))) {
            let _ = sys::range_try(&self.place.inode, ANNOUNCED, Mode::Shared);
        }
        if let Some((turn, file)) = self.turn() {
            turn.join(file);
        }
    }

    fn give_way(&self) -> io::Result<bool> {
        let courtesy = give_way(WholeFile, &self.place.inode, Mode::Exclusive)?;
        if let Some(turn) = &self.turn {
            turn.set_taken(courtesy == Courtesy::Taken);
        }
        Ok(courtesy == Courtesy::GaveWay)
    }

    fn block(&self) -> io::Result<()> {
        if let Some((turn, file)) = self.turn()
            && !turn.await_lock(file)
        {
            return Ok(());
        }
        sys::lock_wait(&self.place.inode, Mode::Exclusive)
    }

    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        let result = settle(self.form, request, &self.place);
        if matches!(result, Ok(Some(Attempt::Held(_)))) {
            // Not before: whoever looks at a mark meanwhile sees that it has an heir.
            self.withdraw();
        } else {
            self.leave();
        }
        result
    }

    fn look(&self) -> Option<Status> {
        let current = recover::still_names(&self.site, &self.place.inode).unwrap_or(false);
        current.then(|| queued_status(self.form, &self.place))
    }

    fn has_turn(&self) -> io::Result<bool> {
        sys::lock_try(&self.place.inode, Mode::Exclusive)
    }

    fn leave(&self) {
        self.withdraw();
        // The same open file as in `block`: this succeeds when that has, or when the lock is free.
        if self.place.regain(self.form, &self.site) {
            self.place.let_go(self.form, &self.site, &self.owner);
        }
    }
}
