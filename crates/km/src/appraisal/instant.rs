//! Points in time as people write them.

use der::DateTime;
use std::str::FromStr;
use std::time::Duration;

/// A point in time, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub u64);

impl FromStr for Instant {
    type Err = String;

    /// RFC 3339 in UTC (`2026-01-31T23:59:59Z`), a date alone (its first second) or Unix seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self(seconds));
        }
        let whole = if text.len() == "2026-01-31".len() { format!("{text}T00:00:00Z") } else { text.into() };
        let time: DateTime = whole.parse().map_err(|_| {
            "neither a time like 2026-01-31T23:59:59Z, nor a date, nor Unix seconds".to_owned()
        })?;
        Ok(Self(time.unix_duration().as_secs()))
    }
}

impl std::fmt::Display for Instant {
    /// RFC 3339 in UTC; the number itself if it is beyond the years that can be written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_seconds_are_read() {
        let seconds = 1_769_903_999;
        for text in ["2026-01-31T23:59:59Z", "1769903999"] {
            assert_eq!(text.parse(), Ok(Instant(seconds)), "{text}");
        }
        assert_eq!("2026-01-31".parse(), Ok(Instant(seconds - 86_399)));
        assert_eq!(Instant(seconds).to_string(), "2026-01-31T23:59:59Z");
        assert_eq!(Instant(u64::MAX).to_string(), u64::MAX.to_string());
        for wrong in ["", "now", "2026-02-30", "2026-01-31T23:59:59+01:00", "-1", "2026-01-31 23:59:59"] {
            assert!(wrong.parse::<Instant>().is_err(), "{wrong}");
        }
    }
}
