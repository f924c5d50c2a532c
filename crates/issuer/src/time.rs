//! Times as statuses and annotations contain them. Pure.
//!
//! The type for Kubernetes' own times (jiff) ends a day before the end of the year 9999. A certificate can be
//! valid until the last second of that year: 99991231235959Z means that it has no end (RFC 5280, section
//! 4.1.2.5).

use der::DateTime;
use std::time::Duration;

/// Formats Unix seconds as RFC 3339 in UTC, for example `9999-12-31T23:59:59Z`. A time outside the years 1970
/// to 9999 is formatted as the number itself.
pub fn rfc3339(seconds: i64) -> String {
    let time = u64::try_from(seconds).ok().map(Duration::from_secs);
    let time = time.and_then(|time| DateTime::from_unix_duration(time).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// Parses the output of [`rfc3339`] into Unix seconds. Other text gives `None`: such a time must be taken
/// neither for past nor for future.
pub fn parse(text: &str) -> Option<i64> {
    match text.parse::<DateTime>() {
        Ok(time) => i64::try_from(time.unix_duration().as_secs()).ok(),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last second that X.509 can express.
    const NO_END: i64 = 253_402_300_799;

    #[test]
    fn review_l1_times_are_written_and_read_over_the_full_range_of_certificates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_769_903_999, "2026-01-31T23:59:59Z"),
            (NO_END - 86_400, "9999-12-30T23:59:59Z"),
            (NO_END, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!((rfc3339(seconds).as_str(), parse(text)), (text, Some(seconds)));
        }
        for seconds in [i64::MIN, -1, NO_END + 1, i64::MAX] {
            assert_eq!(parse(&rfc3339(seconds)), Some(seconds), "the number itself");
        }
        // As earlier versions wrote it into the status.
        assert_eq!(parse("253402300799"), Some(NO_END));
    }

    #[test]
    fn review_l1_what_cannot_be_read_is_no_time() {
        for text in ["", "soon", "2026-02-30T00:00:00Z", "2026-01-31 23:59:59", "9".repeat(40).as_str()] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
