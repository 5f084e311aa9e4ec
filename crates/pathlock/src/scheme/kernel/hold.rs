//! A lock that is held by the kernel's own lock, and how it is let go.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Before, Birth, Kept, KernelLock, Target, open};
use crate::mode::Mode;
use crate::owner::{Owner, Record};
use crate::recover;
use crate::scheme::{Hold, Lost, Request, breaking};
use crate::site::Site;
use crate::sys;

#[derive(Debug)]
pub(super) struct KernelHold<K> {
    pub(super) lock: K,
    pub(super) site: Site,
    /// `None` once released.
    pub(super) target: Option<Arc<Target>>,
    pub(super) owner: Owner,
    /// What was where our record is; `None` where it is not in the file.
    pub(super) before: Option<Before>,
    /// Where the file goes after the release; `None` where it is closed.
    pub(super) keeper: Option<Keeper>,
}

/// Keeps the file for the handle that has acquired the lock, if nobody else has it by then.
#[derive(Debug)]
pub(super) struct Keeper {
    kept: Arc<Kept>,
    birth: Birth,
    /// Whether somebody has been given the file, who may have duplicated it.
    lent: AtomicBool,
}

impl Keeper {
    /// For a file that is about to be opened.
    pub(super) fn of(request: &Request<'_>) -> Option<Keeper> {
        request.kept.and_then(|_| Keeper::born(request, Birth::now()?))
    }

    /// For a file that was opened at `birth`.
    pub(super) fn born(request: &Request<'_>, birth: Birth) -> Option<Keeper> {
        // A slot is a lock of the same open file, with a life of its own.
        let kept = request.kept.filter(|_| request.slots.is_none())?;
        Some(Keeper { kept: Arc::clone(kept), birth, lent: AtomicBool::new(false) })
    }

    fn keep(self, target: Arc<Target>) {
        if let Some(target) = Arc::into_inner(target)
            && !self.lent.into_inner()
        {
            self.kept.put(target, self.birth);
        }
    }
}

impl<K: KernelLock> KernelHold<K> {
    fn target(&self) -> io::Result<&Arc<Target>> {
        self.target.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether the lock is ours; and what was where our record is, if that is there still.
    fn check(&self, target: &Target) -> Result<Option<Before>, Lost> {
        let there = sys::stat_at(self.site.lock_file())?.ok_or(Lost::Gone)?;
        if there.id != target.id {
            let other = open(self.site.lock_file()).ok().flatten().and_then(|other| other.record().ok());
            return Err(Lost::Taken(other.and_then(|record| record.owner().cloned())));
        }
        let Some(before) = self.before else { return Ok(None) };
        let text = target.text()?;
        if Record::is_of(&text, &self.owner) {
            return Ok(Some(before));
        }
        match Record::parse(&text) {
            Record::Owned(owner, _) if !owner.is_same(&self.owner) => Err(Lost::Taken(Some(owner))),
            // Somebody has emptied the file, or written into it: the kernel lock is still ours.
            _ => Ok(None),
        }
    }

    /// Erases our record, if the lock is ours.
    fn erase(&self, target: &Target) -> Result<io::Result<()>, Lost> {
        Ok(self.check(target)?.map_or(Ok(()), |before| target.erase(&self.owner, before)))
    }

    /// Our own file, or the one at the path where this process has closed all its files.
    fn with_target<T>(&self, use_it: impl FnOnce(&Target) -> Result<T, Lost>) -> Result<T, Lost> {
        let target = self.target()?;
        if sys::is_still(&target.file, target.id) {
            return use_it(target);
        }
        use_it(&self.reopen()?)
    }

    fn lend(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.lent.store(true, Ordering::Relaxed);
        }
    }

    fn reopen(&self) -> Result<Target, Lost> {
        open(self.site.lock_file()).ok().flatten().ok_or(Lost::Gone)
    }
}

impl<K: KernelLock> Hold for KernelHold<K> {
    fn owner(&self) -> &Owner {
        &self.owner
    }

    fn release(&mut self) -> Result<(), Lost> {
        let Some(target) = self.target.take() else { return Err(Lost::Gone) };
        let let_go = |target: &Target| {
            let erased = self.erase(target)?;
            self.lock.unlock(&target.file)?;
            Ok(erased?)
        };
        if !sys::is_still(&target.file, target.id) {
            // The number of our file may be another's by now: it is not ours to close.
            if let Ok(target) = Arc::try_unwrap(target) {
                sys::abandon(target.file);
            }
            return self.reopen().and_then(|target| let_go(&target));
        }
        let result = let_go(&target);
        if result.is_ok() {
            // It is unlocked, and there is nothing more to do with it.
            if let Some(keeper) = self.keeper.take() {
                keeper.keep(target);
            }
            return result;
        }
        let adopted = matches!(result, Err(Lost::Taken(Some(_))))
            && recover::still_names(&self.site, &target.file).unwrap_or(false);
        if !adopted {
            // A breaker that has taken the name aside to look may yet give it back: it must not come
            // back with the record of one that holds nothing.
            if let Some(before) = self.before
                && target.text().is_ok_and(|text| Record::is_of(&text, &self.owner))
            {
                let _ = target.erase(&self.owner, before);
            }
            let _ = self.lock.unlock(&target.file);
        }
        result
    }

    fn is_valid(&self) -> bool {
        self.with_target(|target| self.check(target)).is_ok()
    }

    /// The kernel does it in one step: no other has the lock in between. The record is erased
    /// before a writer becomes a reader and written after a reader has become a writer, so it is there
    /// only while its writer is alone; killed in between, it leaves a lock without a record, or a
    /// record without a lock, as any writer does.
    fn convert(&mut self, mode: Mode) -> Result<bool, Lost> {
        let target = Arc::clone(self.target()?);
        if !K::CONVERTS || !sys::is_still(&target.file, target.id) {
            return Err(Lost::Os(io::ErrorKind::Unsupported.into()));
        }
        if mode == Mode::Shared {
            self.erase(&target)??;
            self.before = None;
            return Ok(self.lock.try_lock(&target.file, Mode::Shared)?);
        }
        self.check(&target)?;
        if !self.lock.try_lock(&target.file, Mode::Exclusive)? {
            return Ok(false);
        }
        self.before = target.write(&self.site, &self.owner, &target.record()?)?;
        match breaking::outlasts(&self.site, &target.file, target.id)? {
            Some(true) => Ok(true),
            Some(false) => Err(Lost::Gone),
            // A breaker came for the readers, and is stopped.
            None => self.convert(Mode::Shared).map(|_| false),
        }
    }

    fn adopt(&mut self, owner: Owner) -> io::Result<()> {
        let owner = Owner { kernel: true, ..owner };
        let target = self.target()?;
        if !sys::is_still(&target.file, target.id) {
            recover::can_hand_over(&self.owner)?;
        }
        let result = self.with_target(|target| {
            self.check(target)?;
            if self.before.is_some() {
                target.write(&self.site, &owner, &target.record()?)?;
            }
            Ok(())
        });
        match result {
            Ok(()) => self.owner = owner,
            Err(Lost::Os(error)) => return Err(error),
            Err(Lost::Gone | Lost::Taken(_)) => return Err(io::ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    fn slot_file(&self) -> Option<&File> {
        self.lend();
        self.target.as_ref().filter(|target| target.writable).map(|target| &target.file)
    }

    fn open_file(&self) -> Option<&File> {
        self.lend();
        self.target.as_ref().map(|target| &target.file)
    }
}
