//! The native module of the Python package `pathlock`: a thin skin over the library.
//!
//! What Python programs see is put together in `python/pathlock`; here is what needs the library. Invariants:
//!
//! - *No wait holds the GIL*, and every wait in the main thread looks after signals: Ctrl-C ends it.
//! - *Nothing of Python's is kept locked while the library runs*: the mutexes here are held for a few
//!   instructions, and never while the GIL is given up or other code is called.
//! - *A guard has one keeper*: `held::Held`, from which whoever lets go takes it out first.

mod calls;
mod errors;
mod future;
mod guard;
mod held;
mod info;
mod lock;
mod options;
mod waiting;

use pyo3::prelude::*;

/// The native part of `pathlock`.
#[pymodule(gil_used = false)]
mod _pathlock {
    #[pymodule_export]
    use super::calls::is_forked;
    #[pymodule_export]
    use super::future::Pending;
    #[pymodule_export]
    use super::guard::Guard;
    #[pymodule_export]
    use super::held::{end, has_forked};
    #[pymodule_export]
    use super::info::Look;
    #[pymodule_export]
    use super::lock::{Lock, acquire_all};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        let files = pathlock::SCHEME_NAMES.iter().copied();
        module.add("SCHEMES", files.chain([super::options::DATABASE]).collect::<Vec<_>>())
    }
}
