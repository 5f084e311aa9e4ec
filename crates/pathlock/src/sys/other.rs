//! Systems without an implementation, Windows among them for now: every call says `Unsupported`.
//!
//! Of a path it can still be told whether there is something, so that `status` answers.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::contenders::Contenders;
use crate::mode::Mode;

use super::{FileId, Filesystem, ProcessState, Range, Stat};

macro_rules! unsupported {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*) => {
        $($(#[$meta])* pub(crate) fn $name($($argument: $type),*) -> io::Result<$result> {
            $(let _ = $argument;)*
            Err(io::ErrorKind::Unsupported.into())
        })*
    };
}

unsupported! {
    fn stat_at(path: &Path) -> Option<Stat>;
    fn stat_in(directory: &File, name: &OsStr) -> Option<Stat>;
    fn locate(directory: &Path) -> (FileId, Option<Filesystem>);
    fn stat_of(file: &File) -> Stat;
    fn open_existing(path: &Path) -> (File, bool);
    fn open_to_look(path: &Path) -> File;
    fn open_existing_in(directory: &File, name: &OsStr) -> (File, bool);
    fn open_or_create(path: &Path, bits: u32) -> File;
    fn create_new(path: &Path, bits: u32) -> File;
    fn create_new_in(directory: &File, name: &OsStr, bits: u32) -> File;
    fn open_directory(path: &Path) -> File;
    fn hard_link(from: &Path, to: &Path) -> ();
    fn remove_name(path: &Path) -> ();
    fn remove_name_in(directory: &File, name: &OsStr) -> ();
    fn rename_in(directory: &File, from: &OsStr, to: &OsStr) -> ();
    fn rename(from: &Path, to: &Path) -> ();
    fn rename_new(from: &Path, to: &Path) -> ();
    fn make_directory(path: &Path, bits: u32) -> ();
    fn remove_directory(path: &Path) -> ();
    fn make_symlink(target: &str, path: &Path) -> ();
    fn read_symlink(path: &Path) -> Option<Vec<u8>>;
    fn names_in(directory: &File, most: usize) -> Vec<OsString>;
    fn read_start(file: &File, most: usize, enough: usize) -> Vec<u8>;
    fn write_start(file: &File, bytes: &[u8]) -> ();
    fn truncate(file: &File) -> ();
    fn touch(file: &File) -> ();
    fn touch_name(path: &Path) -> ();
    fn modified(path: &Path) -> Option<std::time::Duration>;
    fn lock_try(file: &File, mode: Mode) -> bool;
    fn lock_wait(file: &File, mode: Mode) -> ();
    fn lock_held_as(file: &File) -> Option<Mode>;
    fn unlock(file: &File) -> ();
    fn filesystem(directory: &Path) -> Filesystem;
    fn filesystem_of(file: &File) -> Filesystem;
    fn create_unnamed(directory: &Path, bits: u32) -> Option<File>;
    fn name_unnamed(file: &File, to: &Path) -> ();
    fn range_try(file: &File, range: Range, mode: Mode) -> bool;
    fn range_wait(file: &File, range: Range, mode: Mode) -> ();
    fn range_unlock(file: &File, range: Range) -> ();
    fn range_held_as(file: &File, range: Range) -> Option<Mode>;
    fn inherit(command: &mut Command, file: File) -> ();
    fn die_with_parent(command: &mut Command) -> ();
}

/// Something that [`poll`] could wait for.
pub(crate) type Source<'a> = PhantomData<&'a ()>;

/// What ended a [`poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(dead_code, reason = "nothing can be waited for here, and the callers ask for each outcome")]
pub(crate) enum Woken {
    Ready(Vec<usize>),
    TimedOut,
    Interrupted,
}

pub(crate) fn poll(_sources: &[Source<'_>], _time: Option<Duration>) -> io::Result<Woken> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A flag that nobody can wait for.
#[derive(Debug)]
pub(crate) struct Event;

impl Event {
    pub(crate) fn new() -> io::Result<Event> {
        Ok(Event)
    }

    pub(crate) fn raise(&self) {}

    pub(crate) fn clear(&self) {}

    pub(crate) fn source(&self) -> Source<'_> {
        PhantomData
    }
}

/// The end of a process, which can't be waited for.
#[derive(Debug)]
pub(crate) struct Exit;

impl Exit {
    pub(crate) fn of(_pid: u32) -> io::Result<Option<Exit>> {
        Ok(None)
    }

    pub(crate) fn source(&self) -> Source<'_> {
        PhantomData
    }
}

/// Changes of names, which can't be watched.
#[derive(Debug)]
pub(crate) struct Watches;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WatchId;

impl Watches {
    pub(crate) fn new() -> Option<Watches> {
        None
    }

    pub(crate) fn add(&self, _directory: &Path, _writes: bool) -> io::Result<Option<WatchId>> {
        Ok(None)
    }

    pub(crate) fn remove(&self, _id: WatchId) {}

    pub(crate) fn source(&self) -> Source<'_> {
        PhantomData
    }

    pub(crate) fn read(&self, mut each: impl FnMut(Option<WatchId>, Option<&OsStr>)) {
        each(None, None);
    }
}

pub(crate) fn process_state(_pid: u32) -> ProcessState {
    ProcessState::Running { start: None }
}

pub(crate) fn monotonic_ms() -> u64 {
    0
}

pub(crate) fn hostname() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}

pub(crate) fn user_id() -> Option<u32> {
    None
}

pub(crate) fn boot_id() -> Option<String> {
    None
}

pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

pub(crate) fn thread_id() -> Option<u64> {
    None
}

/// `path` with `suffix` appended to its last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    body()
}

pub(crate) fn is_still(_file: &File, _id: FileId) -> bool {
    true
}

pub(crate) fn abandon(_file: File) {}

/// Not shown by this system.
pub(crate) fn contenders(_inode: FileId, _ranged: bool, _waiting: Range) -> Contenders {
    Contenders::default()
}

/// Not shown by this system.
pub(crate) fn locked_inodes() -> Vec<u64> {
    Vec::new()
}
