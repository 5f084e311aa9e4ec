//! Who holds and who waits for the kernel's locks of an inode: see proc_locks(5) and the lines
//! `lock:` of proc_pid_fdinfo(5).
//!
//! A lock belongs to an open file, and every process that has it open, by inheritance too, has its
//! lock. `/proc/locks` names the process that asked for it, which may be dead; only the open files
//! name who has it now. Waiters have no open file with a lock, but those of this library announce
//! themselves by a shared lock of a far byte, and `/proc/locks` names the others.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use super::{FileId, Range};
use crate::contenders::{Contender, Contenders};

/// Everything that can be seen of who contends for the inode's `flock(2)` lock or, if `ranged`, for
/// the locks of its bytes. Who waits has one of the bytes `waiting` locked.
pub(crate) fn contenders(inode: FileId, ranged: bool, waiting: Range) -> Contenders {
    let mut found = Contenders::default();
    let kinds: &[&str] = if ranged { &["OFDLCK", "POSIX"] } else { &["FLOCK"] };
    for pid in pids() {
        let (holds, waits) = stands(pid, inode, kinds, waiting);
        if holds {
            found.holders.push(contender(pid));
        }
        if waits {
            found.waiters.push(contender(pid));
        }
    }
    let table = fs::read_to_string("/proc/locks").unwrap_or_default();
    for line in table.lines() {
        let Some(line) = Line::parse(line) else { continue };
        if line.inode == inode.inode && line.blocked && kinds.contains(&line.kind) && line.pid > 0 {
            found.waiters.push(contender(line.pid.unsigned_abs()));
        }
    }
    found
}

/// The inodes, of whatever device, that any lock at all is held on.
pub(crate) fn locked_inodes() -> Vec<u64> {
    let table = fs::read_to_string("/proc/locks").unwrap_or_default();
    table.lines().filter_map(Line::parse).map(|line| line.inode).collect()
}

fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn contender(pid: u32) -> Contender {
    let mut bytes = Vec::new();
    // A command line can be megabytes long; people read its beginning.
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/cmdline")) {
        let _ = file.take(4096).read_to_end(&mut bytes);
    }
    let words: Vec<_> = bytes.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    Contender { pid, command: words.join(" ").trim_end().to_owned() }
}

/// Whether an open file of this process has the inode's lock, and whether one is announced for it.
fn stands(pid: u32, inode: FileId, kinds: &[&str], waiting: Range) -> (bool, bool) {
    let bytes = waiting.start..waiting.start + waiting.length;
    let (mut holds, mut waits) = (false, false);
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return (false, false) };
    for entry in entries.flatten() {
        let is_it = fs::metadata(entry.path())
            .is_ok_and(|data| FileId { device: data.dev(), inode: data.ino() } == inode);
        if !is_it {
            continue;
        }
        let name = entry.file_name();
        let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", name.display())).unwrap_or_default();
        for line in text.lines().filter_map(|line| line.strip_prefix("lock:")).filter_map(Line::parse) {
            // The bytes from there on are nobody's lock.
            holds |= line.start.is_none_or(|start| start < waiting.start) && kinds.contains(&line.kind);
            waits |= line.start.is_some_and(|start| bytes.contains(&start));
        }
    }
    (holds, waits)
}

/// One lock, as the kernel prints it: `1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    blocked: bool,
    kind: &'a str,
    pid: i32,
    inode: u64,
    start: Option<i64>,
}

impl Line<'_> {
    fn parse(text: &str) -> Option<Line<'_>> {
        let mut words = text.split_ascii_whitespace().skip(1).peekable();
        let blocked = words.next_if_eq(&"->").is_some();
        let kind = words.next()?;
        // Advisory or mandatory; read or write.
        let mut words = words.skip(2);
        let pid = words.next()?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        let start = words.next().and_then(|start| start.parse().ok());
        Some(Line { blocked, kind, pid, inode, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernel_are_read() {
        let held = "3: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF";
        let line = Line { blocked: false, kind: "FLOCK", pid: 4711, inode: 1234, start: Some(0) };
        assert_eq!(Line::parse(held), Some(line));
        let waits = "3: -> OFDLCK ADVISORY  READ -1 00:2a:99 9223372036854775791 9223372036854775791";
        let line = Line {
            blocked: true,
            kind: "OFDLCK",
            pid: -1,
            inode: 99,
            start: Some(9_223_372_036_854_775_791),
        };
        assert_eq!(Line::parse(waits), Some(line));
        for broken in ["", "3:", "3: FLOCK ADVISORY", "3: FLOCK ADVISORY WRITE x fe:00:1 0 EOF"] {
            assert_eq!(Line::parse(broken), None, "{broken:?}");
        }
    }
}
