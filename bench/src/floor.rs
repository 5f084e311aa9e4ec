//! The floor: the system calls of one turn of each scheme, bare, with nothing computed between them, in the order and
//! with the arguments that strace(1) shows. What a scheme takes beyond its floor is Pathlock's own.
//!
//! They exclude others only as far as the kernel does, and look at no answer: they are no locks.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{EventfdFlags, PollFd, PollFlags};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode as Bits, OFlags, RenameFlags, StatxFlags};

use crate::contender::{Error, Turn, lock_file, open_lock_file};

const RECORD: &[u8; 512] = &[b'x'; 512];
/// As long as the target of a symbolic link that is a lock.
const TARGET: &str = "1;pathlock=1;scheme=symlink;start=1476986;boot=00000000-0000-0000-0000-000000000000;\
    pidns=4026531836;thread=30553;user=0;since=1795660317.450561424;serial=12;host=localhost;\
    command=bench%20cycle%20symlink%20target%20of%20this%20length";
const CAREFUL: OFlags = OFlags::NOCTTY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// `flock(2)` on an open file, and nothing else.
pub(crate) fn bare_flock(path: &Path) -> Result<Turn, Error> {
    let file = open_lock_file(path)?;
    Ok(Box::new(move |inside| {
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        inside();
        Ok(rustix::fs::flock(&file, FlockOperation::Unlock)?)
    }))
}

/// The same with a timeout that never comes: another thread sits in flock(2), which can't be given one, and wakes this
/// one when it has the lock. That takes two wake-ups where [`bare_flock`] takes one.
pub(crate) fn parked_flock(path: &Path) -> Result<Turn, Error> {
    let file = Arc::new(open_lock_file(path)?);
    let (go, come) = (event()?, event()?);
    let parker = (Arc::clone(&file), Arc::clone(&go), Arc::clone(&come));
    std::thread::spawn(move || -> io::Result<()> {
        let (file, go, come) = parker;
        let mut count = [0; 8];
        loop {
            rustix::io::read(&*go, &mut count)?;
            rustix::fs::flock(&*file, FlockOperation::LockExclusive)?;
            rustix::io::write(&*come, &1_u64.to_ne_bytes())?;
        }
    });
    Ok(Box::new(move |inside| {
        if rustix::fs::flock(&*file, FlockOperation::NonBlockingLockExclusive).is_err() {
            rustix::io::write(&*go, &1_u64.to_ne_bytes())?;
            let minutes = rustix::event::Timespec { tv_sec: 600, tv_nsec: 0 };
            rustix::event::poll(&mut [PollFd::new(&*come, PollFlags::IN)], Some(&minutes))?;
            rustix::io::read(&*come, &mut [0; 8])?;
        }
        inside();
        Ok(rustix::fs::flock(&*file, FlockOperation::Unlock)?)
    }))
}

fn event() -> io::Result<Arc<OwnedFd>> {
    Ok(Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC)?))
}

/// The calls of `scheme`: for a handle that is used again, or with a new one for each turn.
pub(crate) fn open(scheme: &str, path: &Path, new: bool) -> Result<Turn, Error> {
    let site = Site::of(scheme, path)?;
    let ranged = scheme == "ofd";
    Ok(match scheme {
        "flock" | "ofd" if new => kernel_anew(site, ranged),
        "flock" | "ofd" => kernel(site, ranged)?,
        "link" | "pid" => link(site, new),
        "mkdir" => mkdir(site, new),
        "symlink" => symlink(site),
        _ => return Err(format!("there is no floor of `{scheme}`").into()),
    })
}

struct Site {
    directory: PathBuf,
    lock_file: PathBuf,
}

impl Site {
    fn of(scheme: &str, path: &Path) -> io::Result<Site> {
        let lock_file = if scheme == "pid" { path.to_owned() } else { lock_file(path) };
        let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        Ok(Site { directory, lock_file })
    }

    fn look_at_directory(&self) -> io::Result<()> {
        stat(CWD, &self.directory, AtFlags::empty())?;
        std::hint::black_box(rustix::thread::gettid());
        Ok(())
    }

    fn look_at_name(&self) -> io::Result<()> {
        stat(CWD, &self.lock_file, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// A new handle looks whether there is a lock; one that has found none just before expects none.
    fn look_first(&self, new: bool) {
        if new {
            let _ = self.look_at_name();
        }
    }

    fn open_file(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | CAREFUL;
        Ok(rustix::fs::open(&self.lock_file, flags, Bits::from_raw_mode(0o666))?.into())
    }
}

fn stat(directory: impl AsFd, path: &Path, flags: AtFlags) -> io::Result<()> {
    let times = StatxFlags::ATIME | StatxFlags::MTIME | StatxFlags::CTIME;
    std::hint::black_box(rustix::fs::statx(
        directory,
        path,
        flags,
        StatxFlags::BASIC_STATS.difference(times),
    )?);
    Ok(())
}

fn look_at_file(file: impl AsFd) -> io::Result<()> {
    stat(file, Path::new(""), AtFlags::EMPTY_PATH)
}

fn read(file: impl AsFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
    rustix::io::pread(file, &mut buffer, 0)?;
    Ok(())
}

fn write(file: impl AsFd) -> io::Result<()> {
    rustix::io::pwrite(file, RECORD, 0)?;
    Ok(())
}

/// A lock of bytes of an open file description, or a question about one.
fn range(file: impl AsFd, command: i32, kind: i32, start: i64, length: i64) {
    let mut lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    };
    // SAFETY: the file is open, and the lock is valid for the call.
    #[allow(unsafe_code, reason = "rustix has no locks of open file descriptions")]
    unsafe {
        libc::fcntl(file.as_fd().as_raw_fd(), command, &raw mut lock);
    }
}

const LAST: i64 = i64::MAX;
const WAITERS: (i64, i64) = (LAST - 0x10, 3);
const WATCHERS: (i64, i64) = (LAST - 0x10, 5);
const BREAKER: (i64, i64) = (LAST - 12, 1);
const LEAVING: (i64, i64) = (LAST - 11, 1);

fn ask(file: impl AsFd, (start, length): (i64, i64)) {
    range(file, libc::F_OFD_GETLK, libc::F_RDLCK, start, length);
}

fn set(file: impl AsFd, kind: i32, (start, length): (i64, i64)) {
    range(file, libc::F_OFD_SETLK, kind, start, length);
}

/// flock and ofd, by a file that stays open.
fn kernel(site: Site, ranged: bool) -> Result<Turn, Error> {
    let file = site.open_file()?;
    Ok(Box::new(move |inside| {
        site.look_at_directory()?;
        look_at_file(&file)?;
        Ok(kernel_turn(&site, &file, ranged, inside)?)
    }))
}

/// The same, by a file that is opened for it.
fn kernel_anew(site: Site, ranged: bool) -> Turn {
    Box::new(move |inside| {
        site.look_at_directory()?;
        site.look_first(true);
        let file = site.open_file()?;
        look_at_file(&file)?;
        std::hint::black_box(rustix::fs::fstatfs(&file)?);
        kernel_turn(&site, &file, ranged, inside)?;
        Ok(look_at_file(&file)?)
    })
}

fn kernel_turn(site: &Site, file: &File, ranged: bool, inside: &mut dyn FnMut()) -> io::Result<()> {
    const ALL: (i64, i64) = (0, LAST - 0x1_0010);
    ask(file, WAITERS);
    if ranged {
        set(file, libc::F_WRLCK, ALL);
    } else {
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)?;
    }
    read(file)?;
    write(file)?;
    ask(file, BREAKER);
    site.look_at_name()?;
    inside();
    look_at_file(file)?;
    site.look_at_name()?;
    read(file)?;
    write(file)?;
    if ranged {
        set(file, libc::F_UNLCK, ALL);
    } else {
        rustix::fs::flock(file, FlockOperation::Unlock)?;
    }
    Ok(())
}

/// Looks for a breaker, and at the name that is to be removed.
fn leave(site: &Site, inode: impl AsFd, record: impl AsFd) -> io::Result<()> {
    look_at_file(&inode)?;
    set(&inode, libc::F_RDLCK, LEAVING);
    ask(&inode, WATCHERS);
    site.look_at_name()?;
    read(record)
}

fn left(inode: impl AsFd) -> io::Result<()> {
    rustix::fs::flock(&inode, FlockOperation::Unlock)?;
    set(&inode, libc::F_UNLCK, LEAVING);
    Ok(())
}

/// link and pid.
fn link(site: Site, new: bool) -> Turn {
    Box::new(move |inside| {
        site.look_at_directory()?;
        site.look_first(new);
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = rustix::fs::open(&site.directory, flags, Bits::from_raw_mode(0o666))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        write(&file)?;
        look_at_file(&file)?;
        rustix::fs::linkat(&file, "", CWD, &site.lock_file, AtFlags::EMPTY_PATH)?;
        inside();
        leave(&site, &file, &file)?;
        rustix::fs::unlink(&site.lock_file)?;
        Ok(left(&file)?)
    })
}

fn mkdir(site: Site, new: bool) -> Turn {
    let aside = |end: &str| site.directory.join(format!(".floor-00000000000000-00000000000000-{end}"));
    let (draft, gone) = (aside("1"), aside("2"));
    Box::new(move |inside| {
        site.look_at_directory()?;
        site.look_first(new);
        rustix::fs::mkdir(&draft, Bits::from_raw_mode(0o777))?;
        let directory = rustix::fs::open(&draft, OFlags::DIRECTORY | CAREFUL, Bits::empty())?;
        look_at_file(&directory)?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | CAREFUL;
        let record = rustix::fs::openat(&directory, "host.-774e30542", flags, Bits::from_raw_mode(0o666))?;
        write(&record)?;
        rustix::fs::renameat_with(CWD, &draft, CWD, &site.lock_file, RenameFlags::NOREPLACE)?;
        inside();
        leave(&site, &directory, &record)?;
        rustix::fs::rename(&site.lock_file, &gone)?;
        stat(CWD, &gone, AtFlags::SYMLINK_NOFOLLOW)?;
        stat(&directory, Path::new("host.-774e30542"), AtFlags::SYMLINK_NOFOLLOW)?;
        look_at_file(&record)?;
        rustix::fs::unlinkat(&directory, "host.-774e30542", AtFlags::empty())?;
        stat(CWD, &gone, AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::rmdir(&gone)?;
        Ok(left(&directory)?)
    })
}

fn symlink(site: Site) -> Turn {
    let name = CString::new(site.lock_file.as_os_str().as_bytes()).unwrap_or_default();
    Box::new(move |inside| {
        site.look_at_directory()?;
        rustix::fs::symlink(TARGET, &site.lock_file)?;
        inside();
        let directory = rustix::fs::open(&site.directory, OFlags::DIRECTORY | CAREFUL, Bits::empty())?;
        set(&directory, libc::F_RDLCK, LEAVING);
        ask(&directory, BREAKER);
        let mut buffer = [MaybeUninit::<u8>::uninit(); 256];
        rustix::fs::readlinkat_raw(CWD, &name, &mut buffer)?;
        rustix::fs::unlink(&site.lock_file)?;
        set(&directory, libc::F_UNLCK, LEAVING);
        Ok(())
    })
}
