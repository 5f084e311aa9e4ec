//! A process that runs a part of [`crate::cycle`], perhaps under a tracer, as the test that directs it sees it.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// A process that acquires and releases a lock, or breaks one, and says how far it is.
#[derive(Debug)]
pub struct Actor {
    process: Child,
    /// `None` once it has been dismissed.
    directions: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts `command`, which runs `pathlock-verify`, to play `part` with the lock of `path`: `cycle` or
    /// `break`.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(
        command: &mut Command,
        part: &str,
        scheme: &str,
        path: &Path,
        patience_ms: u64,
    ) -> io::Result<Actor> {
        command.args([part, "--scheme", scheme, "--path"]).arg(path);
        command.args(["--patience-ms", &patience_ms.to_string()]);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let directions = process.stdin.take();
        let says = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Actor { process, directions, says: BufReader::new(says) })
    }

    /// The next line that it says; `None` when it is dead.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        Ok((self.says.read_line(&mut line)? > 0).then(|| line.trim_end().to_owned()))
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        if let Some(directions) = &mut self.directions {
            // A dead one goes nowhere.
            let _ = directions.write_all(b"\n");
        }
    }

    /// Lets it go on to its end, and waits for that; what it still says is returned with its status.
    ///
    /// # Errors
    /// When it can't be waited for.
    pub fn dismiss(mut self) -> io::Result<(ExitStatus, Vec<String>)> {
        self.directions = None;
        let mut said = Vec::new();
        while let Some(line) = self.line()? {
            said.push(line);
        }
        Ok((self.process.wait()?, said))
    }
}
