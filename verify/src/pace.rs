//! Time that passes as part of a workload. Nothing here waits *for* anything: what one process
//! must know of another it is told through a pipe, a lock or its death.

use std::time::{Duration, Instant};

use rustix::thread::Timespec;

/// The work of a critical section: keeps the processor busy, so that it lasts as short as it says.
pub fn work(time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// The time until a random moment, at most a second.
pub fn pass(time: Duration) {
    let _ = rustix::thread::nanosleep(&Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
}
