//! The findings, as a table for people and as lines of JSON for programs.

use std::time::Duration;

use comfy_table::{Table, presets::NOTHING};
use pathlock::{DefaultScheme, Scheme};
use serde::Serialize;

use super::advice::Advice;
use super::place::{FlockTest, Place, Reach};
use super::team::WORKERS;
use super::trial::{Excludes, Finding, Kill};
use crate::exit::{self, Failure};
use crate::say::{answer, shown};

/// The line of JSON for the directory.
#[derive(Debug, Serialize)]
struct PlaceLine<'a> {
    directory: String,
    filesystem: &'a str,
    reach: &'static str,
    flock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flock_error: Option<String>,
}

/// The line of JSON for one scheme. Times are in microseconds.
#[derive(Debug, Serialize)]
struct FindingLine {
    scheme: &'static str,
    excludes: &'static str,
    kill: &'static str,
    recovered_us: Option<u64>,
    wake_us: Option<u64>,
    turns: usize,
    processes: usize,
    notes: String,
}

/// The last line of JSON.
#[derive(Debug, Serialize)]
struct AdviceLine<'a> {
    advice: &'a str,
    scheme: Option<&'static str>,
    exit: i32,
}

/// Prints all of it for people.
pub(super) fn print_table(
    place: &Place,
    flock: &FlockTest,
    findings: &[Finding],
    advice: &Advice,
) -> Result<(), Failure> {
    let (reach, flock) = (reach(place.reach), sentence(flock));
    answer(format_args!(
        "{}: {}, {reach}; {flock}",
        shown(&place.directory),
        shown(place.filesystem.as_ref())
    ))?;
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["scheme", "excludes?", "kill -9 of a holder", "wake", "notes"]);
    for finding in findings {
        table.add_row([
            finding.scheme.to_owned(),
            word(&finding.excludes).to_owned(),
            match finding.kill {
                Kill::Recovered(after) => format!("recovered in {}", time(after)),
                Kill::LeftBehind(..) => "left behind".to_owned(),
                Kill::Unknown => "unknown".to_owned(),
            },
            finding.wake.map_or_else(|| "unknown".to_owned(), time),
            notes(finding),
        ]);
    }
    answer("")?;
    for line in table.lines() {
        answer(line.trim_end())?;
    }
    answer("")?;
    answer(&advice.text)
}

/// Prints the line of JSON for the directory.
pub(super) fn print_place(place: &Place, flock: &FlockTest) -> Result<(), Failure> {
    let (flock, flock_error) = match flock {
        FlockTest::Excludes => ("excludes", None),
        FlockTest::NoOp => ("no-op", None),
        FlockTest::Fails(error) => ("fails", Some(error.to_string())),
    };
    let reach = match place.reach {
        Reach::Local => "local",
        Reach::Network => "network",
        Reach::Unknown => "unknown",
    };
    let directory = place.directory.to_string_lossy().into_owned();
    print(&PlaceLine { directory, filesystem: &place.filesystem, reach, flock, flock_error })
}

/// Prints the line of JSON for a scheme.
pub(super) fn print_finding(finding: &Finding) -> Result<(), Failure> {
    let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let (kill, recovered) = match finding.kill {
        Kill::Recovered(after) => ("recovered", Some(after)),
        Kill::LeftBehind(..) => ("left behind", None),
        Kill::Unknown => ("unknown", None),
    };
    print(&FindingLine {
        scheme: finding.scheme,
        excludes: word(&finding.excludes),
        kill,
        recovered_us: recovered.map(microseconds),
        wake_us: finding.wake.map(microseconds),
        turns: finding.turns,
        processes: WORKERS,
        notes: notes(finding),
    })
}

/// Prints the last line of JSON.
pub(super) fn print_advice(advice: &Advice) -> Result<(), Failure> {
    print(&AdviceLine { advice: &advice.text, scheme: advice.scheme, exit: advice.code })
}

fn print(line: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(line)
        .map_err(|error| Failure::new(exit::CANNOT_WRITE, format_args!("can't write JSON: {error}")))?;
    answer(line)
}

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Local => "local",
        Reach::Network => "on a network",
        Reach::Unknown => "treated as on a network",
    }
}

fn sentence(flock: &FlockTest) -> String {
    match flock {
        FlockTest::Excludes => "flock(2) excludes".to_owned(),
        FlockTest::NoOp => "flock(2) does NOT exclude: it succeeds and does nothing".to_owned(),
        FlockTest::Fails(error) => format!("flock(2) fails: {error}"),
    }
}

fn word(excludes: &Excludes) -> &'static str {
    match excludes {
        Excludes::Yes => "yes",
        Excludes::No(..) => "NO",
        Excludes::Unsupported(_) => "unsupported",
        Excludes::Failed(_) => "failed",
        Excludes::Unknown => "unknown",
    }
}

fn notes(finding: &Finding) -> String {
    let mut notes = Vec::new();
    if finding.scheme == DefaultScheme::default().name() {
        notes.push("the default".to_owned());
    }
    let tried = format!("{} turns of {WORKERS} processes", finding.turns);
    notes.push(match &finding.excludes {
        Excludes::Yes => tried,
        Excludes::No(one, other) => {
            format!("two processes held it at once (pids {one} and {other}; {tried})")
        }
        Excludes::Unsupported(error) | Excludes::Failed(error) => error.clone(),
        Excludes::Unknown => format!("too little to judge: {tried}"),
    });
    if let Kill::LeftBehind(waited, detail) = &finding.kill {
        notes.push(format!("not taken over for {}: {detail}", time(*waited)));
    }
    notes.join("; ")
}

/// `85 µs`, `1.2 ms`, `340 ms`.
fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
        _ => format!("{} ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits_or_more() {
        for (micros, text) in [(0, "0 µs"), (85, "85 µs"), (1_234, "1.2 ms"), (34_567, "34 ms")] {
            assert_eq!(time(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn what_is_wrong_is_in_the_notes() {
        let finding = Finding {
            scheme: "mkdir",
            excludes: Excludes::No(17, 18),
            kill: Kill::LeftBehind(Duration::from_millis(500), "nothing can be proven".to_owned()),
            wake: None,
            turns: 4,
        };
        let notes = notes(&finding);
        for part in ["two processes held it at once (pids 17 and 18", "500 ms: nothing can be proven"] {
            assert!(notes.contains(part), "`{part}` is not told: {notes}");
        }
    }
}
