//! The API server's clock, by the `Date` of its responses (RFC 9110, 6.6.1).
//!
//! Go's HTTP server, which every API server is built on, writes it into each response. A pass makes calls before it decides, so what is
//! known here is a moment old.

use crate::decide::ClockSeen;
use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What the API server said last; cheap to clone.
#[derive(Clone, Default)]
pub struct ServerClock(Arc<Known>);

#[derive(Default)]
struct Known {
    heard: Mutex<Option<Heard>>,
    /// Whether it was logged that the clocks differ.
    logged: AtomicBool,
}

/// A time that was told. How long ago is measured by a clock that is never set.
#[derive(Clone, Copy)]
struct Heard {
    time: i64,
    at: Instant,
}

impl ServerClock {
    /// The service's time beside the API server's.
    pub fn compare(&self, now: Timestamp) -> ClockSeen {
        let heard = *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = heard.map_or(ClockSeen::Unknown, |heard| {
            let since = i64::try_from(heard.at.elapsed().as_secs()).unwrap_or(i64::MAX);
            ClockSeen::of(now.as_second(), heard.time.saturating_add(since))
        });
        let differs = matches!(seen, ClockSeen::Differs(_));
        if self.0.logged.swap(differs, Ordering::Relaxed) != differs {
            if let Some(doubt) = seen.doubt() {
                tracing::warn!("{doubt}; until they agree no CA is made or renewed");
            } else {
                tracing::info!("the clock of the service's node agrees with the API server's again");
            }
        }
        seen
    }

    /// A response without a date, or with one that cannot be read, says nothing.
    pub fn hear(&self, headers: &HeaderMap) {
        let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
        let parser = DateTimeParser::new();
        if let Some(time) = date.and_then(|date| parser.parse_timestamp(date).ok()) {
            let heard = Heard { time: time.as_second(), at: Instant::now() };
            *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(date: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::DATE, date.parse().unwrap())])
    }

    #[test]
    fn review_m4_the_api_servers_time_is_heard_from_its_responses() {
        let clock = ServerClock::default();
        let right: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let later = |seconds: i64| Timestamp::from_second(right.as_second() + seconds).unwrap();
        assert_eq!(clock.compare(right), ClockSeen::Unknown);
        for silent in [HeaderMap::new(), told("soon"), told("")] {
            clock.hear(&silent);
            assert_eq!(clock.compare(right), ClockSeen::Unknown);
        }
        clock.hear(&told("Mon, 30 Nov 2026 12:00:00 GMT"));
        for near in [-290, 0, 300] {
            assert_eq!(clock.compare(later(near)), ClockSeen::Agrees, "{near}");
        }
        let year = 365 * 86_400;
        for far in [-year, -400, 400, year] {
            let ClockSeen::Differs(ahead) = clock.compare(later(far)) else { panic!("{far}") };
            assert!((far - 90..=far).contains(&ahead), "{far}: {ahead}");
        }
        // What cannot be read does not unsay it.
        clock.hear(&told("soon"));
        assert_eq!(clock.compare(right), ClockSeen::Agrees);
        clock.hear(&told("Tue, 30 Nov 2027 12:00:00 GMT"));
        assert!(matches!(clock.compare(right), ClockSeen::Differs(..0)));
    }
}
