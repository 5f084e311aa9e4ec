//! Who holds a lock, who waits for it, and who is next: on rows, within a transaction.

use pathlock::{Liveness, Owner, Site, State, Status};

use crate::database::Rows;

/// A row of a holder or a waiter.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its place in the order of all that ever came.
    pub(crate) ticket: i64,
    pub(crate) shared: bool,
    pub(crate) owner: Owner,
}

/// A holder.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) entry: Entry,
    pub(crate) token: i64,
    /// In milliseconds since 1970.
    pub(crate) since: i64,
}

/// Removes who is proven dead, and gives the lock to those who are next: one writer, or all readers up to the
/// next writer. Says whether anything has changed.
pub(crate) fn settle(rows: &Rows<'_>, name: &str, site: &Site, recovers: bool) -> rusqlite::Result<bool> {
    let mut changed = false;
    let mut holders = rows.holders(name)?;
    if recovers {
        for dead in holders.extract_if(.., |holder| is_dead(site, &holder.entry.owner)) {
            rows.let_go(name, &dead, "died")?;
            changed = true;
        }
    }
    let mut writes = holders.iter().any(|holder| !holder.entry.shared);
    let mut reads = !holders.is_empty();
    // One by one, and not all at once: many may wait, and few are next.
    while !writes && let Some(first) = rows.first_waiter(name)? {
        if is_dead(site, &first.owner) {
            rows.leave(first.ticket)?;
        } else if !first.shared && reads {
            break;
        } else {
            rows.grant(name, &first)?;
            (reads, writes) = (true, !first.shared);
        }
        changed = true;
    }
    Ok(changed)
}

/// Whether [`settle`] would have something to do.
pub(crate) fn is_unsettled(rows: &Rows<'_>, name: &str, site: &Site) -> rusqlite::Result<bool> {
    let holders = rows.holders(name)?;
    let dead = holders.iter().any(|holder| is_dead(site, &holder.entry.owner));
    let first = rows.first_waiter(name)?;
    Ok(dead
        || first.is_some_and(|first| {
            is_dead(site, &first.owner)
                || holders.is_empty()
                || first.shared && holders.iter().all(|holder| holder.entry.shared)
        }))
}

fn is_dead(site: &Site, owner: &Owner) -> bool {
    site.liveness(owner) == Liveness::Dead
}

/// What keeps one out who does not wait; `None` when it is worth while to try.
pub(crate) fn in_the_way(
    rows: &Rows<'_>,
    name: &str,
    site: &Site,
    shared: bool,
    recovers: bool,
) -> rusqlite::Result<Option<Status>> {
    let holders = rows.holders(name)?;
    let held = holders.iter().any(|holder| !shared || !holder.entry.shared);
    let busy = held || rows.first_waiter(name)?.is_some();
    if !busy || recovers && is_unsettled(rows, name, site)? {
        return Ok(None);
    }
    status(rows, name, site, false).map(Some)
}

/// What there is to see, with all who wait if `waiters`.
pub(crate) fn status(rows: &Rows<'_>, name: &str, site: &Site, waiters: bool) -> rusqlite::Result<Status> {
    let holders = rows.holders(name)?;
    let waiters = if waiters { rows.waiters(name)? } else { Vec::new() };
    let waiters = waiters.into_iter().map(|entry| entry.owner).collect();
    let Some(first) = holders.first() else {
        return Ok(Status::new(State::Free, None, "nobody holds it").with_waiters(waiters));
    };
    let liveness = |holder: &Holder| site.liveness(&holder.entry.owner);
    let (state, detail) = if holders.iter().any(|holder| liveness(holder) == Liveness::Alive) {
        (State::Held, if first.entry.shared { "readers hold it" } else { "the process runs" })
    } else if holders.iter().all(|holder| liveness(holder) == Liveness::Dead) {
        (State::Stale, "the process is gone")
    } else {
        (State::Unknown, "it can't be told from here whether the process runs")
    };
    let detail = format!("{detail}; token {}", first.token);
    let mut owners = holders.into_iter().map(|holder| holder.entry.owner);
    let owner = owners.next();
    Ok(Status::new(state, owner, detail).with_others(owners.collect()).with_waiters(waiters))
}
