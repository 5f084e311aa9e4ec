//! Times as they are written in `timeout = "…"`: a number, then `ms`, `s`, `m`, `h`, or nothing for seconds.
//!
//! The invariant: what is accepted is never negative, infinite or not a number, so that "wait for ever" can
//! only be asked for by leaving the timeout out.

use std::time::Duration;

/// What a time looks like, for messages.
const FORM: &str = "a number with `ms`, `s`, `m` or `h` after it, such as \"500ms\" or \"1.5s\" \
                    (without a unit: seconds; \"0\": do not wait)";

/// The duration that `text` says, or the sentence that tells its writer what is wrong.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!("a timeout cannot be negative, as {text:?} is: use \"0\" to not wait"));
    }
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let seconds_per_unit = match unit {
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} is not a time: expected {FORM}")),
    };
    // `f64` would also read a sign.
    let plain = number.starts_with(|c: char| c.is_ascii_digit());
    let Some(number) = number.parse::<f64>().ok().filter(|_| plain) else {
        return Err(format!("{text:?} is not a time: expected {FORM}"));
    };
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .map_err(|_| format!("{text:?} is too long a time: leave `timeout` out to wait for ever"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("500ms", Duration::from_millis(500)),
            ("5s", Duration::from_secs(5)),
            ("1.5s", Duration::from_millis(1500)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
            ("7", Duration::from_secs(7)),
            ("0.25", Duration::from_millis(250)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn zero_is_zero_in_every_unit() {
        for text in ["0", "0s", "0ms", "0.0h"] {
            assert_eq!(parse(text), Ok(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn a_negative_time_is_told_to_be_zero() {
        for text in ["-1", "-5s", "-0.1h"] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("use \"0\""), "{text}: {message}");
        }
    }

    #[test]
    fn a_time_that_would_never_end_is_told_to_be_left_out() {
        for text in ["99999999999999999999h", &"9".repeat(400)] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("leave `timeout` out"), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused_with_the_form_of_one() {
        for text in [
            "", "s", "5 s", " 5s", "+5s", "5sec", "5S", "5d", "inf", "NaN", "1e3", "1.2.3s", ".", "5s5m",
            "٣s",
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains("\"500ms\""), "{text}: {message}");
        }
    }
}
