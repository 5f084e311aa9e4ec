//! One visit: look at the directory, try each scheme, tell what was found.

use std::path::Path;
use std::time::{Duration, Instant};

use pathlock::SCHEME_NAMES;

use super::advice::advise;
use super::place::{self, Place};
use super::{report, trial};
use crate::args;
use crate::exit::{self, Failure};
use crate::say::shown;
use crate::signals::Signals;

/// How long all trials together may take. Where locks work, one takes a fraction of its share, and
/// leaves the rest to those that need it.
const WHOLE: Duration = Duration::from_secs(8);

/// Tries all schemes in the directory.
pub(crate) fn doctor(args: &args::Doctor) -> Result<i32, Failure> {
    let place = Place::look(Path::new(&args.directory))?;
    let cannot = |what: &str, error: &dyn std::fmt::Display| {
        let message = format_args!("can't {what} {}: {error}", shown(&place.directory));
        Failure::new(exit::CANNOT_LOCK, message)
    };
    let signals = Signals::catch().map_err(|error| cannot("catch signals for", &error))?;
    // It removes itself, whichever way this function is left.
    let room = tempfile::Builder::new()
        .prefix(".pathlock-doctor-")
        .tempdir_in(&place.directory)
        .map_err(|error| cannot("make files, and so no locks, in", &error))?;

    let flock = place::test_flock(&room.path().join("test-of-flock"));
    if args.json {
        report::print_place(&place, &flock)?;
    }
    let end = Instant::now() + WHOLE;
    let mut findings = Vec::new();
    for (scheme, left) in SCHEME_NAMES.iter().zip((1..=SCHEME_NAMES.len()).rev()) {
        // `as`: there are a few schemes.
        let limit = end.saturating_duration_since(Instant::now()) / left as u32;
        let finding = trial::examine(scheme, room.path(), limit, &signals)?;
        if args.json {
            report::print_finding(&finding)?;
        }
        findings.push(finding);
    }
    let advice = advise(&place, &findings);
    if args.json {
        report::print_advice(&advice)?;
    } else {
        report::print_table(&place, &flock, &findings, &advice)?;
    }
    let name = shown(room.path());
    room.close().map_err(|error| cannot("clean up", &format_args!("remove {name} by hand: {error}")))?;
    Ok(advice.code)
}
