//! What proves the claims of Pathlock, by trying to break them.
//!
//! - [`exclusion`]: many processes acquire and release one lock and are killed at random, while an
//!   [auditor](audit) outside of the lock watches that no two are inside at once. A [`broken`]
//!   scheme shows that the auditor would notice.
//! - `tests/crash_points.rs`: a process is killed before every system call of an acquisition, a
//!   release, a hand-over and a recovery; [`strace`] does it.
//! - `tests/faults.rs`: every one of those calls fails with every error it may return.
//!
//! The binary `pathlock-verify` is both what people run and what these start as children.
//!
//! All of it is for Linux: elsewhere this library is empty.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod actor;
pub mod args;
pub mod audit;
pub mod broken;
pub mod cycle;
pub mod exclusion;
pub mod filesystem;
pub mod herd;
pub mod pace;
pub mod poller;
pub mod program;
pub mod random;
pub mod scene;
pub mod strace;
pub mod variant;
pub mod worker;

use std::path::Path;

use pathlock::AnyLockFile;

pub use variant::Variant;

/// The lock of `path` in the [variant](Variant) of that name.
///
/// # Errors
/// When there is none.
pub fn lock(variant: &str, path: &Path) -> Result<AnyLockFile, String> {
    Variant::parse(variant)?.lock(path)
}
