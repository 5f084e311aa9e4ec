//! A place among the readers, and how it is given up.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::sync::Arc;

use super::{fresh_name, leave, see_to_mark};
use crate::owner::{Mark, Owner, Record};
use crate::recover;
use crate::scheme::baton::{Form, Found, Place};
use crate::scheme::mkdir::{DirectoryForm, open_record};
use crate::scheme::{Hold, Lost, Request};
use crate::site::Site;
use crate::sys;

#[derive(Debug)]
pub(super) struct ReaderHold {
    site: Site,
    /// The directory and our file in it; `None` once released.
    place: Option<(Arc<Place>, File)>,
    name: OsString,
    owner: Owner,
}

impl ReaderHold {
    /// Writes a reader's file.
    pub(super) fn write(request: &Request<'_>, place: &Arc<Place>, owner: Owner) -> io::Result<ReaderHold> {
        let name = fresh_name(&owner);
        let file = sys::create_new_in(&place.inode, &name, request.file_mode.unwrap_or(0o666))?;
        if let Err(error) = sys::write_start(&file, &Record::owned(&owner, Mark::default())) {
            let _ = sys::remove_name_in(&place.inode, &name);
            return Err(error);
        }
        let site = request.site.clone();
        Ok(ReaderHold { site, place: Some((Arc::clone(place), file)), name, owner })
    }

    /// Takes the file back: it has never counted.
    pub(super) fn forget(mut self) {
        if let Some((place, _)) = self.place.take() {
            let _ = sys::remove_name_in(&place.inode, &self.name);
        }
    }

    /// Whether the path names the directory, and our file in it is ours.
    fn check(&self, place: &Place) -> Result<(), Lost> {
        if sys::stat_at(self.site.lock_file())?.is_none() {
            return Err(Lost::Gone);
        }
        if !recover::still_names(&self.site, &place.inode)? {
            return Err(Lost::Taken(None));
        }
        self.own_record(place).map(|_| ())
    }

    fn own_record(&self, place: &Place) -> Result<File, Lost> {
        match open_record(&place.inode, &self.name) {
            Ok(Some((file, _, Record::Owned(owner, _)))) if owner.is_same(&self.owner) => Ok(file),
            Ok(Some((_, _, record))) => Err(Lost::Taken(record.owner().cloned())),
            Ok(None) => Err(Lost::Taken(None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Lost::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Our own directory, or the one at the path where this process has closed all its files, as daemons do:
    /// the record alone has held the lock since.
    fn with_place<T>(&self, use_it: impl FnOnce(&Place) -> Result<T, Lost>) -> Result<T, Lost> {
        let (place, _) = self.place.as_ref().ok_or(Lost::Gone)?;
        if sys::is_still(&place.inode, place.id) {
            return use_it(place);
        }
        match DirectoryForm.open(self.site.lock_file()) {
            Ok(Found::Place(place)) => use_it(&place),
            Ok(Found::Absent) => Err(Lost::Gone),
            _ => Err(Lost::Taken(None)),
        }
    }
}

impl Hold for ReaderHold {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        let result = self.with_place(|place| {
            self.check(place)?;
            Ok(sys::remove_name_in(&place.inode, &self.name)?)
        });
        let Some((place, file)) = self.place.take() else { return result };
        if sys::is_still(&place.inode, place.id) {
            // A child has adopted it and shares our open file: unlocking it would unlock theirs.
            if !matches!(result, Err(Lost::Taken(Some(_)))) {
                leave(&self.site, &place, &self.owner);
            }
            return result;
        }
        if result.is_ok()
            && let Ok(Found::Place(place)) = DirectoryForm.open(self.site.lock_file())
        {
            see_to_mark(&self.site, &place, &self.owner);
        }
        // The numbers of our files may be others' by now: they are not ours to close.
        sys::abandon(file);
        if let Ok(place) = Arc::try_unwrap(place) {
            sys::abandon(place.inode);
            if let Some((record, _)) = place.record.into_inner() {
                sys::abandon(record);
            }
        }
        result
    }

    fn is_valid(&self) -> bool {
        self.with_place(|place| self.check(place)).is_ok()
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let owner = Owner { kernel: true, ..owner };
        let (place, _) = self.place.as_ref().ok_or(io::ErrorKind::NotFound)?;
        if !sys::is_still(&place.inode, place.id) {
            recover::can_hand_over(&self.owner)?;
        }
        let adopted = self.with_place(|place| {
            self.check(place)?;
            let file = self.own_record(place)?;
            Ok(sys::write_start(&file, &Record::owned(&owner, Mark::default()))?)
        });
        match adopted {
            Ok(()) => self.owner = owner,
            Err(Lost::Os(error)) => return Err(error),
            Err(Lost::Gone | Lost::Taken(_)) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn slot_file(&self) -> Option<&File> {
        self.place.as_ref().and_then(|(place, _)| DirectoryForm.turnstile(place))
    }

    fn open_file(&self) -> Option<&File> {
        self.place.as_ref().map(|(place, _)| &place.inode)
    }
}
