//! What a look at a lock shows. It takes nothing, and sees to a mark that was left to it.

use super::readers::{self, reader_left};
use super::{Form, Found, Place};
use crate::error::Obstacle;
use crate::liveness::Liveness;
use crate::mode::Mode;
use crate::owner::{Owner, Record};
use crate::recover::{self, Verdict};
use crate::site::Site;
use crate::status::{State, Status};
use crate::sys::{self, Filesystem};

/// What there is to say of a lock whose `flock` another process has.
pub(crate) fn queued_status(form: impl Form, place: &Place) -> Status {
    let record = place.read(form).map(|text| Record::parse(&text));
    if let Ok(Record::Free(_)) = record
        && let Some(status) = readers::status(form, place)
    {
        return status;
    }
    kernel_held(record.ok().and_then(|record| record.owner().cloned()))
}

/// The status of a lock whose kernel lock is held, and whose record names `owner`.
pub(crate) fn kernel_held(owner: Option<Owner>) -> Status {
    let left = owner.as_ref().is_some_and(|owner| owner.liveness() == Liveness::Dead);
    let detail = if left {
        "the process has ended, and one that it has started holds the lock"
    } else {
        "its kernel lock is held"
    };
    Status::new(State::Held, owner, detail)
}

pub(super) fn look(
    form: impl Form,
    site: &Site,
    place: &Place,
    filesystem: Filesystem,
) -> Result<Verdict, Obstacle> {
    if filesystem == Filesystem::Remote {
        let _ = site.refresh();
        return Ok(recover::from_afar(&Record::parse(&place.read(form)?)));
    }
    Ok(recover::under_lock(&Record::parse(&place.read(form)?)))
}

/// Looks, and takes nothing.
pub(crate) fn status(form: impl Form, site: &Site) -> Result<Status, Obstacle> {
    let filesystem = site.filesystem()?;
    loop {
        let place = match form.open_to_look(site.lock_file())? {
            Found::Absent => return Ok(Status::free()),
            Found::Place(place) => place,
            Found::Other(what) | Found::NotALock(what) => return Ok(Status::new(State::Unknown, None, what)),
        };
        let status = status_of(form, site, &place, filesystem)?;
        // What has lost the name meanwhile says nothing about the lock.
        if recover::still_names(site, &place.inode)? {
            return Ok(status);
        }
    }
}

fn status_of(
    form: impl Form,
    site: &Site,
    place: &Place,
    filesystem: Filesystem,
) -> Result<Status, Obstacle> {
    let seen = place.seen(form)?;
    if filesystem == Filesystem::Local && sys::lock_held_as(&place.inode)?.is_some() {
        return Ok(queued_status(form, place).of(seen));
    }
    let status = match look(form, site, place, filesystem)? {
        Verdict::Free => match reader_left(form, place)? {
            Some(status) => status,
            None => Status::new(State::Free, None, "it was left for the next in the queue"),
        },
        Verdict::Stale(status) | Verdict::Held(status) => status,
        Verdict::NotALock(what) => Status::new(State::Unknown, None, what),
    };
    // A releaser that found the inode taken, by our look at it, has left its mark to us.
    if status.state() == State::Free
        && !place.is_watched(form)
        && sys::lock_try(&place.inode, Mode::Exclusive)?
    {
        place.let_go(form, site, &Owner::of_this_thread());
    }
    Ok(status.of(seen))
}
