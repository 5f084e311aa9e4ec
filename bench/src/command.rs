//! Commands: a whole process that runs `true` with a lock held.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Instant;

use crate::contender::Error;
use crate::results::Command;
use crate::stats;

/// Those that need a shell to do the same have it: their locks are commands of their own.
fn commands(pathlock: &Path) -> Vec<(String, Process)> {
    let command = |words: &[&str]| {
        let mut process = Process::new(words[0]);
        process.args(&words[1..]);
        (words.join(" "), process)
    };
    let ours = |words: &[&str]| {
        let mut process = Process::new(pathlock);
        process.args(words);
        (format!("pathlock {}", words.join(" ")), process)
    };
    vec![
        command(&["flock", "f", "true"]),
        ours(&["run", "g", "--", "true"]),
        ours(&["run", "--scheme", "flock", "h", "--", "true"]),
        command(&["lckdo", "i", "true"]),
        command(&["with-lock-ex", "-w", "j", "true"]),
        command(&["sh", "-c", "dotlockfile -l k && true; dotlockfile -u k"]),
        command(&["sh", "-c", "lockfile l && true; rm -f l"]),
        command(&["true"]),
    ]
}

/// Each command in turns; `pathlock` is the program that is given to people.
pub(crate) fn measure(directory: &Path, pathlock: &Path, rounds: usize) -> Result<Vec<Command>, Error> {
    let mut commands = commands(pathlock);
    let mut times = vec![Vec::new(); commands.len()];
    for round in 0..=rounds {
        for ((shown, process), times) in commands.iter_mut().zip(&mut times) {
            let began = Instant::now();
            let status = process.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).status();
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            match status {
                Ok(status) if status.success() => {}
                Ok(status) => return Err(format!("`{shown}`: {status}").into()),
                Err(error) => return Err(format!("`{shown}`: {error}").into()),
            }
            if round > 0 {
                times.push(milliseconds);
            }
        }
    }
    let mut results = Vec::new();
    for ((shown, process), own) in commands.iter().zip(&times) {
        results.push(Command {
            command: shown.clone(),
            median_ms: stats::median(own),
            p99_ms: stats::percentile(own, 0.99),
            ratio: stats::paired(own, &times[0]),
            peak_kib: peak(directory, process)?,
        });
    }
    Ok(results)
}

/// The most memory that the command had before it started `true`, in KiB: what it runs instead looks at its parent.
/// `None` for one that does not stay, or is a shell's.
fn peak(directory: &Path, process: &Process) -> Result<Option<u64>, Error> {
    const LOOK: &str = "cat /proc/$PPID/comm; grep VmHWM /proc/$PPID/status";
    let words: Vec<_> = process.get_args().collect();
    let Some(words) = words.strip_suffix(&[OsStr::new("true")]) else { return Ok(None) };
    let output = Process::new(process.get_program())
        .args(words)
        .args(["sh", "-c", LOOK])
        .current_dir(directory)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let Some((comm, peak)) = text.split_once('\n') else { return Ok(None) };
    let stays = Path::new(process.get_program()).file_name().is_some_and(|name| name == comm);
    Ok(peak.split_whitespace().nth(1).filter(|_| stays).and_then(|peak| peak.parse().ok()))
}
