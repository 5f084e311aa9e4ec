//! What every Unix has: names, inodes, `flock(2)`, `poll(2)`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode as Bits, OFlags};
use rustix::io::Errno;

use crate::mode::Mode;

use super::{FileId, Kind, Stat, stat_by_file, stat_by_name};

/// Never wait in an open, never follow a link at the end of the path, never become a controlling
/// terminal, never leak into a child.
const CAREFUL: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn mode(bits: u32) -> Bits {
    // `as`: a mode has 12 bits and fits the platform's type, whatever its width.
    Bits::from_raw_mode((bits & 0o7777) as rustix::fs::RawMode)
}

pub(super) fn kind_of(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Special,
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' widths and signs differ between systems")]
pub(super) fn stat_of_raw(raw: &rustix::fs::Stat) -> Stat {
    // `as`: device and inode are compared, never reckoned with.
    let id = FileId { device: raw.st_dev as u64, inode: raw.st_ino as u64 };
    Stat { id, kind: kind_of(FileType::from_raw_mode(raw.st_mode)) }
}

/// What is at `path`, without following a link; `None` where there is nothing.
pub(crate) fn stat_at(path: &Path) -> io::Result<Option<Stat>> {
    stat_in(CWD, path.as_os_str())
}

/// What `name` is in a directory, without following a link; `None` where there is nothing.
pub(crate) fn stat_in(directory: impl AsFd, name: &OsStr) -> io::Result<Option<Stat>> {
    match stat_by_name(directory, Path::new(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is behind an open file.
pub(crate) fn stat_of(file: &File) -> io::Result<Stat> {
    Ok(stat_by_file(file)?)
}

/// Opens what exists at `path`, for reading and writing where that is allowed and for reading
/// where it is not; the flag says whether it can be written.
pub(crate) fn open_existing(path: &Path) -> io::Result<(File, bool)> {
    open_existing_in(CWD, path.as_os_str())
}

/// Opens what exists at `path` for reading alone: to close it is nothing that a watch for writers sees.
pub(crate) fn open_to_look(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | CAREFUL, Bits::empty())?.into())
}

/// [`open_existing`] of a name in an open directory.
pub(crate) fn open_existing_in(directory: impl AsFd, name: &OsStr) -> io::Result<(File, bool)> {
    match rustix::fs::openat(&directory, name, OFlags::RDWR | CAREFUL, Bits::empty()) {
        Ok(fd) => Ok((fd.into(), true)),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::ISDIR | Errno::TXTBSY) => {
            Ok((rustix::fs::openat(&directory, name, OFlags::RDONLY | CAREFUL, Bits::empty())?.into(), false))
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the file at `path` for reading and writing, and makes it where it is missing.
pub(crate) fn open_or_create(path: &Path, bits: u32) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDWR | OFlags::CREATE | CAREFUL, mode(bits))?.into())
}

/// Makes a file that nobody else has made.
pub(crate) fn create_new(path: &Path, bits: u32) -> io::Result<File> {
    create_new_in(CWD, path.as_os_str(), bits)
}

/// [`create_new`] of a name in an open directory.
pub(crate) fn create_new_in(directory: impl AsFd, name: &OsStr, bits: u32) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | CAREFUL;
    Ok(rustix::fs::openat(directory, name, flags, mode(bits))?.into())
}

pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL, Bits::empty())?.into())
}

/// Gives a file a second name. Fails with `AlreadyExists` where `to` exists.
pub(crate) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?)
}

pub(crate) fn remove_name(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlink(path)?)
}

pub(crate) fn remove_name_in(directory: &File, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

pub(crate) fn rename_in(directory: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::renameat(directory, from, directory, to)?)
}

pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    Ok(rustix::fs::rename(from, to)?)
}

pub(crate) fn make_directory(path: &Path, bits: u32) -> io::Result<()> {
    Ok(rustix::fs::mkdir(path, mode(bits))?)
}

pub(crate) fn remove_directory(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::rmdir(path)?)
}

pub(crate) fn make_symlink(target: &str, path: &Path) -> io::Result<()> {
    Ok(rustix::fs::symlink(target, path)?)
}

/// The target of a symbolic link; `None` where there is nothing, `InvalidInput` where there is
/// something that is not a link.
pub(crate) fn read_symlink(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match rustix::fs::readlink(path, Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names in an open directory, at most `most` of them.
pub(crate) fn names_in(directory: &File, most: usize) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
            if names.len() == most {
                break;
            }
        }
    }
    Ok(names)
}

/// The first bytes of a file, at most `most`, which is no more than 4096. One that has given exactly `enough` is
/// not asked for more: as short as that, a read has met the end.
pub(crate) fn read_start(file: &File, most: usize, enough: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    while text.len() < most && text.len() != enough {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let room = &mut buffer[text.len()..most];
        match rustix::io::pread(file, room, text.len() as u64) {
            Ok(([], _)) => break,
            Ok((read, _)) => text.extend_from_slice(read),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(text)
}

/// Writes `bytes` at the start of a file.
pub(crate) fn write_start(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)
}

/// Empties a file.
pub(crate) fn truncate(file: &File) -> io::Result<()> {
    retry(|| rustix::fs::ftruncate(file, 0))
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// Tries for the `flock(2)` lock; `false` when another open file description is in the way.
pub(crate) fn lock_try(file: &File, mode: Mode) -> io::Result<bool> {
    let operation = match mode {
        Mode::Exclusive => FlockOperation::NonBlockingLockExclusive,
        Mode::Shared => FlockOperation::NonBlockingLockShared,
    };
    retry(|| match rustix::fs::flock(file, operation) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        result => result.map(|()| true),
    })
}

/// Waits in the kernel's queue for the `flock(2)` lock.
pub(crate) fn lock_wait(file: &File, mode: Mode) -> io::Result<()> {
    let operation = match mode {
        Mode::Exclusive => FlockOperation::LockExclusive,
        Mode::Shared => FlockOperation::LockShared,
    };
    retry(|| rustix::fs::flock(file, operation))
}

/// How other open file descriptions have the `flock(2)` lock, if any has. Looks by taking it for a
/// moment, shared at first.
pub(crate) fn lock_held_as(file: &File) -> io::Result<Option<Mode>> {
    if !lock_try(file, Mode::Shared)? {
        return Ok(Some(Mode::Exclusive));
    }
    let alone = lock_try(file, Mode::Exclusive);
    unlock(file)?;
    Ok(if alone? { None } else { Some(Mode::Shared) })
}

/// Gives up the `flock(2)` lock of this open file description, for all that share it.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    retry(|| rustix::fs::flock(file, FlockOperation::Unlock))
}

/// Something that [`poll`] can wait for.
pub(crate) type Source<'a> = BorrowedFd<'a>;

/// What ended a [`poll`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Woken {
    /// These of the sources are ready, by their place among them.
    Ready(Vec<usize>),
    /// The time is up.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

impl Woken {
    /// By whether each of the sources is ready.
    pub(super) fn of(ready: impl Iterator<Item = bool>) -> Woken {
        let which: Vec<usize> =
            ready.enumerate().filter(|(_, ready)| *ready).map(|(index, _)| index).collect();
        if which.is_empty() { Woken::TimedOut } else { Woken::Ready(which) }
    }
}

/// Waits until one of `sources` is ready, for at most `time`.
pub(crate) fn poll(sources: &[Source<'_>], time: Option<Duration>) -> io::Result<Woken> {
    let mut fds: Vec<PollFd<'_>> = sources.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let time = time.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut fds, time.as_ref()) {
        Ok(_) => Ok(Woken::of(fds.iter().map(|fd| !fd.revents().is_empty()))),
        Err(Errno::INTR) => Ok(Woken::Interrupted),
        Err(error) => Err(error.into()),
    }
}

/// Milliseconds on the monotonic clock, which all processes of a boot share.
pub(crate) fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

pub(crate) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(crate) fn user_id() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

/// `path` with `suffix` appended to its last component, whatever bytes it is made of.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    while bytes.len() > 1 && bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    bytes.extend_from_slice(suffix.as_bytes());
    PathBuf::from(OsString::from_vec(bytes))
}

/// Blocks every signal in the calling thread while `body` runs. Threads that are made in it start
/// that way: a signal that is meant for the program finds the program's own threads, and ends the
/// waits there.
pub(crate) fn with_signals_blocked<T>(body: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::uninit();
    let mut before = std::mem::MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set it is given; pthread_sigmask reads the one and writes
    // the other; both outlive the calls.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = body();
    if blocked {
        // SAFETY: `before` was written by the successful call above.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    result
}

/// Lets the child that `command` starts inherit `file`, open.
pub(crate) fn inherit(command: &mut std::process::Command, file: File) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure runs in the child between fork and exec and only calls fcntl(2), which
    // is async-signal-safe; it allocates nothing.
    unsafe {
        command.pre_exec(move || Ok(rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?));
    }
    Ok(())
}

/// A duplicate of a descriptor that this process was started with.
pub(crate) fn duplicate(number: i32) -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: fcntl(2) checks the number, and fails if it is no open descriptor.
    let duplicate = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if duplicate == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has made it, and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(duplicate) })
}

/// Sets the times of a file to the filesystem's now: whoever watches it is told.
pub(crate) fn touch(file: &File) -> io::Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::futimens(file, &times)?)
}

/// [`touch`], by name, and without following what has it.
pub(crate) fn touch_name(path: &Path) -> io::Result<()> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// When what has the name was modified, since 1970 on the clock of who keeps it; `None` where nothing has it.
pub(crate) fn modified(path: &Path) -> io::Result<Option<Duration>> {
    use std::os::unix::fs::MetadataExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => {
            let seconds = u64::try_from(metadata.mtime()).unwrap_or(0);
            Ok(Some(Duration::new(seconds, u32::try_from(metadata.mtime_nsec()).unwrap_or(0))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether `file` still is the open file it was: a program that closes every descriptor, as
/// daemons do, closes ours too, and the number may name another file by now.
pub(crate) fn is_still(file: &File, id: FileId) -> bool {
    match stat_of(file) {
        Ok(stat) => stat.id == id,
        // Nothing but this says that the number names no file.
        Err(error) => error.raw_os_error() != Some(libc::EBADF),
    }
}

/// Forgets a file whose number is no longer ours to close.
pub(crate) fn abandon(file: File) {
    use std::os::fd::IntoRawFd;
    let _ = file.into_raw_fd();
}
