//! Which process this is, without asking the kernel each time: everything that a forked child must not take
//! for its own asks it, several times in one acquisition.
//!
//! The number lies in a page that the kernel itself empties in every copy of this address space
//! (`MADV_WIPEONFORK`, see madvise(2)): after fork(2) and a bare clone(2) alike, and whatever handlers
//! the C library has run or not. A process keeps its pid for life, so what is found there is right. A child of
//! vfork(2) has no copy but the parent's own memory, and reads the parent's number; all it may do is
//! exec or exit.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// No smaller than `AtomicU32`; the kernel makes it whole pages.
const LENGTH: usize = 4096;

/// Null until it is first asked for. Not a `OnceLock`: a child that was forked while another thread made it
/// would wait for that thread.
static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());
/// Stands for the page where there is none, and stays zero.
static NONE: AtomicU32 = AtomicU32::new(0);

pub(crate) fn process_id() -> u32 {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: what was ever stored is the address of a static or of a mapping that is never unmapped.
    let cell = unsafe { page.as_ref() }.unwrap_or_else(publish);
    match cell.load(Ordering::Relaxed) {
        0 => {
            let pid = std::process::id();
            if !ptr::eq(cell, &raw const NONE) {
                cell.store(pid, Ordering::Relaxed);
            }
            pid
        }
        pid => pid,
    }
}

fn publish() -> &'static AtomicU32 {
    let fresh = map().unwrap_or((&raw const NONE).cast_mut());
    let stored = PAGE.compare_exchange(ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire);
    // Another thread was first: a page of ours stays unused.
    let page = stored.map_or_else(|first| first, |_| fresh);
    // SAFETY: as above, and it is not null.
    unsafe { &*page }
}

/// A page that a child finds empty; `None` where the system has no such thing.
fn map() -> Option<*mut AtomicU32> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping of anonymous memory at an address of the kernel's choice.
    let page = unsafe { libc::mmap(ptr::null_mut(), LENGTH, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return None;
    }
    // An emulator that ignores all advice says yes to advice that there is not.
    // SAFETY: the mapping was made above, and neither advice changes what is in it now.
    let advise = |advice| unsafe { libc::madvise(page, LENGTH, advice) } == 0;
    if advise(-1) || !advise(libc::MADV_WIPEONFORK) {
        // SAFETY: nobody else knows of the mapping.
        unsafe { libc::munmap(page, LENGTH) };
        return None;
    }
    // It is aligned to a page, and zeros are an `AtomicU32`.
    Some(page.cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `body` says in a child that `make` makes.
    fn in_child(make: impl FnOnce() -> i32, body: impl FnOnce() -> bool) -> bool {
        match make() {
            // SAFETY: the child ends here, and runs nothing of the parent's.
            0 => unsafe { libc::_exit(i32::from(!body())) },
            child => {
                let mut status = 0;
                // SAFETY: `status` outlives the call.
                let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
                assert_eq!(waited, child, "it can be waited for");
                status == 0
            }
        }
    }

    /// As `_exit` does no more than leave, and the body asks for numbers alone, forking a process with threads
    /// is safe here.
    fn knows_itself() -> bool {
        let kernels = u32::try_from(rustix::process::getpid().as_raw_nonzero().get()).unwrap_or(0);
        process_id() == kernels && process_id() == kernels
    }

    #[test]
    fn a_child_has_its_own_number_however_it_was_made() {
        assert!(knows_itself(), "the parent does");
        // SAFETY: see `knows_itself`.
        assert!(in_child(|| unsafe { libc::fork() }, knows_itself), "a child of fork(3) does");
        let bare = || {
            let flags = libc::SIGCHLD as libc::c_long;
            // SAFETY: as fork(3), but that the C library does not know of it; the child uses nothing of it
            // but `_exit`.
            let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
            i32::try_from(child).unwrap_or(-1)
        };
        assert!(in_child(bare, knows_itself), "and one of clone(2)");
        let grandchild = || {
            // SAFETY: see `knows_itself`.
            knows_itself() && in_child(|| unsafe { libc::fork() }, knows_itself)
        };
        // SAFETY: see `knows_itself`.
        assert!(in_child(|| unsafe { libc::fork() }, grandchild), "and a child's child");
        assert!(knows_itself(), "and the parent still does");
    }
}
