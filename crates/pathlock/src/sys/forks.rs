//! Whether a child may have inherited what this process has open.
//!
//! The C library calls the handlers of pthread_atfork(3) in the thread that forks. They do nothing but count:
//! before the child is made, and once it is. What was opened while no fork was under way, and while the
//! count was what it still is, is in no child's hands.
//!
//! Not counted are: children of vfork(2) and posix_spawn(3), which have copies until they run another program,
//! and all that is ours is close-on-exec; children that a program makes past these handlers, by a bare
//! clone(2) or `_Fork`; and a fork that was under way in another thread when the handlers were set, at the first use.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

static BEGUN: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Whether the handlers are set. One thread sets them; a child that was forked meanwhile never will.
static STATE: AtomicU8 = AtomicU8::new(UNSET);
const UNSET: u8 = 0;
const BEING_SET: u8 = 1;
const SET: u8 = 2;

/// How often this process has forked; `None` where that is not known, and while it forks.
pub(crate) fn forks() -> Option<usize> {
    if STATE.load(Ordering::Acquire) != SET && !set_handlers() {
        return None;
    }
    // In this order: the other way round, a fork could begin and end between the two.
    let ended = ENDED.load(Ordering::SeqCst);
    (BEGUN.load(Ordering::SeqCst) == ended).then_some(ended)
}

fn set_handlers() -> bool {
    if STATE.compare_exchange(UNSET, BEING_SET, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return false;
    }
    // SAFETY: the handlers are functions of this program, and do what may be done in a forked child.
    let set = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } == 0;
    if set {
        STATE.store(SET, Ordering::Release);
    }
    set
}

extern "C" fn before() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_parent() {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

/// Of several threads that fork at once, the child has one.
extern "C" fn in_child() {
    ENDED.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_is_counted_on_both_sides() {
        forks();
        let Some(count) = forks() else { return };
        // Other tests may fork meanwhile.
        let counted = || forks().is_none_or(|now| now > count);
        assert!(super::super::testing::fork(|_| counted(), counted), "it is");
    }
}
