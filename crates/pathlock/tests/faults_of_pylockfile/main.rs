//! The faults of Python's `lockfile` 0.12.2, one test for each that a lock in Rust could have too. The names of the
//! tests begin with the fault's.
//!
//! Elsewhere: F1 and F1b (forks) beside `Guard`, which needs to fork in unsafe code; C6 (clock steps) and C7 in
//! `waits.rs`; X43 (starvation) in `order.rs`; P12 (chdir) for all schemes in `paths.rs`; NFS-M where there is NFS.
//!
//! Not here: what only Python or its packaging can have (B23, B24, B26, B27, B35, B49, B51: abstract base, factories,
//! star imports, monkeypatching, warnings, docstrings, attribute formats), and scheme sqlite (Q19 to Q22, Q46, Q48,
//! B52).
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod exclusion;
mod robustness;
mod security;
mod stuck;
mod waiting;

#[test]
fn child() {
    common::play(&[
        ("hold", common::hold),
        ("try", exclusion::try_once),
        ("exit while holding", stuck::exit_while_holding),
        ("no space", stuck::acquire_without_space),
        ("no descriptors", stuck::acquire_without_descriptors),
        ("loop", stuck::acquire_for_ever),
        ("wait", robustness::wait),
    ]);
}
