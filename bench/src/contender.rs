//! The locks that are measured, each as a closure that takes one turn: acquires, calls what is to be done inside, and
//! releases. Each in the use that is the cheapest for it and still right.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pathlock::AnyLockFile;

use crate::floor;

/// One turn with a lock. What is done inside may be done once only.
pub(crate) type Turn = Box<dyn FnMut(&mut dyn FnMut()) -> Result<(), Error> + Send>;
/// Whatever a lock says has gone wrong.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Pathlock's schemes that are files.
pub(crate) const SCHEMES: &[&str] = &["flock", "ofd", "link", "pid", "mkdir", "symlink"];
/// The peers in Rust.
pub(crate) const PEERS: &[&str] =
    &["std", "fs4", "fd-lock", "fslock", "filelock", "file-guard", "named-lock", "dotlock"];

/// A handle of the lock called `name` at `path`, to be used again and again.
///
/// `pathlock SCHEME`, with `timed` after it to wait with a timeout; `floor SCHEME`: the same system calls, bare;
/// `bare flock`: flock(2) on an open file and nothing else, or with a
/// timeout; and the names of [`PEERS`].
pub(crate) fn open(name: &str, path: &Path) -> Result<Turn, Error> {
    let words: Vec<&str> = name.split(' ').collect();
    Ok(match words[..] {
        ["pathlock", scheme] => pathlock(scheme, path, None),
        ["pathlock", scheme, "timed"] => pathlock(scheme, path, Some(Duration::from_secs(600))),
        ["floor", scheme] => floor::open(scheme, path, false)?,
        ["bare", "flock"] => floor::bare_flock(path)?,
        ["bare", "flock", "timed"] => floor::parked_flock(path)?,
        ["std"] => std_file(path)?,
        ["fs4"] => fs4(path)?,
        ["fd-lock"] => fd_lock(path)?,
        ["fslock"] => fslock(path)?,
        ["filelock"] => filelock(path)?,
        ["file-guard"] => file_guard(path)?,
        ["named-lock"] => named_lock(path)?,
        ["dotlock"] => dotlock(path),
        _ => return Err(format!("there is no lock called `{name}`").into()),
    })
}

/// The same, with a handle of its own for each turn.
pub(crate) fn anew(name: &str, path: &Path) -> Result<Turn, Error> {
    if let Some(scheme) = name.strip_prefix("floor ") {
        return floor::open(scheme, path, true);
    }
    let (name, path) = (name.to_owned(), path.to_owned());
    Ok(Box::new(move |inside| open(&name, &path)?(inside)))
}

/// Pathlock's own handle. What the record says of the command is as long as commands are, whatever this one's is.
pub(crate) fn handle(scheme: &str, path: &Path) -> AnyLockFile {
    const COMMAND: &str = "/usr/local/bin/backup --to /srv/backup --compress";
    let lock = if scheme == "sqlite" {
        AnyLockFile::with_scheme(path, Arc::new(pathlock_sqlite::Sqlite::default()))
    } else {
        AnyLockFile::open(format!("{scheme}:{}", path.display()))
    };
    lock.command(COMMAND)
}

fn pathlock(scheme: &str, path: &Path, timeout: Option<Duration>) -> Turn {
    let lock = handle(scheme, path);
    Box::new(move |inside| {
        let guard = match timeout {
            Some(timeout) => lock.acquire_within(timeout)?,
            None => lock.acquire()?,
        };
        inside();
        Ok(guard.release()?)
    })
}

pub(crate) fn lock_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(lock_file(path))
}

#[expect(clippy::disallowed_methods, reason = "it is one of the peers")]
fn std_file(path: &Path) -> Result<Turn, Error> {
    let file = open_lock_file(path)?;
    Ok(Box::new(move |inside| {
        file.lock()?;
        inside();
        Ok(file.unlock()?)
    }))
}

fn fs4(path: &Path) -> Result<Turn, Error> {
    let file = open_lock_file(path)?;
    Ok(Box::new(move |inside| {
        fs4::FileExt::lock(&file)?;
        inside();
        Ok(fs4::FileExt::unlock(&file)?)
    }))
}

fn fd_lock(path: &Path) -> Result<Turn, Error> {
    let mut lock = fd_lock::RwLock::new(open_lock_file(path)?);
    Ok(Box::new(move |inside| {
        let guard = lock.write()?;
        inside();
        drop(guard);
        Ok(())
    }))
}

fn fslock(path: &Path) -> Result<Turn, Error> {
    let mut lock = fslock::LockFile::open(&lock_file(path))?;
    Ok(Box::new(move |inside| {
        lock.lock()?;
        inside();
        Ok(lock.unlock()?)
    }))
}

fn filelock(path: &Path) -> Result<Turn, Error> {
    let mut lock = filelock::new(lock_file(path))?;
    Ok(Box::new(move |inside| {
        let guard = lock.lock()?;
        inside();
        drop(guard);
        Ok(())
    }))
}

fn file_guard(path: &Path) -> Result<Turn, Error> {
    let file = Arc::new(open_lock_file(path)?);
    Ok(Box::new(move |inside| {
        let guard = file_guard::lock(Arc::clone(&file), file_guard::Lock::Exclusive, 0, 1)?;
        inside();
        drop(guard);
        Ok(())
    }))
}

fn named_lock(path: &Path) -> Result<Turn, Error> {
    let lock = named_lock::NamedLock::with_path(lock_file(path))?;
    Ok(Box::new(move |inside| {
        let guard = lock.lock()?;
        inside();
        drop(guard);
        Ok(())
    }))
}

/// It tries ten times, a minute in all, if it isn't told otherwise; half a second is its own pause between two tries.
fn dotlock(path: &Path) -> Turn {
    let path = lock_file(path);
    Box::new(move |inside| {
        let guard = dotlock::DotlockOptions::new().tries(100_000).create(path.clone())?;
        inside();
        drop(guard);
        Ok(())
    })
}
