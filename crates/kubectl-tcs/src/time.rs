//! Times and durations, as people read and write them.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// Reads a duration of an option: `90s`, `5m`, `1h30m`, or a number of seconds, as kubectl does; days with
/// `d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "expected a duration such as 90s, 5m, 1h30m or 90d";
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()) {
        return days.checked_mul(24 * 3600).map(Duration::from_secs).ok_or_else(|| WRONG.to_owned());
    }
    let known = |c: char| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's');
    if !text.chars().all(known) {
        return Err(WRONG.to_owned());
    }
    let parsed: SignedDuration = text.parse().map_err(|_| WRONG.to_owned())?;
    Duration::try_from(parsed).map_err(|_| WRONG.to_owned())
}

/// How long something has existed, in the way of kubectl: the largest unit that fits.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / DAY),
    }
}

/// Whole days until a time; negative if it has passed.
#[must_use]
pub fn days_until(end: Timestamp, now: Timestamp) -> i64 {
    end.as_second().saturating_sub(now.as_second()).div_euclid(DAY)
}

/// Unix seconds in RFC 3339 format.
#[must_use]
pub fn shown_seconds(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// A duration in words of options, such as `90s`.
#[must_use]
pub fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubectl_reads_them() {
        for (text, seconds) in [("5", 5), ("90s", 90), ("5m", 300), ("1h30m", 5_400), ("90d", 7_776_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "soon", "-5s", "1h 30m", "5 minutes", "P1D", "1.5d", "h", "99999999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ages_and_days() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ages = [(5, "5s"), (300, "5m"), (7_200, "2h"), (3 * DAY, "3d")];
        for (seconds, shown) in ages {
            assert_eq!(age(at(0), at(seconds)), shown);
        }
        assert_eq!(age(at(5), at(0)), "0s");
        assert_eq!((days_until(at(DAY + 5), at(0)), days_until(at(0), at(1))), (1, -1));
    }
}
