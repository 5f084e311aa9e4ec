//! How long to wait, as people write it: `1.5`, `90s`, `5m`, `500ms`.
//!
//! Zero means do not wait. What makes no sense is refused: an older tool took 0 for "for ever", and
//! scripts hung on it.

use std::time::Duration;

use pathlock::Timeout;

/// Seconds in each unit. A number alone counts seconds.
const UNITS: [(&str, f64); 6] =
    [("", 1.0), ("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// Parses a number with a unit.
pub(crate) fn parse(text: &str) -> Result<Timeout, String> {
    // Only digits and a point: `f64` itself would take `inf`, `nan` and `-1` too.
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| seconds);
    number
        .parse::<f64>()
        .ok()
        .zip(seconds)
        .and_then(|(number, seconds)| Duration::try_from_secs_f64(number * seconds).ok())
        .map(Timeout::from)
        .ok_or_else(|| {
            "give seconds (1.5) or a number with a unit (500ms, 90s, 5m, 2h, 1d); 0 does not wait".to_owned()
        })
}

/// Parses a time that something may take, which can't be none at all.
pub(crate) fn parse_some(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        Timeout::After(time) => Ok(time),
        Timeout::NoWait | Timeout::Never => Err("no time at all: give more than 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(milliseconds: u64) -> Result<Timeout, String> {
        Ok(Timeout::After(Duration::from_millis(milliseconds)))
    }

    #[test]
    fn a_number_counts_seconds_unless_a_unit_follows() {
        assert_eq!(parse("2"), after(2_000), "whole seconds");
        assert_eq!(parse("1.5"), after(1_500), "a fraction");
        assert_eq!(parse(".25"), after(250), "no digit before the point");
        assert_eq!(parse("500ms"), after(500), "milliseconds");
        assert_eq!(parse("90s"), after(90_000), "seconds");
        assert_eq!(parse("1.5m"), after(90_000), "minutes");
        assert_eq!(parse("2h"), after(7_200_000), "hours");
        assert_eq!(parse("1d"), after(86_400_000), "days");
    }

    #[test]
    fn zero_does_not_wait() {
        for zero in ["0", "0.0", "0s", "0ms"] {
            assert_eq!(parse(zero), Ok(Timeout::NoWait), "{zero}");
        }
    }

    #[test]
    fn a_time_to_run_is_more_than_none() {
        assert_eq!(parse_some("2s"), Ok(Duration::from_secs(2)));
        assert!(parse_some("0").is_err() && parse_some("-1").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for nonsense in [
            "", "-1", "+1", "soon", "s", ".", "1.2.3", "1e3", "inf", "nan", "1 s", "5M", "5w", "1m30s",
            "0x10",
        ] {
            assert!(parse(nonsense).is_err(), "`{nonsense}` was taken for a duration");
        }
        assert!(parse("99999999999999999999999").is_err(), "more seconds than a clock counts");
    }
}
