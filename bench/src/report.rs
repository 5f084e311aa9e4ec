//! `report.md`: the figures for people.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::contender::Error;
use crate::results::{Cycle, Results};
use crate::{plots, targets};

/// Writes report and pictures anew, from results that are there.
pub(crate) fn again(directory: &Path) -> Result<(), Error> {
    let results: Results = serde_json::from_str(&fs::read_to_string(directory.join("results.json"))?)?;
    write(&results, directory)?;
    plots::write(&results, directory)
}

/// What the report says besides figures is in `notes.md` beside it: people write that.
pub(crate) fn write(results: &Results, out: &Path) -> Result<(), Error> {
    let mut text = String::new();
    head(&mut text, results)?;
    let notes = fs::read_to_string(out.join("notes.md")).unwrap_or_default();
    if !notes.is_empty() {
        writeln!(text, "{}", notes.trim_end())?;
    }
    cycles(&mut text, results)?;
    hand_overs(&mut text, results)?;
    turns(&mut text, results)?;
    waits(&mut text, results)?;
    scale(&mut text, results)?;
    commands(&mut text, results)?;
    Ok(fs::write(out.join("report.md"), text)?)
}

fn head(text: &mut String, results: &Results) -> Result<(), Error> {
    let machine = &results.machine;
    writeln!(text, "# What a lock costs\n")?;
    writeln!(
        text,
        "Written by `cargo xtask bench{}` on {} in {:.0} minutes, with Pathlock {}. The machine: {} × {}, {:.0} GiB, {}, {}, {}; {}.\n",
        if results.quick { " --quick" } else { "" },
        machine.date,
        machine.seconds / 60.0,
        machine.version,
        machine.cpus,
        machine.cpu,
        machine.memory_gib,
        machine.kernel,
        machine.rustc,
        machine.python,
        machine.packages.join(", "),
    )?;
    writeln!(
        text,
        "A virtual machine of few processors is a noisy place: times differ by a fifth from run to run. So all locks are \
         measured in turns, in one run, and what counts is the ratio of what was measured in the same round. Medians, if \
         nothing else is said; p99 is the value that one in a hundred exceeds.\n"
    )?;
    writeln!(text, "## Targets\n\nOf each target the worst figure of all filesystems and sizes counts.\n")?;
    writeln!(text, "| target | wanted | worst | where | met |\n|---|---|---|---|---|")?;
    for target in targets::judge(results) {
        let met = if target.met { "yes" } else { "**no**" };
        writeln!(
            text,
            "| {} | {} | {:.2} | {} | {met} |",
            target.what, target.wanted, target.worst, target.at
        )?;
    }
    Ok(writeln!(text)?)
}

fn cycles(text: &mut String, results: &Results) -> Result<(), Error> {
    if results.cycles.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "## Cycle\n\nOne acquire and release that nobody disturbs. A *floor* is the same system calls, bare; *bare flock* is \
         flock(2) on an open file and nothing else: no record of who holds it, no look whether the file still has its name. \
         Peers are beside Pathlock's flock with a reused handle. Of the peers in Rust, all but dotlock do what bare flock \
         does, and no more.\n"
    )?;
    let filesystems = filesystems(results.cycles.iter().map(|one| &one.filesystem));
    for language in ["Rust", "Python"] {
        write!(text, "| {language} | handle |")?;
        filesystems.iter().try_for_each(|name| write!(text, " {name}: µs | p99 | ratio |"))?;
        writeln!(text, " beside |\n|---|---|{}---|", "---|---|---|".repeat(filesystems.len()))?;
        let of = |cycle: &&Cycle| cycle.language == language;
        for first in results.cycles.iter().filter(of).filter(|cycle| cycle.filesystem == filesystems[0]) {
            write!(text, "| {} | {} |", first.lock, if first.reused { "reused" } else { "new" })?;
            for filesystem in &filesystems {
                let same = |cycle: &&Cycle| {
                    (&cycle.lock, cycle.reused, &cycle.filesystem) == (&first.lock, first.reused, filesystem)
                };
                match results.cycles.iter().filter(of).find(same) {
                    Some(one) => {
                        write!(text, " {:.2} | {:.2} | {:.2} |", one.median_us, one.p99_us, one.ratio)?;
                    }
                    None => write!(text, " | | |")?,
                }
            }
            writeln!(text, " {} |", first.beside)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn hand_overs(text: &mut String, results: &Results) -> Result<(), Error> {
    if results.hand_overs.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "## Hand-over\n\nFrom where one begins to release to where the next is in; µs, median / p99. *Timed* waits have a \
         timeout. After `kill -9`: from the kill; *never* is not within two seconds. zc.lockfile can't wait.\n\n\
         ![Hand-over, log scale](plots/hand-over.svg)\n"
    )?;
    for filesystem in filesystems(results.hand_overs.iter().map(|one| &one.filesystem)) {
        writeln!(text, "| {filesystem} | 2 waiters | 8 | 64 | after kill -9 |\n|---|---|---|---|---|")?;
        let here = || results.hand_overs.iter().filter(|one| one.filesystem == filesystem);
        let mut names: Vec<&str> = Vec::new();
        for one in here() {
            if !names.contains(&one.lock.as_str()) {
                names.push(&one.lock);
            }
        }
        for name in names {
            write!(text, "| {name} |")?;
            for (waiters, killed) in [(2, false), (8, false), (64, false), (1, true)] {
                let found =
                    here().find(|one| one.lock == name && one.waiters == waiters && one.killed == killed);
                match found.map(|one| (one.median_us, one.p99_us)) {
                    Some((Some(median), Some(p99))) => write!(text, " {median:.0} / {p99:.0} |")?,
                    Some(_) => write!(text, " never |")?,
                    None => write!(text, " |")?,
                }
            }
            writeln!(text)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

fn turns(text: &mut String, results: &Results) -> Result<(), Error> {
    if results.turns.is_empty() {
        return Ok(());
    }
    let seconds = |most: bool| {
        let found = results.turns.iter().find(|one| (one.processes == 8) == most);
        found.map_or(0.0, |one| one.seconds)
    };
    writeln!(
        text,
        "## Throughput and fairness\n\nAll want the lock all the time, 8 processes for {} s and the others for {} s: turns a second / least served to most served / \
         longest wait in ms. A lock that lets its last owner in again at once makes many turns, and starves the others.\n\n\
         ![Shares of the turns](plots/shares.svg)\n",
        seconds(true),
        seconds(false)
    )?;
    for filesystem in filesystems(results.turns.iter().map(|one| &one.filesystem)) {
        for &(processes, threads) in crate::fairness::CREWS {
            let here = || {
                let crew = (processes, threads);
                results.turns.iter().filter(move |one| (one.processes, one.threads) == crew)
            };
            let here = || here().filter(|one| one.filesystem == filesystem);
            let crew =
                if threads > 1 { format!("{threads} threads") } else { format!("{processes} processes") };
            writeln!(text, "| {filesystem}, {crew} | 0 µs inside | 50 µs | 500 µs |\n|---|---|---|---|")?;
            for first in here().filter(|one| one.section_us == 0.0) {
                write!(text, "| {} |", first.lock)?;
                for section in crate::fairness::SECTIONS {
                    match here().find(|one| one.lock == first.lock && one.section_us == *section as f64) {
                        Some(one) => write!(
                            text,
                            " {:.0} / {:.2} / {:.0} |",
                            one.total() as f64 / one.seconds,
                            one.fairness(),
                            one.longest_wait_ms
                        )?,
                        None => write!(text, " |")?,
                    }
                }
                writeln!(text)?;
            }
            writeln!(text)?;
        }
    }
    Ok(())
}

fn waits(text: &mut String, results: &Results) -> Result<(), Error> {
    let Some(first) = results.waits.first() else { return Ok(()) };
    writeln!(text, "## Waiting\n\nWhat a wait of {} s costs the process that waits.\n", first.seconds)?;
    writeln!(text, "| filesystem | lock | processor time, ms | context switches |\n|---|---|---|---|")?;
    for one in &results.waits {
        writeln!(text, "| {} | {} | {:.2} | {} |", one.filesystem, one.lock, one.cpu_ms, one.switches)?;
    }
    Ok(writeln!(text)?)
}

fn scale(text: &mut String, results: &Results) -> Result<(), Error> {
    if !results.crowds.is_empty() {
        writeln!(
            text,
            "## Scale\n\nSo many wait for one lock, and do nothing with it. Memory is the waiters' own, without what they share.\n\n\
             ![Cost of a hand-over by the number of waiters](plots/scale.svg)\n"
        )?;
        writeln!(
            text,
            "| filesystem | lock | waiters | of | µs per hand-over | memory, MiB | open files | threads |\n|---|---|---|---|---|---|---|---|"
        )?;
    }
    for one in &results.crowds {
        writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} | {:.1} | {} | {} |",
            one.filesystem,
            one.lock,
            one.waiters,
            one.of,
            one.us_per_hand_over,
            one.memory_kib as f64 / 1024.0,
            one.files,
            one.threads
        )?;
    }
    if !results.many.is_empty() {
        writeln!(text, "\nSo many locks that one process holds at once.\n")?;
        writeln!(
            text,
            "| filesystem | lock | locks | µs per lock | memory, MiB | open files | threads |\n|---|---|---|---|---|---|---|"
        )?;
    }
    for one in &results.many {
        writeln!(
            text,
            "| {} | {} | {} | {:.1} | {:.1} | {} | {} |",
            one.filesystem,
            one.lock,
            one.locks,
            one.us_per_lock,
            one.memory_kib as f64 / 1024.0,
            one.files,
            one.threads
        )?;
    }
    Ok(writeln!(text)?)
}

fn commands(text: &mut String, results: &Results) -> Result<(), Error> {
    if results.commands.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "## Commands\n\nA whole process that runs `true` with a lock held. `pathlock` is the program of `cargo xtask dist`.\n"
    )?;
    writeln!(text, "| command | ms | p99 | beside flock(1) | peak memory, MiB |\n|---|---|---|---|---|")?;
    for one in &results.commands {
        let peak = one.peak_kib.map_or_else(String::new, |kib| format!("{:.1}", kib as f64 / 1024.0));
        writeln!(
            text,
            "| `{}` | {:.2} | {:.2} | {:.2} | {peak} |",
            one.command, one.median_ms, one.p99_ms, one.ratio
        )?;
    }
    Ok(())
}

pub(crate) fn filesystems<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}
