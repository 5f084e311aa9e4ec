//! What a function under `#[locked]` does when it runs.

use pathlock::{Error, FailureReason, LockError, LockFile, locked};
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{io, thread};

/// A directory for the locks of one test, and a path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("job");
    (dir, path)
}

fn is_free(path: &Path) -> bool {
    !LockFile::new(path).is_locked().expect("the status of the lock")
}

/// Calls `f` while another thread holds the lock on `path`.
fn while_held<T>(path: &Path, f: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (held, is_held) = std::sync::mpsc::channel();
        let (finished, is_finished) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            let guard = LockFile::new(path).acquire().expect("a free lock is taken");
            held.send(()).expect("the test waits for this");
            // An error, too, means that the test is over.
            let _ = is_finished.recv();
            guard.release().expect("the lock is released");
        });
        is_held.recv().expect("the other thread holds the lock");
        let value = f();
        drop(finished);
        value
    })
}

#[locked(path)]
fn text_to_number(path: &Path, text: &str) -> Result<i32, Box<dyn StdError>> {
    assert!(LockFile::new(path).i_am_locking(), "the body holds the lock");
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse()?;
    Ok(number)
}

#[test]
fn a_function_that_returns_a_result_keeps_its_type_and_releases_on_every_way_out() {
    let (_dir, path) = place();
    assert_eq!(text_to_number(&path, "7").expect("a number"), 7, "the value of the body");
    assert!(is_free(&path), "released after the value");
    assert_eq!(text_to_number(&path, "").expect("an early return"), 0, "the value of `return`");
    assert!(is_free(&path), "released after `return`");
    let error = text_to_number(&path, "seven").expect_err("not a number");
    assert!(error.is::<std::num::ParseIntError>(), "the error of `?`: {error}");
    assert!(is_free(&path), "released after `?`");
}

#[locked(path)]
fn length(path: &Path, text: &str) -> usize {
    if text.is_empty() {
        return 0;
    }
    text.len()
}

#[locked(path)]
fn nothing(path: &Path) {}

#[test]
fn a_function_that_returns_no_result_returns_one_under_the_macro() {
    let (_dir, path) = place();
    let length_of: fn(&Path, &str) -> Result<usize, Error> = length;
    assert_eq!(length_of(&path, "four").expect("the lock is free"), 4, "the value of the body");
    assert_eq!(length_of(&path, "").expect("the lock is free"), 0, "the value of `return`");
    let unit: Result<(), Error> = nothing(&path);
    unit.expect("the lock is free");
    assert!(is_free(&path), "released");
}

struct Store<T> {
    path: PathBuf,
    items: Vec<T>,
}

impl<T: Clone> Store<T> {
    /// Borrows from `self` through the lock.
    #[locked(&self.path)]
    fn push<'a>(&'a mut self, item: T) -> io::Result<&'a mut T>
    where
        T: PartialEq,
    {
        self.items.push(item);
        self.items.last_mut().ok_or_else(|| io::Error::other("empty"))
    }

    #[locked(self.path.as_path())]
    fn first(&self) -> Option<&T> {
        self.items.first()
    }

    #[locked(&self.path)]
    fn into_items(self) -> Vec<T> {
        self.items
    }
}

#[test]
fn a_method_may_use_self_for_the_path_and_return_what_it_borrows() {
    let (_dir, path) = place();
    let mut store = Store { path: path.clone(), items: vec![1] };
    *store.push(2).expect("the lock is free") += 40;
    assert_eq!(store.first().expect("the lock is free"), Some(&1), "borrowed from self");
    assert_eq!(store.into_items().expect("the lock is free"), [1, 42], "moved out of self");
    assert!(is_free(&path), "released");
}

#[locked(path)]
fn doubled(path: &Path, numbers: impl IntoIterator<Item = u32>) -> Result<impl Iterator<Item = u32>, Error> {
    if is_free(path) {
        return Err(LockFile::new(path).try_acquire().map(drop).expect_err("the body holds it").into());
    }
    Ok(numbers.into_iter().map(|number| number * 2))
}

#[locked(path)]
fn counted<'a>(path: &Path, words: &'a [String]) -> impl Iterator<Item = (usize, &'a str)> {
    words.iter().map(String::as_str).enumerate()
}

#[test]
fn impl_trait_is_taken_and_returned() {
    let (_dir, path) = place();
    let numbers = doubled(&path, [1, 2]).expect("the lock is free");
    assert_eq!(numbers.collect::<Vec<_>>(), [2, 4], "from a function that returns a result");
    let words = ["a".to_owned(), "b".to_owned()];
    let counted = counted(&path, &words).expect("the lock is free");
    assert_eq!(counted.collect::<Vec<_>>(), [(0, "a"), (1, "b")], "from a function that returns none");
}

trait Job {
    fn run(&self) -> Result<u8, Error>;

    #[locked(std::env::temp_dir().join(format!("pathlock-provided-{}", std::process::id())))]
    fn provided(&self) -> Result<u8, Error> {
        self.run()
    }
}

impl Job for Path {
    #[locked(self)]
    fn run(&self) -> Result<u8, Error> {
        Ok(1)
    }
}

#[test]
fn a_trait_method_is_locked_in_its_implementation_or_as_provided() {
    let (_dir, path) = place();
    assert_eq!(path.provided().expect("both locks are free"), 1, "the value of the body");
}

#[locked(path, timeout = "0")]
fn at_once(path: &Path) -> Result<(), Error> {
    panic!("the body must not run")
}

#[locked(path, timeout = "20ms")]
fn soon(path: &Path) {
    panic!("the body must not run")
}

#[test]
fn a_timeout_of_zero_does_not_wait() {
    let (_dir, path) = place();
    let error = while_held(&path, || at_once(&path)).expect_err("the lock is held");
    assert!(matches!(error, Error::Lock(LockError::AlreadyLocked(_))), "{error:?}");
}

#[test]
fn a_timeout_ends_the_wait() {
    let (_dir, path) = place();
    let error = while_held(&path, || soon(&path)).expect_err("the lock is held");
    assert!(matches!(error, Error::Lock(LockError::LockTimeout(_))), "{error:?}");
}

#[locked(path)]
fn recurse(path: &Path) -> Result<(), Error> {
    recurse(path)
}

#[test]
fn recursion_is_refused_instead_of_hanging() {
    let (_dir, path) = place();
    match recurse(&path).expect_err("the lock is held by the caller") {
        Error::Lock(LockError::LockFailed(failure)) => {
            assert_eq!(failure.reason(), FailureReason::WouldDeadlock, "{failure:?}");
        }
        other => panic!("not a refusal: {other:?}"),
    }
    assert!(is_free(&path), "the outer call released");
}

#[locked(path)]
fn break_own_lock(path: &Path, outcome: io::Result<u8>) -> io::Result<u8> {
    assert!(LockFile::new(path).break_lock().map_err(Error::from)?, "the lock is there to be broken");
    outcome
}

#[test]
fn a_release_that_fails_is_an_error_unless_the_body_has_one() {
    let (_dir, path) = place();
    let error = break_own_lock(&path, Ok(1)).expect_err("nothing left to release");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert!(matches!(inner, Some(Error::Unlock(_))), "{error:?}");
    let error = break_own_lock(&path, Err(io::Error::other("mine"))).expect_err("the body's error");
    assert_eq!(error.to_string(), "mine", "the body's error is the one returned");
}

#[locked(path)]
fn panics(path: &Path) {
    panic!("on purpose")
}

#[test]
fn a_panic_releases() {
    let (_dir, path) = place();
    catch_unwind(AssertUnwindSafe(|| panics(&path))).expect_err("the body panics");
    assert!(is_free(&path), "released by the unwinding");
}

/// Says, when dropped, whether the lock was still held.
struct Witness<'a>(&'a Path, &'a mut Option<bool>);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        *self.1 = Some(LockFile::new(self.0).i_am_locking());
    }
}

#[locked(path)]
fn consume(path: &Path, witness: Witness<'_>) {
    let _used = &witness;
}

#[test]
fn a_parameter_the_body_uses_is_dropped_with_the_lock_held() {
    let (_dir, path) = place();
    let mut held = None;
    consume(&path, Witness(&path, &mut held)).expect("the lock is free");
    assert_eq!(held, Some(true), "held when the parameter was dropped");
}

macro_rules! with_scheme {
    ($($function:ident $scheme:literal $handle:ident;)*) => {
        $(
            #[locked(path, scheme = $scheme, timeout = "0")]
            fn $function(path: &Path) -> bool {
                pathlock::$handle::new(path).i_am_locking()
            }
        )*

        #[test]
        fn every_scheme_can_be_named() {
            $(
                let (_dir, path) = place();
                assert!($function(&path).expect("the lock is free"), "{} is held by its own handle", $scheme);
                assert!($function(&path).expect("the lock is free again"), "{} again", $scheme);
            )*
        }
    };
}

with_scheme! {
    by_link "link" LinkLockFile;
    by_symlink "symlink" SymlinkLockFile;
    by_mkdir "mkdir" MkdirLockFile;
    by_pid "pid" PidLockFile;
    by_flock "flock" FlockLockFile;
    by_ofd "ofd" OfdLockFile;
}
