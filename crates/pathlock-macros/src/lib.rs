//! The attribute macro of [pathlock](https://docs.rs/pathlock): `#[locked]` makes a function that runs with a
//! lock file held. Use it as `pathlock::locked`; this crate is a part of pathlock and has no use alone.
//!
//! The invariant: the lock is held while the body runs, and on every way out (a value, `return`, `?`, a panic)
//! it is released. `args` reads what stands in the parentheses, `duration` reads times, `expand` writes the
//! function.

#![forbid(unsafe_code)]

mod args;
mod duration;
mod expand;

/// Runs the function with the lock on a path held.
///
/// ```
/// use pathlock::locked;
/// use std::{fs, io, path::Path};
///
/// #[locked(ledger, timeout = "5s")]
/// fn add(ledger: &Path, amount: i64) -> io::Result<i64> {
///     let total = fs::read_to_string(ledger)?.trim().parse().unwrap_or(0) + amount;
///     fs::write(ledger, total.to_string())?;
///     Ok(total)
/// }
///
/// # fn main() -> io::Result<()> {
/// let dir = tempfile::tempdir()?;
/// let ledger = dir.path().join("ledger");
/// fs::write(&ledger, "40")?;
/// assert_eq!(add(&ledger, 2)?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Arguments
///
/// - The path, first: a string, or any expression whose type is `AsRef<Path>`. It is evaluated at each call,
///   before the lock is taken, and may use the function's parameters and `self`. What it moves is gone from
///   the body, so write `&path` for a parameter the body needs too.
/// - `timeout = "5s"`: how long to wait for the lock. A number with a unit, `ms`, `s`, `m` (minutes) or `h`;
///   without a unit it is seconds. `"0"` does not wait. Left out, the call waits for ever.
/// - `scheme = "mkdir"`: how to lock, one of `link`, `symlink`, `mkdir`, `pid`, `flock`, `ofd`. Left out, the
///   default scheme of `pathlock::LockFile`.
///
/// # What the function returns
///
/// A function whose return type is called `Result` keeps it, and its error type must be
/// `From<pathlock::Error>`, as `pathlock::Error`, `std::io::Error` and `Box<dyn Error>` are. Any other
/// return type `T` becomes `Result<T, pathlock::Error>`:
///
/// ```
/// use std::path::Path;
///
/// struct Counter<'a> {
///     file: &'a Path,
///     value: u32,
/// }
///
/// impl Counter<'_> {
///     /// One more.
///     #[pathlock::locked(self.file)]
///     fn next(&mut self) -> u32 {
///         self.value += 1;
///         self.value
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let mut counter = Counter { file: &dir.path().join("counter"), value: 0 };
/// let next: Result<u32, pathlock::Error> = counter.next();
/// assert_eq!(next?, 1);
/// # Ok(())
/// # }
/// ```
///
/// A method that implements one of a trait must match the trait with the type it has after this.
///
/// # Errors
///
/// - The lock was not taken: `AlreadyLocked` with `timeout = "0"`, `LockTimeout` when the time is over,
///   `LockFailed` when locking itself fails. The body did not run.
/// - The body returned `Ok` and the lock could not be released (somebody broke it, say): the `UnlockError`.
///   The body did run. When the body returned an error, that error is the one returned.
///
/// # Async functions
///
/// An `async fn` acquires with `acquire_async`, which blocks no thread of the executor, and holds the lock across
/// its awaits. Dropped on the way, it releases the lock, or leaves the line that it waits in.
///
/// ```
/// use std::path::Path;
///
/// #[pathlock::locked(job, timeout = "5s")]
/// async fn nightly(job: &Path) -> std::io::Result<u64> {
///     // … awaits what it likes …
///     Ok(42)
/// }
///
/// # fn main() -> std::io::Result<()> {
/// let dir = tempfile::tempdir()?;
/// assert_eq!(pollster::block_on(nightly(&dir.path().join("job")))?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Recursion
///
/// A locked function that calls itself, or another one locked on the same path, would wait for itself. The
/// library refuses that with `LockFailed` (reason `WouldDeadlock`) where it would otherwise hang. An async
/// function belongs to no thread, and does hang.
///
/// # What it works on
///
/// Functions and methods with generics, lifetimes, `impl Trait`, `unsafe`, `async`, and attributes of their own.
/// Not on `const fn`, `extern fn` (its callers know no `Result`), a function that returns `!`, or a trait method
/// without a body. The crate must be in scope under its own name, `pathlock`.
#[proc_macro_attribute]
pub fn locked(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand::locked(args.into(), item.into()).into()
}
