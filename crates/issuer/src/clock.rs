//! The service's clock, and that of the API server, which sends its time in the `Date` header of each
//! response (RFC 9110, section 6.6.1).
//!
//! Go's HTTP server, on which every API server is built, sets the header in each response. A reconcile makes
//! calls before it decides, so the last known time is only a moment old.

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How far two clocks may differ and still agree, in seconds: 5 minutes. CA certificates are backdated by the
/// same time.
pub const TOLERANCE: i64 = 300;

/// The service's time.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the controller's only clock; decisions take `now` as a parameter"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The service's clock compared with the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockComparison {
    /// They differ by at most [`TOLERANCE`].
    Agrees,
    /// The service's clock is ahead by this number of seconds, or behind if the number is negative.
    Differs(i64),
    /// The time of the API server is not known.
    Unknown,
}

impl ClockComparison {
    /// Compares two times in Unix seconds: the service's and the API server's.
    #[must_use]
    pub fn of(ours: i64, theirs: i64) -> Self {
        let ahead = ours.saturating_sub(theirs);
        if ahead.saturating_abs() <= TOLERANCE { Self::Agrees } else { Self::Differs(ahead) }
    }

    /// Whether they agree.
    #[must_use]
    pub fn agrees(self) -> bool {
        self == Self::Agrees
    }

    /// The time, if a decision that cannot be undone may rely on it.
    #[must_use]
    pub fn trusted(self, now: Timestamp) -> Option<Timestamp> {
        self.agrees().then_some(now)
    }

    /// Why the clock is not trusted, as a clause, or `None` while the clocks agree. The clause is coarse,
    /// because it is part of conditions, which must not change every second.
    #[must_use]
    pub fn doubt(self) -> Option<String> {
        let apart = match self {
            Self::Agrees => return None,
            Self::Unknown => {
                return Some("the API server's responses carry no Date header that can be read".into());
            }
            Self::Differs(ahead) => ahead,
        };
        // No limit is a whole number of hours: a clock that is set to another time zone is wrong by whole
        // hours.
        let distance = match apart.saturating_abs() {
            ..5_400 => "5 minutes",
            5_400..129_600 => "an hour",
            129_600..3_888_000 => "a day",
            3_888_000..47_304_000 => "a month",
            _ => "a year",
        };
        let side = if apart > 0 { "ahead of" } else { "behind" };
        Some(format!("the clock of the service's node is more than {distance} {side} the API server's"))
    }
}

/// The last time that the API server sent. Cheap to clone.
#[derive(Clone, Default)]
pub struct ServerClock(Arc<State>);

#[derive(Default)]
struct State {
    last: Mutex<Option<ServerTime>>,
    /// Whether the log already says that the clocks differ.
    logged: AtomicBool,
}

/// A time that the API server sent, and when it arrived. `Instant` is a clock that is never set.
#[derive(Clone, Copy)]
struct ServerTime {
    unix_seconds: i64,
    received: Instant,
}

impl ServerClock {
    /// Compares the service's time with the API server's.
    pub fn compare(&self, now: Timestamp) -> ClockComparison {
        let last = *self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        let comparison = last.map_or(ClockComparison::Unknown, |last| {
            let since = i64::try_from(last.received.elapsed().as_secs()).unwrap_or(i64::MAX);
            ClockComparison::of(now.as_second(), last.unix_seconds.saturating_add(since))
        });
        let differs = matches!(comparison, ClockComparison::Differs(_));
        if self.0.logged.swap(differs, Ordering::Relaxed) != differs {
            if let Some(doubt) = comparison.doubt() {
                tracing::warn!("{doubt}; no CA is made or renewed until the clocks agree");
            } else {
                tracing::info!("the clock of the service's node agrees with the API server's again");
            }
        }
        comparison
    }

    /// The service's time, if a decision that cannot be undone may rely on it.
    #[must_use]
    pub fn trusted_now(&self) -> Option<Timestamp> {
        let now = now();
        self.compare(now).trusted(now)
    }

    /// Reads the date of a response. A response without a readable date changes nothing.
    pub fn observe(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let parser = DateTimeParser::new();
        if let Some(time) = date.and_then(|date| parser.parse_timestamp(date).ok()) {
            let told = ServerTime { unix_seconds: time.as_second(), received: Instant::now() };
            *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::DATE, date.parse().unwrap())])
    }

    #[test]
    fn review_m4_the_api_servers_time_is_read_from_its_responses() {
        let clock = ServerClock::default();
        let right: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let later = |seconds: i64| Timestamp::from_second(right.as_second() + seconds).unwrap();
        assert_eq!(clock.compare(right), ClockComparison::Unknown);
        for silent in [HeaderMap::new(), headers("soon"), headers("")] {
            clock.observe(&silent);
            assert_eq!(clock.compare(right), ClockComparison::Unknown);
        }
        clock.observe(&headers("Mon, 30 Nov 2026 12:00:00 GMT"));
        for near in [-290, 0, 300] {
            assert_eq!(clock.compare(later(near)), ClockComparison::Agrees, "{near}");
        }
        let year = 365 * 86_400;
        for far in [-year, -400, 400, year] {
            let ClockComparison::Differs(ahead) = clock.compare(later(far)) else { panic!("{far}") };
            assert!((far - 90..=far).contains(&ahead), "{far}: {ahead}");
        }
        // A header that cannot be read does not change the known time.
        clock.observe(&headers("soon"));
        assert_eq!(clock.compare(right), ClockComparison::Agrees);
        clock.observe(&headers("Tue, 30 Nov 2027 12:00:00 GMT"));
        assert!(matches!(clock.compare(right), ClockComparison::Differs(..0)));
    }
}
