//! Acquiring in asynchronous programs: any executor, few threads, and futures that may be dropped at any time.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod dropping;
mod executors;
mod poller;

#[test]
fn child() {
    common::play(&[("hold", common::hold)]);
}
