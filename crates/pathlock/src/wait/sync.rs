//! What guards the state that threads share. The tests of its interleavings put another in its place.

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError};
