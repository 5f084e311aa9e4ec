//! What a worker tells: one line, one write.

use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// The most bytes of an error's text. POSIX promises that writes of up to 512 bytes to a pipe stay in
/// one piece; the rest is room for the other words of the line.
const MOST_TEXT: usize = 400;

/// What has happened to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It found the lock held, and waits.
    Wait,
    /// It holds the lock, for a moment.
    Enter,
    /// It holds the lock until it is told to let go.
    Stay,
    /// It is about to release the lock.
    Leave,
    /// It could not acquire or release, and ends.
    Fail,
}

const WORDS: [(Kind, &str); 5] = [
    (Kind::Wait, "wait"),
    (Kind::Enter, "enter"),
    (Kind::Stay, "stay"),
    (Kind::Leave, "leave"),
    (Kind::Fail, "fail"),
];

/// One line of the pipe: `WORD PID NANOSECONDS TEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: Kind,
    /// The pid of the worker. It stays its own until the parent has waited for it.
    pub(super) worker: u32,
    /// When, on the clock of [`now`].
    pub(super) at: u64,
    /// Why it failed; otherwise empty.
    pub(super) text: String,
}

impl Event {
    /// An event of this process, at this moment.
    pub(super) fn mine(kind: Kind, text: &str) -> Event {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        Event { kind, worker: std::process::id(), at: now(), text }
    }

    /// The event in a line without its end; `None` if it is no event.
    pub(super) fn parse(line: &str) -> Option<Event> {
        let mut words = line.splitn(4, ' ');
        let word = words.next()?;
        let (kind, _) = WORDS.into_iter().find(|(_, name)| *name == word)?;
        let (worker, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Event { kind, worker, at, text: words.next().unwrap_or_default().to_owned() })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = WORDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, word)| word);
        write!(f, "{word} {} {} {}", self.worker, self.at, self.text)
    }
}

/// Nanoseconds on the clock that all processes of this machine share.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // Neither is ever negative.
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0) * 1_000_000_000 + nanoseconds.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_as_it_was_written() {
        for (kind, _) in WORDS {
            let event = Event { kind, worker: 17, at: 12_345, text: "no such thing (os error 2)".to_owned() };
            assert_eq!(Event::parse(&event.to_string()), Some(event));
        }
        let silent = Event { kind: Kind::Enter, worker: 17, at: 0, text: String::new() };
        assert_eq!(Event::parse(&silent.to_string()), Some(silent), "without a text");
    }

    #[test]
    fn what_is_no_event_is_not_taken_for_one() {
        for line in ["", "enter", "enter 17", "enter x 1 ", "enter 17 -1 ", "arrive 17 1 "] {
            assert_eq!(Event::parse(line), None, "`{line}`");
        }
    }

    #[test]
    fn a_line_stays_one_line_and_fits_into_one_write() {
        let event = Event::mine(Kind::Fail, &"ä\n".repeat(1_000));
        let line = event.to_string();
        assert!(!line.contains('\n') && line.len() < 511, "{} bytes", line.len());
    }
}
