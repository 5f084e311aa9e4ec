//! Exclusion under kills: no two processes hold one lock at once, however many of them die.
//!
//! Workers acquire and release one lock as fast as they can. Every other second one holder in three
//! is killed inside; and at random moments any worker is, wherever it is: while it acquires, waits
//! or releases. Each is replaced at once. The [auditor](crate::audit) counts.
//!
//! What a run shows: no two were inside at once; every death was recovered from, since the next
//! got in, and a fresh process at the end does within a second; nothing but a lock that is released
//! ends a wait; and one last recovery leaves no litter.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::audit::{self, Findings};
use crate::broken;
use crate::filesystem;
use crate::herd::{Deaths, Herd};
use crate::pace;
use crate::random::Random;
use crate::scene;
use crate::variant::Variant;

/// When nobody has acquired the lock for so long, nobody will.
const STALLED: Duration = Duration::from_secs(10);
/// The longest time between two kills from outside, in microseconds.
const LONGEST_PEACE: u64 = 8_000;

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// The name of the variant.
    scheme: String,
    variant: Variant,
    dir: PathBuf,
    seconds: u64,
    workers: usize,
    one_dies_in: u64,
}

impl Plan {
    /// The flags that [`parse`](Self::parse) knows.
    pub const FLAGS: &'static [&'static str] = &["broken"];

    /// Reads the plan from the arguments.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn parse(args: &Args) -> Result<Plan, String> {
        let scheme = if args.has("broken") { broken::NAME.to_owned() } else { args.text("scheme")? };
        let variant = Variant::parse(&scheme)?;
        Ok(Plan {
            scheme,
            variant,
            dir: args.path("dir")?,
            seconds: args.number("seconds", 5)?,
            workers: usize::try_from(args.number("workers", 6)?).map_err(|error| error.to_string())?,
            one_dies_in: args.number("one-dies-in", 3)?.max(1),
        })
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    scheme: String,
    filesystem: String,
    seconds: u64,
    deaths: Deaths,
    findings: Findings,
    stalled: bool,
    /// Why a fresh process did not get in at the end.
    shut_out: Option<String>,
    /// Files beside the lock after a last recovery.
    litter: Vec<String>,
}

impl Outcome {
    /// What contradicts the claims, a line each.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.findings.violations.clone();
        faults.extend(self.findings.errors.iter().cloned());
        faults.extend(self.shut_out.clone());
        if self.stalled {
            faults.push(format!("nobody acquired the lock for {} s", STALLED.as_secs()));
        }
        if self.deaths.by_themselves > 0 {
            faults.push(format!("{} workers ended by themselves", self.deaths.by_themselves));
        }
        faults.extend(self.litter.iter().map(|name| format!("left over: {name}")));
        faults
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Findings { acquisitions, recovered, violations, errors, slow } = &self.findings;
        write!(
            f,
            "scheme={} fs={} seconds={} acquisitions={acquisitions} kills={} violations={} recovered={recovered} \
             litter={} errors={} slow={slow}",
            self.scheme,
            self.filesystem,
            self.seconds,
            self.deaths.killed,
            violations.len(),
            self.litter.len(),
            errors.len() + self.deaths.by_themselves,
        )
    }
}

/// Runs it.
///
/// # Errors
/// When the run can't be made: there is no such directory, or no process can be started.
pub fn run(plan: &Plan) -> io::Result<Outcome> {
    let place = tempfile::Builder::new().prefix("exclusion-").tempdir_in(&plan.dir)?;
    let (locks, audit) = (place.path().join("locks"), place.path().join("audit"));
    fs::create_dir(&locks)?;
    fs::create_dir(&audit)?;
    let path = locks.join("job");
    drop(audit::Auditor::open(&audit, plan.variant.slots)?);

    let mut worker = subcommand("worker", &plan.scheme, &path)?;
    worker.arg("--audit").arg(&audit).args(["--one-dies-in", &plan.one_dies_in.to_string()]);
    let herd = Herd::new();
    let stalled = AtomicBool::new(false);
    let deaths = thread::scope(|scope| {
        scope.spawn(|| {
            stalled.store(!worry(&herd, plan, &audit::log_path(&audit), &locks), Ordering::Relaxed);
            herd.end();
        });
        herd.keep_up(plan.workers, &mut worker)
    })?;

    let (shut_out, litter) = if plan.variant.is_broken() {
        (None, Vec::new())
    } else {
        let scheme = &plan.variant.scheme;
        let shut_out = fresh_process(scheme, &path)?;
        // Who dies holding leaves a stale lock, and who recovers that one sweeps.
        subcommand("holder", scheme, &path)?.status()?;
        (shut_out.or(fresh_process(scheme, &path)?), scene::litter(&locks)?)
    };
    Ok(Outcome {
        scheme: plan.scheme.clone(),
        filesystem: filesystem::name(&plan.dir)?,
        seconds: plan.seconds,
        deaths,
        findings: Findings::read(&audit)?,
        stalled: stalled.into_inner(),
        shut_out,
        litter,
    })
}

/// A command of this program about one lock.
fn subcommand(name: &str, scheme: &str, path: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([name, "--scheme", scheme, "--path"]).arg(path);
    Ok(command)
}

/// Kills one after the other until the time is up; `false` when the log has ceased to grow.
fn worry(herd: &Herd, plan: &Plan, log: &Path, locks: &Path) -> bool {
    let began = Instant::now();
    let mut random = Random::default();
    let mut seen = (0, began);
    while began.elapsed() < Duration::from_secs(plan.seconds) {
        pace::pass(Duration::from_micros(random.below(LONGEST_PEACE)));
        herd.kill_one(&mut random);
        let length = fs::metadata(log).map_or(0, |metadata| metadata.len());
        if length != seen.0 {
            seen = (length, Instant::now());
        } else if seen.1.elapsed() > STALLED {
            eprintln!("stalled; in {}:\n{}", locks.display(), scene::describe(locks));
            return false;
        }
    }
    true
}

/// Whether a process that has nothing to do with the run gets the lock within a second: why not.
fn fresh_process(scheme: &str, path: &Path) -> io::Result<Option<String>> {
    let output = subcommand("visitor", scheme, path)?.stderr(Stdio::piped()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success()).then(|| format!("a fresh process: {}", said.trim())))
}
