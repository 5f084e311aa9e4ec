//! The written form of an owner, and the mark that stands in its place when nobody owns.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::{Identity, Owner};
use crate::sys;

/// No more of a file is ever read. The record of a living program is [`SIZE`] long.
const MAX_READ: usize = 4096;
/// Every record and mark is this long: one `pwrite` replaces another whole.
const SIZE: usize = 512;
/// The first word of a free mark: not a number, so that no reader of pids signals anybody.
const FREE: &str = "free";

/// What a lock file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// One of ours holds, or held, it.
    Owned(Owner, Mark),
    /// One of ours let it go and left it for the next in the queue.
    Free(Mark),
    /// One of ours let go of a lock that is the kernel's alone, by this scheme: the file stays.
    Idle(Box<str>),
    /// Another program's: a pid and nothing that proves whose it is.
    Bare(Owner),
    /// Nothing at all, as pylockfile's links, and kernel locks that are free.
    Empty,
    /// Anything else.
    Foreign,
}

/// When the name was first passed on, in milliseconds of the system's monotonic clock, or 0: one
/// that has been passed on for long is given up, for waiters of other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) passed: u64,
}

impl Record {
    /// How many bytes a record is long.
    pub(crate) const LENGTH: u64 = SIZE as u64;

    /// What there is to [`parse`](Self::parse) in a file.
    pub(crate) fn text_in(file: &File) -> io::Result<Vec<u8>> {
        sys::read_start(file, MAX_READ, SIZE)
    }

    /// Whether the text of a file is the record of this very acquisition, as [`Owner::is_same`] has it. Nothing
    /// is made of it: every release looks.
    pub(crate) fn is_of(text: &[u8], owner: &Owner) -> bool {
        let mut lines = text.split(|&byte| byte == b'\n');
        let by_pid = lines.next().is_some_and(|first| number(first) == Some(owner.pid.into()));
        let serial = lines.find_map(|line| line.strip_prefix(b"serial="));
        by_pid && serial.and_then(number) == Some(owner.serial)
    }

    /// The text for a file.
    pub(crate) fn owned(owner: &Owner, mark: Mark) -> [u8; SIZE] {
        let mut bytes = [b' '; SIZE];
        let mut text = Text::new(&mut bytes, b'\n');
        text.owner(owner, mark);
        text.pad();
        bytes
    }

    /// The text for a file that is left to the next in the queue.
    pub(crate) fn free(mark: Mark) -> [u8; SIZE] {
        let mut bytes = [b' '; SIZE];
        let mut text = Text::new(&mut bytes, b'\n');
        text.push(FREE.as_bytes());
        text.key("pathlock").number(1);
        text.key("passed").number(mark.passed);
        text.pad();
        bytes
    }

    /// The text for a file that stays, with nobody's lock on it.
    pub(crate) fn idle(scheme: &str) -> [u8; SIZE] {
        let mut bytes = [b' '; SIZE];
        let mut text = Text::new(&mut bytes, b'\n');
        text.push(FREE.as_bytes());
        text.key("pathlock").number(1);
        text.key("scheme").escaped(scheme, 16);
        text.pad();
        bytes
    }

    /// The text for the target of a symbolic link.
    pub(crate) fn target(owner: &Owner) -> String {
        let mut bytes = [b' '; SIZE];
        let mut text = Text::new(&mut bytes, b';');
        text.owner(owner, Mark::default());
        let length = text.length;
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// What `bytes`, the first of a file, say. Never fails.
    pub(crate) fn parse(bytes: &[u8]) -> Record {
        parse(bytes, b'\n')
    }

    /// What the target of a symbolic link says.
    pub(crate) fn parse_target(bytes: &[u8]) -> Record {
        parse(bytes, b';')
    }

    pub(crate) fn owner(&self) -> Option<&Owner> {
        match self {
            Record::Owned(owner, _) | Record::Bare(owner) => Some(owner),
            Record::Free(_) | Record::Idle(_) | Record::Empty | Record::Foreign => None,
        }
    }
}

/// The lines of a record that are the same in all records of a process.
pub(super) fn process_text(start: Option<u64>, identity: &Identity) -> Box<[u8]> {
    let mut bytes = [b' '; SIZE];
    let mut text = Text::new(&mut bytes, b'\n');
    text.process(start, identity);
    let length = text.length;
    bytes[..length].into()
}

/// A record while it is written, all of it ASCII. What has no room is left out: all but the command has.
struct Text<'a> {
    /// Blank where nothing is written.
    bytes: &'a mut [u8; SIZE],
    length: usize,
    separator: u8,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a mut [u8; SIZE], separator: u8) -> Text<'a> {
        Text { bytes, length: 0, separator }
    }

    fn owner(&mut self, owner: &Owner, mark: Mark) {
        self.number(owner.pid.into());
        self.key("pathlock").number(1);
        // Near the beginning: every release looks for it.
        self.key("serial").number(owner.serial);
        if !owner.scheme.is_empty() {
            self.key("scheme").escaped(&owner.scheme, 16);
        }
        if owner.kernel {
            self.key("kernel").escaped("flock", 16);
        }
        if let Some(lease) = owner.lease {
            self.key("lease").number(lease.get().into());
        }
        match owner.process_text() {
            Some(text) => self.lines(text),
            None => self.process(owner.start, &owner.identity),
        }
        if let Some(thread) = owner.thread {
            self.key("thread").number(thread.get());
        }
        if let Some(since) = owner.since {
            self.key("since").number(since.as_secs());
            self.push(b".");
            self.digits(since.subsec_nanos().into(), 9);
        }
        if mark.passed != 0 {
            self.key("passed").number(mark.passed);
        }
        // With the end of its line.
        let room = SIZE.saturating_sub(self.length + ";command=\n".len());
        self.key("command").escaped(&owner.command, room);
    }

    /// What is the same in all records of a process.
    fn process(&mut self, start: Option<u64>, identity: &Identity) {
        if let Some(start) = start {
            self.key("start").number(start);
        }
        if let Some(boot) = &identity.boot {
            self.key("boot").escaped(boot, 64);
        }
        if let Some(namespace) = identity.namespace {
            self.key("pidns").number(namespace);
        }
        if let Some(user) = identity.user {
            self.key("user").number(user.into());
        }
        self.key("host").escaped(&identity.host, 64);
    }

    /// Lines that were written before, by [`process_text`].
    fn lines(&mut self, lines: &[u8]) {
        let first = self.length;
        self.push(lines);
        if self.separator != b'\n' {
            for byte in &mut self.bytes[first..self.length] {
                if *byte == b'\n' {
                    *byte = self.separator;
                }
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        debug_assert!(end <= SIZE, "a record fits its size by construction");
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Ends the line, and what follows is blank.
    fn pad(&mut self) {
        self.push(b"\n");
        if self.length < SIZE {
            self.bytes[SIZE - 1] = b'\n';
        }
    }

    fn key(&mut self, key: &str) -> &mut Text<'a> {
        self.push(&[self.separator]);
        self.push(key.as_bytes());
        self.push(b"=");
        self
    }

    fn number(&mut self, number: u64) {
        self.digits(number, 1);
    }

    /// `number` in decimal, with zeros before it up to a width of `least`.
    fn digits(&mut self, mut number: u64, least: usize) {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        while number != 0 || digits.len() - first < least {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.push(&digits[first..]);
    }

    /// `text` with everything but plain graphic ASCII as `%XX`, at most `room` bytes long.
    fn escaped(&mut self, text: &str, room: usize) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let end = (self.length + room).min(SIZE);
        let mut rest = text.as_bytes();
        while self.length < end {
            // Most of it is plain, and this is done at each acquisition.
            let run = &rest[..rest.len().min(end - self.length)];
            let plain = run.iter().position(|&byte| !PLAIN[usize::from(byte)]).unwrap_or(run.len());
            self.push(&rest[..plain]);
            rest = &rest[plain..];
            let Some(&first) = rest.first() else { return };
            // The first byte of what is not ASCII says how long it is; that is cut before or after, not inside.
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            if self.length + 3 * width > end {
                return;
            }
            let (character, after) = rest.split_at(width.min(rest.len()));
            for byte in character {
                self.push(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            rest = after;
        }
    }
}

/// The bytes that stand for themselves.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'%' && byte != b';';
        byte += 1;
    }
    plain
};

fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |index: usize| tail.get(index).and_then(|&digit| char::from(digit).to_digit(16));
        rest = match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                &tail[2..]
            }
            _ => {
                out.push(byte);
                tail
            }
        };
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn parse(bytes: &[u8], separator: u8) -> Record {
    let bytes = bytes.get(..MAX_READ).unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Record::Empty;
    }
    let mut lines = bytes.split(|&byte| byte == separator);
    let first = lines.next().unwrap_or_default().trim_ascii();
    let rest = || lines.clone().filter_map(field);
    if !rest().any(|(key, _)| key == b"pathlock") {
        return pid(first).map_or(Record::Foreign, |pid| Record::Bare(Owner::bare(pid)));
    }
    if let Some(pid) = pid(first) {
        return owned(pid, rest());
    }
    if first != FREE.as_bytes() {
        return Record::Foreign;
    }
    if let Some((_, scheme)) = rest().find(|(key, _)| *key == b"scheme") {
        return Record::Idle(unescape(scheme).into());
    }
    let passed = rest().find(|(key, _)| *key == b"passed");
    Record::Free(Mark { passed: passed.and_then(|(_, value)| number(value)).unwrap_or_default() })
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&byte| byte == b'=')?;
    Some((&line[..at], line[at + 1..].trim_ascii_end()))
}

fn owned<'a>(pid: u32, fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Record {
    let mut owner = Owner::bare(pid);
    let mut identity = Identity::default();
    let mut mark = Mark::default();
    for (key, value) in fields {
        match key {
            b"scheme" => owner.scheme = unescape(value).into(),
            b"kernel" => owner.kernel = value == b"flock",
            b"lease" => {
                owner.lease = number(value).and_then(|lease| u32::try_from(lease).ok()?.try_into().ok())
            }
            b"start" => owner.start = number(value),
            b"boot" => identity.boot = Some(unescape(value)),
            b"pidns" => identity.namespace = number(value),
            b"thread" => owner.thread = number(value).and_then(NonZeroU64::new),
            b"user" => identity.user = number(value).and_then(|user| u32::try_from(user).ok()),
            b"since" => owner.since = seconds(value),
            b"serial" => owner.serial = number(value).unwrap_or_default(),
            b"passed" => mark.passed = number(value).unwrap_or_default(),
            b"host" => identity.host = unescape(value),
            b"command" => owner.command = unescape(value).into(),
            // A newer version may say more; what is understood still holds.
            _ => {}
        }
    }
    owner.identity = Arc::new(identity);
    Record::Owned(owner, mark)
}

/// A pid that can be one: decimal ASCII digits and nothing else, from 1 to the largest `pid_t`.
/// Zero and negative numbers mean groups to kill(2), and are nobody's pid.
fn pid(text: &[u8]) -> Option<u32> {
    number(text).filter(|pid| (1..=i32::MAX as u64).contains(pid)).and_then(|pid| u32::try_from(pid).ok())
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn seconds(text: &[u8]) -> Option<Duration> {
    let at = text.iter().position(|&byte| byte == b'.')?;
    let nanoseconds = number(&text[at + 1..])?;
    Some(Duration::new(number(&text[..at])?, u32::try_from(nanoseconds).ok().filter(|&n| n < 1_000_000_000)?))
}

#[cfg(test)]
mod tests;
