//! Words for people on stderr, answers on stdout.
//!
//! `println!` and `eprintln!` panic when nobody reads any more. A lock must not be let go in the
//! middle of a command because the log it is piped to has ended.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::exit::{self, Failure};
use crate::json::Event;

/// Prints `pathlock: message` on stderr, in one write.
pub(crate) fn say(message: impl fmt::Display) {
    let line = format!("pathlock: {message}\n");
    // Where stderr is closed there is nobody left to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Prints an answer on stdout. A reader that has seen enough is no failure.
pub(crate) fn answer(line: impl fmt::Display) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::CANNOT_WRITE, format_args!("can't write the answer to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints an answer on stdout, as JSON on one line.
pub(crate) fn answer_json(value: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::new(exit::CANNOT_WRITE, error))?;
    answer(line)
}

/// Prints on stderr what happens, as JSON on one line.
pub(crate) fn tell(event: &Event<'_>) {
    if let Ok(mut line) = serde_json::to_string(event) {
        line.push('\n');
        // Where stderr is closed there is nobody left to tell.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// `path` for a message. A file name can hold anything, also what moves a terminal's cursor.
pub(crate) fn shown(path: &Path) -> String {
    let mut text = String::new();
    for character in path.to_string_lossy().chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}
