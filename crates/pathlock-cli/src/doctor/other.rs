//! Where there are no schemes that work yet, there is nothing to try.

use crate::args;
use crate::exit::{self, Failure};

/// Not supported here.
pub(crate) fn doctor(_args: &args::Doctor) -> Result<i32, Failure> {
    Err(unsupported())
}

/// Not supported here.
pub(crate) fn worker(_args: &args::DoctorWorker) -> Result<i32, Failure> {
    Err(unsupported())
}

fn unsupported() -> Failure {
    Failure::new(exit::CANNOT_LOCK, "`pathlock doctor` is not supported on this system yet")
}
