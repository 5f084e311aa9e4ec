//! macOS and the BSDs: `flock(2)` and names, and nothing that tells of a change.
//!
//! There is no `F_OFD_SETLK` and no inotify here. Waiters sit in the `flock` queue where there is
//! one, and try again with a backoff where there is none. Compiled for, and not run, by the
//! developers.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::contenders::Contenders;
use crate::mode::Mode;

use super::unix::stat_of_raw;
use super::{FileId, Filesystem, ProcessState, Range, Source, Stat};

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What kind of filesystem `directory` is on.
pub(crate) fn filesystem(directory: &Path) -> io::Result<Filesystem> {
    Ok(kind_of_filesystem(&rustix::fs::statfs(directory)?))
}

/// What the directory at `path` is, and what it is on where that costs nothing: never.
pub(crate) fn locate(path: &Path) -> io::Result<(FileId, Option<Filesystem>)> {
    Ok((stat_by_name(CWD, path, AtFlags::empty())?.id, None))
}

/// What kind of filesystem `file` is on.
pub(crate) fn filesystem_of(file: &File) -> io::Result<Filesystem> {
    Ok(kind_of_filesystem(&rustix::fs::fstatfs(file)?))
}

/// `MNT_LOCAL` of statfs(2) says it.
#[allow(clippy::unnecessary_cast, reason = "the flags are 32 bits wide on one system and 64 on the other")]
fn kind_of_filesystem(raw: &rustix::fs::StatFs) -> Filesystem {
    const MNT_LOCAL: u64 = 0x1000;
    if raw.f_flags as u64 & MNT_LOCAL == 0 { Filesystem::Remote } else { Filesystem::Local }
}

pub(super) fn stat_by_name(directory: impl AsFd, path: &Path, flags: AtFlags) -> rustix::io::Result<Stat> {
    Ok(stat_of_raw(&rustix::fs::statat(directory, path, flags)?))
}

pub(super) fn stat_by_file(file: &File) -> rustix::io::Result<Stat> {
    Ok(stat_of_raw(&rustix::fs::fstat(file)?))
}

pub(crate) fn create_unnamed(_directory: &Path, _bits: u32) -> io::Result<Option<File>> {
    Ok(None)
}

pub(crate) fn name_unnamed(_file: &File, _to: &Path) -> io::Result<()> {
    unsupported()
}

#[cfg(target_vendor = "apple")]
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::NOTSUP | Errno::INVAL) => unsupported(),
        result => Ok(result?),
    }
}

#[cfg(not(target_vendor = "apple"))]
pub(crate) fn rename_new(_from: &Path, _to: &Path) -> io::Result<()> {
    unsupported()
}

pub(crate) fn range_try(_file: &File, _range: Range, _mode: Mode) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn range_wait(_file: &File, _range: Range, _mode: Mode) -> io::Result<()> {
    unsupported()
}

pub(crate) fn range_unlock(_file: &File, _range: Range) -> io::Result<()> {
    unsupported()
}

pub(crate) fn range_held_as(_file: &File, _range: Range) -> io::Result<Option<Mode>> {
    unsupported()
}

/// A flag that another thread, or a signal handler, can raise to end a [`super::poll`]: a pipe.
#[derive(Debug)]
pub(crate) struct Event {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Event {
    pub(crate) fn new() -> io::Result<Event> {
        let (reader, writer) = rustix::pipe::pipe()?;
        for end in [&reader, &writer] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Event { reader, writer })
    }

    /// Raises it. Only write(2): safe in a signal handler.
    pub(crate) fn raise(&self) {
        // The pipe is full only if it is raised already.
        let _ = rustix::io::write(&self.writer, &[1]);
    }

    /// Lowers it: by the one who waits for it.
    pub(crate) fn clear(&self) {
        while matches!(rustix::io::read(&self.reader, &mut [0_u8; 64]), Ok(64)) {}
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.reader.as_fd()
    }
}

/// The end of a process can't be waited for here: the re-check finds it.
#[derive(Debug)]
pub(crate) struct Exit(OwnedFd);

impl Exit {
    pub(crate) fn of(_pid: u32) -> io::Result<Option<Exit>> {
        Ok(None)
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.0.as_fd()
    }
}

/// Changes of names can't be watched here: waiters try again with a backoff.
#[derive(Debug)]
pub(crate) struct Watches(OwnedFd);

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
        self.0.as_fd()
    }

    pub(crate) fn read(&self, mut each: impl FnMut(Option<WatchId>, Option<&OsStr>)) {
        each(None, None);
    }
}

pub(crate) fn process_state(pid: u32) -> ProcessState {
    let exists = Pid::from_raw(i32::try_from(pid).unwrap_or(0)).map(rustix::process::test_kill_process);
    match exists {
        Some(Ok(()) | Err(Errno::PERM)) => ProcessState::Running { start: start_time(pid) },
        _ => ProcessState::Gone,
    }
}

/// In microseconds since 1970, from `proc_pidinfo(PROC_PIDTBSDINFO)`.
#[cfg(target_vendor = "apple")]
fn start_time(pid: u32) -> Option<u64> {
    let pid = i32::try_from(pid).ok()?;
    let size = std::mem::size_of::<libc::proc_bsdinfo>();
    let mut info = std::mem::MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    // SAFETY: the buffer is as large as it is said to be, and zero is a valid value of every field.
    let written = unsafe {
        libc::proc_pidinfo(
            pid,
            libc::PROC_PIDTBSDINFO,
            0,
            info.as_mut_ptr().cast(),
            i32::try_from(size).ok()?,
        )
    };
    if usize::try_from(written).ok()? < size {
        return None;
    }
    // SAFETY: zeroed above and filled by the call.
    let info = unsafe { info.assume_init() };
    Some(info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec)
}

/// In microseconds since 1970, from the sysctl `kern.proc.pid`.
#[cfg(target_os = "freebsd")]
fn start_time(pid: u32) -> Option<u64> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, i32::try_from(pid).ok()?];
    let mut size = std::mem::size_of::<libc::kinfo_proc>();
    let mut info = std::mem::MaybeUninit::<libc::kinfo_proc>::zeroed();
    // SAFETY: name and buffer are as long as they are said to be; nothing is written to the system.
    let result = unsafe {
        libc::sysctl(name.as_mut_ptr(), 4, info.as_mut_ptr().cast(), &raw mut size, std::ptr::null_mut(), 0)
    };
    if result != 0 || size < std::mem::size_of::<libc::kinfo_proc>() {
        return None;
    }
    // SAFETY: zeroed above and filled by the call; zero is a valid value of every field.
    let start = unsafe { info.assume_init() }.ki_start;
    Some(u64::try_from(start.tv_sec).ok()? * 1_000_000 + u64::try_from(start.tv_usec).ok()?)
}

#[cfg(not(any(target_vendor = "apple", target_os = "freebsd")))]
fn start_time(_pid: u32) -> Option<u64> {
    None
}

/// The boot session, which macOS names. The time of boot, which the BSDs tell, changes with the
/// clock and proves nothing.
#[cfg(target_vendor = "apple")]
pub(crate) fn boot_id() -> Option<String> {
    let mut text = [0_u8; 64];
    let mut size = text.len();
    // SAFETY: the name ends in NUL, the buffer is as long as it is said to be, and nothing is
    // written to the system.
    let result = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = std::ffi::CStr::from_bytes_until_nul(&text).ok()?.to_str().ok()?;
    (result == 0 && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(not(target_vendor = "apple"))]
pub(crate) fn boot_id() -> Option<String> {
    None
}

pub(crate) fn pid_namespace() -> Option<u64> {
    None
}

pub(crate) fn thread_id() -> Option<u64> {
    None
}

pub(crate) fn die_with_parent(_command: &mut Command) -> io::Result<()> {
    unsupported()
}

/// Not shown by this system.
pub(crate) fn contenders(_inode: FileId, _ranged: bool, _waiting: Range) -> Contenders {
    Contenders::default()
}

/// Not shown by this system.
pub(crate) fn locked_inodes() -> Vec<u64> {
    Vec::new()
}
