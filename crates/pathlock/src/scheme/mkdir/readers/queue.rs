//! A reader's place in the queue of a directory's `flock(2)`.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{join, see_to_mark, set_reading};
use crate::error::Obstacle;
use crate::mode::Mode;
use crate::owner::Owner;
use crate::recover;
use crate::scheme::baton::{Form, Found, Place, queued_status};
use crate::scheme::breaking::READERS;
use crate::scheme::mkdir::DirectoryForm;
use crate::scheme::turns::{self, Turn, is_behind};
use crate::scheme::{Attempt, Queue, QueueKey, Request, Waiter};
use crate::site::Site;
use crate::status::Status;
use crate::sys;

#[derive(Debug)]
pub(super) struct ReaderQueue {
    site: Site,
    place: Arc<Place>,
    owner: Owner,
    /// Where the record may be written.
    turn: Option<Turn>,
}

impl ReaderQueue {
    pub(super) fn waiter(request: &Request<'_>, place: &Arc<Place>) -> Waiter {
        let queue = ReaderQueue {
            site: request.site.clone(),
            place: Arc::clone(place),
            owner: request.owner.clone(),
            turn: DirectoryForm.turnstile(place).map(|file| Turn::new(file, Mode::Shared)),
        };
        queue.join();
        Waiter::queue(queue)
    }

    fn turn(&self) -> Option<(&Turn, &File)> {
        self.turn.as_ref().zip(DirectoryForm.turnstile(&self.place))
    }

    fn withdraw(&self) {
        turns::withdraw(&self.place.inode);
        if let Some((turn, file)) = self.turn() {
            turn.leave(file);
        }
    }
}

impl Queue for ReaderQueue {
    fn key(&self) -> QueueKey {
        QueueKey { inode: self.place.id, ranged: false, mode: Mode::Shared }
    }

    fn join(&self) {
        let _ = sys::range_try(&self.place.inode, READERS, Mode::Shared);
        if let Some((turn, file)) = self.turn() {
            turn.join(file);
        }
    }

    fn give_way(&self) -> io::Result<bool> {
        let taken = sys::lock_try(&self.place.inode, Mode::Shared)?;
        let behind = taken && self.turn().is_some_and(|(_, file)| is_behind(file, Mode::Shared));
        if behind {
            sys::unlock(&self.place.inode)?;
        }
        if let Some(turn) = &self.turn {
            turn.set_taken(taken && !behind);
        }
        Ok(behind)
    }

    fn block(&self) -> io::Result<()> {
        if let Some((turn, file)) = self.turn()
            && !turn.await_lock(file)
        {
            return Ok(());
        }
        sys::lock_wait(&self.place.inode, Mode::Shared)
    }

    fn claim(&self, request: &Request<'_>) -> Result<Option<Attempt>, Obstacle> {
        // Before the announcement goes: whoever looks at a mark meanwhile sees that somebody sees to it.
        set_reading(&self.place);
        self.withdraw();
        join(request, &self.place)
    }

    fn look(&self) -> Option<Status> {
        let current = recover::still_names(&self.site, &self.place.inode).unwrap_or(false);
        current.then(|| queued_status(DirectoryForm, &self.place))
    }

    fn has_turn(&self) -> io::Result<bool> {
        sys::lock_try(&self.place.inode, Mode::Shared)
    }

    fn leave(&self) {
        self.withdraw();
        // The same open file as in `block`: this undoes what that has won.
        let _ = sys::unlock(&self.place.inode);
        // Not through that file: `block` would make a shared lock of the exclusive one that it takes to
        // remove a mark.
        if let Ok(Found::Place(place)) = DirectoryForm.open(self.site.lock_file())
            && place.id == self.place.id
        {
            see_to_mark(&self.site, &place, &self.owner);
        }
    }
}
