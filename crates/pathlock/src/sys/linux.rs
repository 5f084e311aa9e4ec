//! What Linux has beyond Unix: locks of an open file description, unnamed files, inotify, pidfds,
//! `/proc`.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use rustix::event::EventfdFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{AtFlags, CWD, Mode as Bits, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::mode::Mode;

use super::{Filesystem, ForkLocal, ProcessState, Range, Source};

/// What kind of filesystem `directory` is on.
pub(crate) fn filesystem(directory: &Path) -> io::Result<Filesystem> {
    Ok(kind_of_filesystem(&rustix::fs::statfs(directory)?))
}

/// What kind of filesystem `file` is on.
pub(crate) fn filesystem_of(file: &File) -> io::Result<Filesystem> {
    Ok(kind_of_filesystem(&rustix::fs::fstatfs(file)?))
}

/// Whether readers and other programs' waits see what happens on a filesystem: see statfs(2) for
/// the magic numbers. What is not known to be local is treated as remote.
pub(super) fn kind_of_filesystem(raw: &rustix::fs::StatFs) -> Filesystem {
    const LOCAL: &[u64] = &[
        0xef53,      // ext2, ext3, ext4
        0x0102_1994, // tmpfs
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlay
        0xf2f5_2010, // f2fs
        0x2fc1_2fc1, // zfs
        0xca45_1a4e, // bcachefs
        0x3153_464a, // jfs
        0x5265_4973, // reiserfs
        0x4d44,      // vfat
        0x2011_bab0, // exfat
        0x7366_746e, // ntfs3
        0xf15f,      // ecryptfs
        0x9fa0,      // proc
        0x6265_6572, // sysfs
    ];
    // `as`: the field's type differs between architectures; the numbers are 32 bits wide.
    let magic = raw.f_type as u64 & 0xffff_ffff;
    if LOCAL.contains(&magic) { Filesystem::Local } else { Filesystem::Remote }
}

/// A file that has no name yet: nothing is left behind if this process dies. `None` where the
/// filesystem has no such thing.
pub(crate) fn create_unnamed(directory: &Path, bits: u32) -> io::Result<Option<File>> {
    // Naming it later goes through /proc, which a chroot may lack.
    static CAN_BE_NAMED: OnceLock<bool> = OnceLock::new();
    if !CAN_BE_NAMED.get_or_init(|| Path::new("/proc/self/fd").exists()) {
        return Ok(None);
    }
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    match rustix::fs::open(directory, flags, Bits::from_raw_mode(bits & 0o7777)) {
        Ok(fd) => Ok(Some(fd.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Gives a file from [`create_unnamed`] its name. Fails with `AlreadyExists` where `to` exists.
pub(crate) fn name_unnamed(file: &File, to: &Path) -> io::Result<()> {
    // Since Linux 6.10 who has opened a file may name it; before, that took a capability, and without it the file
    // is "not found". Half the time of the way through /proc.
    match rustix::fs::linkat(file, c"", CWD, to, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::INVAL | Errno::PERM) => {}
        result => return Ok(result?),
    }
    let mut link = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let digits = file.as_raw_fd().to_string();
    link[14..14 + digits.len()].copy_from_slice(digits.as_bytes());
    let link = CStr::from_bytes_until_nul(&link).unwrap_or_default();
    Ok(rustix::fs::linkat(CWD, link, CWD, to, AtFlags::SYMLINK_FOLLOW)?)
}

/// Renames a directory to a name that must be free. `Unsupported` where the filesystem can't tell.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
        result => Ok(result?),
    }
}

/// One `fcntl(2)` call on a lock of the open file description.
fn range_call(file: &File, command: i32, kind: i32, range: Range) -> io::Result<libc::flock> {
    // SAFETY: all-zero is a valid `struct flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    // `as`: the constants are small; the C fields' widths differ between architectures.
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = range.start as _;
    lock.l_len = range.length as _;
    // SAFETY: the descriptor is open while `file` is borrowed, and `lock` outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock)
}

fn range_set(file: &File, command: i32, kind: i32, range: Range) -> io::Result<bool> {
    loop {
        match range_call(file, command, kind, range) {
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

fn kind_of(mode: Mode) -> i32 {
    match mode {
        Mode::Exclusive => libc::F_WRLCK,
        Mode::Shared => libc::F_RDLCK,
    }
}

/// Tries for a lock of `range`; `false` when another open file description, or a process with a
/// POSIX lock, is in the way. An exclusive one needs a file that is open for writing.
pub(crate) fn range_try(file: &File, range: Range, mode: Mode) -> io::Result<bool> {
    range_set(file, libc::F_OFD_SETLK, kind_of(mode), range)
}

/// Waits in the kernel's queue for a lock of `range`.
pub(crate) fn range_wait(file: &File, range: Range, mode: Mode) -> io::Result<()> {
    range_set(file, libc::F_OFD_SETLKW, kind_of(mode), range).map(|_| ())
}

pub(crate) fn range_unlock(file: &File, range: Range) -> io::Result<()> {
    range_set(file, libc::F_OFD_SETLK, libc::F_UNLCK, range).map(|_| ())
}

/// How another open file description, or a process, has a lock in `range`. Takes nothing.
pub(crate) fn range_held_as(file: &File, range: Range) -> io::Result<Option<Mode>> {
    let lock = range_call(file, libc::F_OFD_GETLK, libc::F_WRLCK, range)?;
    Ok(match i32::from(lock.l_type) {
        libc::F_UNLCK => None,
        libc::F_RDLCK => Some(Mode::Shared),
        _ => Some(Mode::Exclusive),
    })
}

/// A flag that another thread, or a signal handler, can raise to end a [`super::poll`].
#[derive(Debug)]
pub(crate) struct Event(OwnedFd);

impl Event {
    pub(crate) fn new() -> io::Result<Event> {
        Ok(Event(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Raises it. Only write(2): safe in a signal handler.
    pub(crate) fn raise(&self) {
        // The counter is full only if it is raised already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Lowers it: by the one who waits for it.
    pub(crate) fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.0.as_fd()
    }
}

/// The end of a process, as something to wait for.
#[derive(Debug)]
pub(crate) struct Exit(OwnedFd);

impl Exit {
    /// `None` where the system can't tell; an error where there is no such process.
    pub(crate) fn of(pid: u32) -> io::Result<Option<Exit>> {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Exit(fd))),
            Err(Errno::SRCH) => Err(Errno::SRCH.into()),
            // Not there, not allowed, or out of descriptors: the watch and the re-check remain.
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.0.as_fd()
    }
}

/// inotify instances that no wait uses now. Closing one that has had a watch takes milliseconds,
/// and a user may have 128 of them: they are kept, a few.
static IDLE: ForkLocal<Mutex<Vec<OwnedFd>>> = ForkLocal::new();
const MOST_IDLE: usize = 8;

/// Watches for changes of the names in directories.
#[derive(Debug)]
pub(crate) struct Watches {
    instance: ManuallyDrop<OwnedFd>,
}

/// One of some [`Watches`]. Two of one directory are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WatchId(i32);

impl Watches {
    /// `None` where there are none to be had.
    pub(crate) fn new() -> Option<Watches> {
        let idle = IDLE.get_or_init(Mutex::default).lock().ok().and_then(|mut idle| idle.pop());
        let instance = match idle {
            Some(instance) => instance,
            None => inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?,
        };
        Some(Watches { instance: ManuallyDrop::new(instance) })
    }

    /// Watches the names in `directory`; also writes to the files there, touches, and their being closed by
    /// who could write, if `writes`. `None` where changes can't be watched.
    pub(crate) fn add(&self, directory: &Path, writes: bool) -> io::Result<Option<WatchId>> {
        let names = WatchFlags::DELETE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        let modified = if writes {
            WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::CLOSE_WRITE
        } else {
            WatchFlags::empty()
        };
        let flags = names | itself | modified | WatchFlags::MASK_ADD;
        match inotify::add_watch(&*self.instance, directory, flags) {
            Ok(descriptor) => Ok(Some(WatchId(descriptor))),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Errno::NOENT.into()),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn remove(&self, id: WatchId) {
        let _ = inotify::remove_watch(&*self.instance, id.0);
    }

    pub(crate) fn source(&self) -> Source<'_> {
        self.instance.as_fd()
    }

    /// Reads what has happened: in which directory, to which name, or to the directory itself. No
    /// directory means that something may have happened in any of them.
    pub(crate) fn read(&self, mut each: impl FnMut(Option<WatchId>, Option<&OsStr>)) {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&*self.instance, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                each(None, None);
            } else if !event.events().contains(ReadFlags::IGNORED) {
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                each(Some(WatchId(event.wd())), name);
            }
        }
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.read(|_, _| {});
        // SAFETY: `instance` is taken once, here, and not used afterwards.
        let instance = unsafe { ManuallyDrop::take(&mut self.instance) };
        if let Ok(mut idle) = IDLE.get_or_init(Mutex::default).lock()
            && idle.len() < MOST_IDLE
        {
            idle.push(instance);
        }
    }
}

/// What `/proc/PID/stat` says; see proc_pid_stat(5).
pub(crate) fn process_state(pid: u32) -> ProcessState {
    match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => parse_stat(&text).unwrap_or(ProcessState::Running { start: None }),
        Err(error) => {
            match Pid::from_raw(i32::try_from(pid).unwrap_or(0)).map(rustix::process::test_kill_process) {
                // hidepid, or no /proc: the signal's permission check tells that it is there.
                Some(Ok(()) | Err(Errno::PERM)) if error.raw_os_error() != Some(libc::ESRCH) => {
                    ProcessState::Running { start: None }
                }
                _ => ProcessState::Gone,
            }
        }
    }
}

fn parse_stat(text: &[u8]) -> Option<ProcessState> {
    // The second field is the command in parentheses, and may hold blanks and parentheses itself.
    let after = text.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = std::str::from_utf8(text.get(after..)?).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let threads: u64 = fields.nth(16)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    // A leader that has ended shows as a zombie while its other threads still run.
    if matches!(state, "Z" | "X" | "x") && threads <= 1 {
        return Some(ProcessState::Gone);
    }
    Some(ProcessState::Running { start: Some(start) })
}

pub(crate) fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(crate) fn pid_namespace() -> Option<u64> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

pub(crate) fn thread_id() -> Option<u64> {
    u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).ok()
}

/// Kills the child that `command` starts when its parent dies.
pub(crate) fn die_with_parent(command: &mut Command) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    let parent = rustix::process::getpid();
    // SAFETY: the closure runs in the child between fork and exec and only calls prctl(2) and
    // getppid(2); it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // The parent may have died before the call above.
            if rustix::process::getppid() != Some(parent) {
                return Err(Errno::SRCH.into());
            }
            Ok(())
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_named_like_a_stat_line_does_not_mislead() {
        let line = b"7 (a) Z 1 (b) R) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 3 0 8812 1 1 1 1\n";
        assert_eq!(parse_stat(line), Some(ProcessState::Running { start: Some(8812) }));
        let zombie = b"7 (x) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 8812 1 1 1 1\n";
        assert_eq!(parse_stat(zombie), Some(ProcessState::Gone));
        let leader = b"7 (x) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 2 0 8812 1 1 1 1\n";
        assert_eq!(parse_stat(leader), Some(ProcessState::Running { start: Some(8812) }));
        for broken in [&b""[..], b"7 (x", b"7 (x) S", b"7 (x) S 1 2 3"] {
            assert_eq!(parse_stat(broken), None, "{broken:?}");
        }
    }
}
