//! One run over everything, and where its results go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::contender::{Error, PEERS};
use crate::crew::{Lock, Stage};
use crate::results::Results;
use crate::{command, cycle, fairness, handover, machine, plots, report, scale, waiting};

const USAGE: &str = "usage: pathlock-bench [--quick] [--only PART,…] --dir FILESYSTEM=DIR… --python PYTHON \
                     --python-actor FILE --pathlock COMMAND --out DIR";

/// How much is measured.
struct Amount {
    cycle_rounds: usize,
    python_rounds: usize,
    hand_over: Duration,
    kills: usize,
    turns_ms: u64,
    wait: Duration,
    /// So many waiters, in so many rounds.
    crowds: &'static [(usize, usize)],
    many: usize,
    command_rounds: usize,
}

const FULL: Amount = Amount {
    cycle_rounds: 101,
    python_rounds: 61,
    hand_over: Duration::from_millis(1_500),
    kills: 20,
    turns_ms: 5_000,
    wait: Duration::from_secs(10),
    crowds: &[(10, 9), (100, 7), (1_000, 3)],
    many: 10_000,
    command_rounds: 300,
};

const QUICK: Amount = Amount {
    cycle_rounds: 11,
    python_rounds: 7,
    hand_over: Duration::from_millis(600),
    kills: 5,
    turns_ms: 300,
    wait: Duration::from_secs(2),
    crowds: &[(10, 3), (100, 3)],
    many: 1_000,
    command_rounds: 20,
};

#[derive(Default)]
struct Options {
    quick: bool,
    only: Option<Vec<String>>,
    dirs: Vec<(String, PathBuf)>,
    python: PathBuf,
    python_actor: PathBuf,
    pathlock: PathBuf,
    out: PathBuf,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--quick" {
                options.quick = true;
                continue;
            }
            let value = words.next().ok_or(USAGE)?;
            match *word {
                "--only" => options.only = Some(value.split(',').map(str::to_owned).collect()),
                "--dir" => {
                    let (filesystem, dir) = value.split_once('=').ok_or(USAGE)?;
                    options.dirs.push((filesystem.to_owned(), dir.into()));
                }
                "--python" => options.python = value.into(),
                "--python-actor" => options.python_actor = value.into(),
                "--pathlock" => options.pathlock = value.into(),
                "--out" => options.out = value.into(),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    /// What an earlier run has measured of the parts that this one leaves out.
    fn before(&self) -> Result<Results, Error> {
        let mut results = Results::default();
        if self.only.is_some()
            && let Ok(text) = fs::read_to_string(self.out.join("results.json"))
        {
            results = serde_json::from_str(&text)?;
        }
        results.quick |= self.quick;
        if self.wants("cycle") {
            results.cycles.clear();
        }
        if self.wants("hand-over") {
            results.hand_overs.clear();
        }
        if self.wants("fairness") {
            results.turns.clear();
        }
        if self.wants("waiting") {
            results.waits.clear();
        }
        if self.wants("scale") {
            results.crowds.clear();
            results.many.clear();
        }
        Ok(results)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|one| one == part))
    }
}

pub(crate) fn run(words: &[&str]) -> Result<(), Error> {
    let options = Options::parse(words)?;
    let amount = if options.quick { &QUICK } else { &FULL };
    let began = Instant::now();
    let open_files = raise_file_limit();
    let mut results = options.before()?;
    for (filesystem, dir) in &options.dirs {
        let directory = tempfile::tempdir_in(dir)?;
        let stage = Stage {
            directory: directory.path().to_owned(),
            filesystem: filesystem.clone(),
            python: options.python.clone(),
            python_actor: options.python_actor.clone(),
        };
        on(&stage, &options, amount, open_files, &mut results)?;
    }
    if options.wants("command")
        && let Some((_, dir)) = options.dirs.first()
    {
        say("command", began);
        let directory = tempfile::tempdir_in(dir)?;
        results.commands = command::measure(directory.path(), &options.pathlock, amount.command_rounds)?;
    }
    let earlier = results.machine.seconds;
    results.machine = machine::this(&options.python, began.elapsed());
    results.machine.seconds += earlier;
    write(&results, &options.out)
}

/// Results, report and pictures.
fn write(results: &Results, out: &Path) -> Result<(), Error> {
    fs::create_dir_all(out)?;
    fs::write(out.join("results.json"), serde_json::to_string_pretty(results)? + "\n")?;
    report::write(results, out)?;
    plots::write(results, out)
}

fn say(part: &str, began: Instant) {
    eprintln!("bench: {:6.1} s  {part}", began.elapsed().as_secs_f64());
}

fn rust(names: &[&str]) -> Vec<Lock> {
    names.iter().map(|name| Lock::rust(name)).collect()
}

fn python(names: &[&str]) -> Vec<Lock> {
    names.iter().map(|name| Lock::python(name)).collect()
}

fn on(
    stage: &Stage,
    options: &Options,
    amount: &Amount,
    open_files: usize,
    results: &mut Results,
) -> Result<(), Error> {
    const OURS: &[&str] = &[
        "pathlock flock",
        "pathlock ofd",
        "pathlock link",
        "pathlock mkdir",
        "pathlock symlink",
        "pathlock sqlite",
    ];
    let began = Instant::now();
    let say = |part: &str| say(&format!("{}: {part}", stage.filesystem), began);
    if options.wants("cycle") {
        say("cycle");
        results.cycles.extend(cycle::measure(stage, amount.cycle_rounds)?);
        say("cycle in Python");
        results.cycles.extend(cycle::measure_python(stage, amount.python_rounds)?);
    }

    let mut waiters = rust(&["bare flock", "bare flock timed"]);
    waiters.extend(rust(OURS));
    waiters.extend(rust(&[
        "pathlock flock timed",
        "pathlock ofd timed",
        "pathlock link timed",
        "pathlock pid",
    ]));
    waiters.extend(rust(PEERS));
    waiters.extend(python(&["pathlock flock", "pathlock link", "pathlock.lockfile LinkLockFile"]));
    waiters.extend(python(&["lockfile LinkLockFile", "filelock", "fasteners", "portalocker"]));
    if options.wants("hand-over") {
        for count in [2, 8, 64] {
            say(&format!("hand-over, {count} waiters"));
            results.hand_overs.extend(handover::measure(stage, &waiters, count, amount.hand_over)?);
        }
        say("hand-over after kill -9");
        results.hand_overs.extend(handover::measure_kills(stage, &waiters, amount.kills)?);
    }
    if options.wants("fairness") {
        let mut locks = rust(&["bare flock"]);
        locks.extend(rust(OURS));
        locks.extend(rust(&["std"]));
        locks.extend(python(&["lockfile LinkLockFile", "filelock", "fasteners", "portalocker"]));
        for &(processes, threads) in fairness::CREWS {
            for &section in fairness::SECTIONS {
                say(&format!("turns of {processes} processes of {threads} threads, {section} us inside"));
                let crew = (processes, threads);
                results.turns.extend(fairness::measure(stage, &locks, crew, section, amount.turns_ms)?);
            }
        }
    }
    if options.wants("waiting") {
        say("waiting");
        results.waits.extend(waiting::measure(stage, &waiters, amount.wait)?);
    }
    if options.wants("scale") {
        for name in [
            "bare flock",
            "pathlock flock",
            "pathlock ofd",
            "pathlock link",
            "pathlock mkdir",
            "pathlock symlink",
        ] {
            for of in ["processes", "threads", "futures"] {
                if of == "futures" && !name.starts_with("pathlock") {
                    continue;
                }
                for &(count, rounds) in amount.crowds {
                    say(&format!("{count} {of} wait for {name}"));
                    let lock = Lock::rust(name);
                    results.crowds.push(scale::measure(stage, &lock, of, count, rounds)?);
                }
            }
            if name.starts_with("pathlock") {
                say(&format!("{} locks of {name}", amount.many));
                // Scheme mkdir has two files open for each: the directory and the record in it.
                let files = if name.ends_with("mkdir") { 2 } else { 1 };
                let locks = amount.many.min((open_files - 100) / files);
                results.many.push(scale::measure_many(stage, &Lock::rust(name), locks)?);
            }
        }
    }
    Ok(())
}

/// As many open files as this process may have: its children have as many. Returns how many.
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("bench: the limit of open files stays: {error}");
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files).unwrap_or(usize::MAX).max(1_000)
}
