//! A lock that is held by its name, and how it is let go.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{Form, Place};
use crate::owner::{Mark, Owner, Record};
use crate::recover::{self, Breaker};
use crate::scheme::breaking::{self, Bytes, Leaving};
use crate::scheme::{Hold, Lost};
use crate::site::Site;
use crate::sys;

/// A name that has been passed on for this long, in milliseconds, is taken away at the next
/// release: waiters of other programs look for that.
const LONGEST_PASSED_ON: u64 = 1_000;

#[derive(Debug)]
pub(super) struct BatonHold<F> {
    form: F,
    site: Site,
    /// `None` once released.
    place: Option<Arc<Place>>,
    owner: Owner,
    mark: Mark,
}

impl<F: Form> BatonHold<F> {
    pub(super) fn new(form: F, site: &Site, place: Arc<Place>, owner: Owner, mark: Mark) -> BatonHold<F> {
        BatonHold { form, site: site.clone(), place: Some(place), owner, mark }
    }

    fn place(&self) -> io::Result<&Arc<Place>> {
        self.place.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whose record is in the inode that the path names: ours, unless somebody has broken the lock,
    /// or a forked child has adopted it.
    fn check(&self, place: &Place) -> Result<(), Lost> {
        let there = sys::stat_at(self.site.lock_file())?.ok_or(Lost::Gone)?;
        if there.id != place.id {
            let other = match self.form.open(self.site.lock_file()) {
                Ok(super::Found::Place(other)) => other.read(self.form).ok(),
                _ => None,
            };
            return Err(Lost::Taken(other.and_then(|text| Record::parse(&text).owner().cloned())));
        }
        let text = place.read(self.form)?;
        if Record::is_of(&text, &self.owner) {
            return Ok(());
        }
        Err(Lost::Taken(Record::parse(&text).owner().cloned()))
    }

    /// Before the looks for a breaker and, after that, at the name that is to be removed.
    fn leave<'a>(&self, place: &'a Place) -> Option<Leaving<'a>> {
        self.owner.kernel.then(|| Leaving::begin(Bytes::of_inode(&place.inode)))
    }

    /// Whether the record in the inode is ours.
    fn wrote(&self, place: &Place) -> bool {
        place.read(self.form).is_ok_and(|text| Record::is_of(&text, &self.owner))
    }

    /// Lets go, if the lock is ours; `leaving` where breakers respect that.
    fn pass_on(&self, place: &Place, leaving: Option<Leaving<'_>>) -> Result<(), Lost> {
        let now = sys::monotonic_ms();
        let mark = if self.mark.passed == 0 { Mark { passed: now } } else { self.mark };
        let free = || place.write(self.form, &Record::free(mark));
        let fresh = now.saturating_sub(mark.passed) < LONGEST_PASSED_ON;
        let watched = leaving.is_some() && breaking::is_watched(&place.inode, F::BATON && fresh);
        self.check(place)?;
        if watched && free().is_ok() {
            drop(leaving);
            place.let_go(self.form, &self.site, &self.owner);
            return Ok(());
        }
        let removed = self.form.remove(&self.site, place, &self.owner);
        if removed.is_err() {
            // It can't be taken away; but everyone of ours will see that nobody holds it.
            let _ = free();
        }
        if self.owner.kernel {
            sys::unlock(&place.inode)?;
        }
        Ok(removed?)
    }

    /// Lets go when this process has closed all its files, as daemons do: the record alone has
    /// held the lock since, and nobody takes it from a living process.
    fn release_by_name(&self) -> Result<(), Lost> {
        match self.form.open(self.site.lock_file()) {
            Ok(super::Found::Place(place)) => {
                let mut leaving = self.leave(&place);
                // A mark would be seen by nobody: who looks at the lock just now finds it held, by the
                // record, and waits for the name to go.
                while leaving.is_some() && Bytes::of_inode(&place.inode).is_breaking() {
                    drop(leaving.take());
                    drop(Breaker::wait(&self.site)?);
                    leaving = self.leave(&place);
                }
                self.check(&place)?;
                Ok(self.form.remove(&self.site, &place, &self.owner)?)
            }
            Ok(super::Found::Absent) => Err(Lost::Gone),
            _ => Err(Lost::Taken(None)),
        }
    }
}

impl<F: Form> Hold for BatonHold<F> {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        let Some(place) = self.place.take() else { return Err(Lost::Gone) };
        if !sys::is_still(&place.inode, place.id) {
            // The numbers of our files may be others' by now: they are not ours to close.
            if let Ok(place) = Arc::try_unwrap(place) {
                sys::abandon(place.inode);
                if let Some((record, _)) = place.record.into_inner() {
                    sys::abandon(record);
                }
            }
            return self.release_by_name();
        }
        match self.pass_on(&place, self.leave(&place)) {
            Ok(()) => Ok(()),
            // A child has adopted it and shares our open file: unlocking it would unlock theirs.
            Err(Lost::Taken(Some(owner)))
                if recover::still_names(&self.site, &place.inode).unwrap_or(false) =>
            {
                Err(Lost::Taken(Some(owner)))
            }
            Err(lost) => {
                // Somebody may have taken the name aside, and give it back: it must not come back with
                // the record of one that holds nothing.
                if self.wrote(&place) {
                    let _ = place.write(self.form, &Record::free(self.mark));
                }
                let _ = sys::unlock(&place.inode);
                Err(lost)
            }
        }
    }

    fn is_valid(&self) -> bool {
        let Ok(place) = self.place() else { return false };
        if sys::is_still(&place.inode, place.id) {
            self.check(place).is_ok()
        } else {
            matches!(self.form.open(self.site.lock_file()), Ok(super::Found::Place(place)) if self.check(&place).is_ok())
        }
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let owner = Owner { kernel: self.owner.kernel, ..owner };
        let place = self.place()?;
        let text = Record::owned(&owner, self.mark);
        if sys::is_still(&place.inode, place.id) {
            if self.check(place).is_err() {
                return Err(io::ErrorKind::NotFound.into());
            }
            place.write(self.form, &text)?;
            self.form.renamed(place, &owner);
        } else {
            recover::can_hand_over(&self.owner)?;
            let Ok(super::Found::Place(place)) = self.form.open(self.site.lock_file()) else {
                return Err(io::ErrorKind::NotFound.into());
            };
            if self.check(&place).is_err() {
                return Err(io::ErrorKind::NotFound.into());
            }
            place.write(self.form, &text)?;
        }
        self.owner = owner;
        Ok(())
    }

    fn open_file(&self) -> Option<&File> {
        self.place().ok().filter(|_| self.owner.kernel).map(|place| &place.inode)
    }
}
