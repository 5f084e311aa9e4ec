//! A value of the process that a forked child does not inherit.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// One `T` for each process: made at its first use, and made anew at the first use after a fork.
///
/// The child's copy of the parent's value is useless or worse: its mutexes may be held by threads
/// that the child does not have, and its inotify instance is shared with the parent. The copy is
/// leaked, once for each fork that goes on to lock.
#[derive(Debug)]
pub(crate) struct ForkLocal<T: 'static> {
    current: AtomicPtr<(u32, T)>,
}

impl<T: Send + Sync + 'static> ForkLocal<T> {
    pub(crate) const fn new() -> ForkLocal<T> {
        ForkLocal { current: AtomicPtr::new(ptr::null_mut()) }
    }

    pub(crate) fn get_or_init(&'static self, make: impl FnOnce() -> T) -> &'static T {
        let pid = super::process_id();
        let seen = self.current.load(Ordering::Acquire);
        // SAFETY: a pointer that was ever stored comes from `Box::leak` below and is never freed.
        if let Some((owner, value)) = unsafe { seen.as_ref() }
            && *owner == pid
        {
            return value;
        }
        let fresh = Box::into_raw(Box::new((pid, make())));
        match self.current.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: `fresh` has just been leaked to this cell and is never freed.
            Ok(_) => unsafe { &(*fresh).1 },
            Err(winner) => {
                // SAFETY: `fresh` was made above and nobody else has seen it.
                drop(unsafe { Box::from_raw(fresh) });
                // SAFETY: as for `seen`; another thread of this process has just stored it, and a
                // stored pointer is not null.
                unsafe { &(*winner).1 }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_the_same_value() {
        static CELL: ForkLocal<u32> = ForkLocal::new();
        let addresses: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|n| scope.spawn(move || ptr::from_ref(CELL.get_or_init(|| n)) as usize)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(addresses.windows(2).all(|pair| pair[0] == pair[1]), "{addresses:?}");
    }
}
