//! A person's order to remove a lock. Why nobody else's is removed is in the module `breaking`.

use std::path::Path;

use super::{Form, Found, Place, not_a_lock, status};
use crate::error::Obstacle;
use crate::litter;
use crate::owner::{Owner, Record};
use crate::recover::{self, Breaker, Verdict};
use crate::scheme::breaking::{Breaking, Bytes};
use crate::site::Site;
use crate::status::Status;

/// Removes the lock that was seen, if it is still that one.
pub(crate) fn remove(form: impl Form, site: &Site, seen: &Status) -> Result<bool, Obstacle> {
    let place = match form.open(site.lock_file())? {
        Found::Absent => return Ok(false),
        Found::Place(place) => place,
        Found::Other(what) | Found::NotALock(what) => return Err(not_a_lock(what)),
    };
    let record = Record::parse(&place.read(form)?);
    if let Verdict::NotALock(what) = recover::by_record(&record) {
        return Err(not_a_lock(what));
    }
    if seen.seen != place.seen(form)? {
        return Ok(false);
    }
    let me = Owner::of_this_thread();
    let _breaker = Breaker::wait(site)?;
    let removed = if matches!(record, Record::Owned(Owner { kernel: true, .. }, _) | Record::Free(_)) {
        remove_ours(form, site, &place, seen, &me)?
    } else {
        let is_it = |aside: &Path| match form.open(aside) {
            Ok(Found::Place(place)) => Ok(seen.seen == place.seen(form)?),
            _ => Ok(false),
        };
        litter::remove_if(site, &me, is_it)?
    };
    if !removed {
        // What was released meanwhile has left its mark to us: a look sees to it.
        status(form, site)?;
    }
    Ok(removed)
}

/// Removes a lock whose owners know of breakers; the caller is the only breaker.
fn remove_ours(
    form: impl Form,
    site: &Site,
    place: &Place,
    seen: &Status,
    me: &Owner,
) -> Result<bool, Obstacle> {
    let Some(_breaking) = Breaking::begin(Bytes::of_inode(&place.inode)) else { return Ok(false) };
    let is_it = seen.seen == place.seen(form)? && recover::still_names(site, &place.inode)?;
    if is_it {
        form.remove(site, place, me)?;
    }
    Ok(is_it)
}
