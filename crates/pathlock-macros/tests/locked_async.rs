//! What an async function under `#[locked]` does when it runs.

use pathlock::{Error, LockError, LockFile, locked};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// A directory for the locks of one test, and a path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("job");
    (dir, path)
}

fn is_free(path: &Path) -> bool {
    !LockFile::new(path).is_locked().expect("the status of the lock")
}

/// Lets others go first, once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[locked(path)]
async fn text_to_number(path: &Path, text: &str) -> Result<i32, Box<dyn std::error::Error>> {
    Yield(false).await;
    assert!(!is_free(path), "the lock is held across awaits");
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse()?;
    Ok(number)
}

#[test]
fn an_async_function_releases_on_every_way_out() {
    let (_dir, path) = place();
    for (text, number) in [("7", Some(7)), ("", Some(0)), ("seven", None)] {
        let result = pollster::block_on(text_to_number(&path, text));
        assert_eq!(result.ok(), number, "the value of the body, of `return`, the error of `?`");
        assert!(is_free(&path), "released after {text:?}");
    }
}

struct Counter<T> {
    file: PathBuf,
    values: Vec<T>,
}

impl<T: Clone + Send + Sync> Counter<T> {
    #[locked(&self.file, timeout = "0", scheme = "flock")]
    async fn push(&mut self, value: &T) -> usize {
        Yield(false).await;
        self.values.push(value.clone());
        self.values.len()
    }
}

#[test]
fn a_method_borrows_what_it_needs_and_its_future_may_change_threads() {
    fn sendable<F: Future + Send>(future: F) -> F {
        future
    }
    let (_dir, path) = place();
    let mut counter = Counter { file: path, values: Vec::new() };
    let length: Result<usize, Error> = pollster::block_on(sendable(counter.push(&"one")));
    assert_eq!(length.expect("it is free"), 1);
}

#[locked(path, timeout = "10ms")]
async fn brief(path: &Path) -> io::Result<()> {
    Yield(false).await;
    Ok(())
}

#[test]
fn a_body_whose_lock_is_anothers_does_not_run() {
    let (_dir, path) = place();
    let guard = LockFile::new(&path).acquire().expect("it is free");
    let error = pollster::block_on(brief(&path)).expect_err("it is held");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert!(matches!(inner, Some(Error::Lock(LockError::LockTimeout(_)))), "it says so: {error:?}");
    guard.release().expect("it is ours");
    pollster::block_on(brief(&path)).expect("it is free");
}

#[test]
fn a_future_that_is_dropped_while_its_body_runs_releases() {
    let (_dir, path) = place();
    let guard = {
        let mut future = pin!(text_to_number(&path, "7"));
        let mut context = Context::from_waker(Waker::noop());
        while is_free(&path) {
            assert!(future.as_mut().poll(&mut context).is_pending(), "it has two awaits");
        }
        is_free(&path)
    };
    assert!(!guard, "it was held");
    let lock = LockFile::new(&path);
    lock.acquire().expect("what was held for it is released").release().expect("it is ours");
}
