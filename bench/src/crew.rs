//! Processes that take turns, and what they are told.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::contender::Error;

/// What is needed to start actors, and where they meet.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) directory: PathBuf,
    pub(crate) filesystem: String,
    pub(crate) python: PathBuf,
    pub(crate) python_actor: PathBuf,
}

impl Stage {
    /// The path that is locked by the lock called `name`: each in a directory of its own, so that who watches one is
    /// not woken by the others.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let directory = self.directory.join(name.replace([' ', '.'], "-"));
        std::fs::create_dir_all(&directory)?;
        Ok(directory.join("job"))
    }

    pub(crate) fn actor(&self, lock: &Lock) -> Result<Actor, Error> {
        self.actor_at(lock, &self.path(&lock.shown())?)
    }

    pub(crate) fn actor_at(&self, lock: &Lock, path: &Path) -> Result<Actor, Error> {
        let mut command = match lock {
            Lock::Rust(name) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["actor", name]);
                command
            }
            Lock::Python(name) => {
                let mut command = Command::new(&self.python);
                command.arg(&self.python_actor).arg(name);
                command
            }
        };
        Actor::start(command.arg(path))
    }

    pub(crate) fn crew(&self, lock: &Lock, count: usize) -> Result<Vec<Actor>, Error> {
        (0..count).map(|_| self.actor(lock)).collect()
    }
}

/// A lock, and the language of the actor that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lock {
    Rust(String),
    Python(String),
}

impl Lock {
    pub(crate) fn rust(name: &str) -> Lock {
        Lock::Rust(name.to_owned())
    }

    pub(crate) fn python(name: &str) -> Lock {
        Lock::Python(name.to_owned())
    }

    /// The name, as reports have it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Lock::Rust(name) => name.clone(),
            Lock::Python(name) => format!("{name} (Python)"),
        }
    }
}

/// One process. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Actor {
    fn start(command: &mut Command) -> Result<Actor, Error> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it has no pipes".into());
        };
        let mut actor = Actor { child, input, output: BufReader::new(output) };
        match actor.answer()?.as_str() {
            "ready" => Ok(actor),
            other => Err(format!("an actor begins with `{other}`").into()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Error> {
        Ok(writeln!(self.input, "{line}")?)
    }

    pub(crate) fn answer(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(format!("actor {} has ended", self.child.id()).into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn numbers(&mut self) -> Result<Vec<u64>, Error> {
        let line = self.answer()?;
        line.split(' ')
            .map(|word| word.parse().map_err(|_| Error::from(format!("`{line}` is no answer"))))
            .collect()
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        Ok(self.child.kill()?)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gives so many that were just told to acquire the time to be waiting.
pub(crate) fn settle(waiters: usize) {
    pause(Duration::from_millis(20 + 2 * waiters as u64));
}

#[expect(clippy::disallowed_methods, reason = "nothing tells that somebody sleeps in another's lock")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
