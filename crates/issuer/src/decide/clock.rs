//! The service's clock: what may be done by it, and what is said of it.
//!
//! It decides alone what it can take back: whether an issuer signs now, and whether a refusal is tried again. What it could not take
//! back, it decides only while it agrees with the API server's: to make or renew a CA, to take a trust anchor from the bundle, to delete
//! a sealed key.

use super::Pass;
use crate::time;
use jiff::Timestamp;
use std::time::Duration;
use tcs_enclave_rpc::{CaInfo, RefusalCode};

/// How far the two clocks may be apart and still agree: 5 minutes, in seconds, as far as CA certificates are dated back.
pub const TOLERANCE: i64 = 300;
/// How soon an issuer is looked at again that waits for a clock.
pub const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The service's clock beside the API server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSeen {
    /// They agree, by [`TOLERANCE`].
    Agrees,
    /// The service's is ahead by so many seconds; behind, if the number is negative.
    Differs(i64),
    /// The API server has not told its time.
    Unknown,
}

impl ClockSeen {
    /// Compares two times, Unix seconds: the service's and the API server's.
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

    /// The time, if what cannot be taken back may be decided by it.
    #[must_use]
    pub fn trusted(self, now: Timestamp) -> Option<Timestamp> {
        self.agrees().then_some(now)
    }

    /// What keeps it from being trusted, as a clause; nothing while it agrees. Coarse: it stands in conditions, which must not change with
    /// every second.
    #[must_use]
    pub fn doubt(self) -> Option<String> {
        let apart = match self {
            Self::Agrees => return None,
            Self::Unknown => {
                return Some("the API server's responses carry no Date header that can be read".into());
            }
            Self::Differs(ahead) => ahead,
        };
        // No boundary is a whole number of hours, by which a clock is wrong that is set to another time zone.
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

/// What the service's clock says of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It has not begun.
    NotYet,
    /// It can sign.
    Valid,
    /// It has ended.
    Ended,
}

impl Validity {
    /// By this time, as the enclave judges that is told the same.
    pub fn of(ca: &CaInfo, now: Timestamp) -> Self {
        let now = now.as_second();
        if now < ca.not_before {
            Self::NotYet
        } else if now >= ca.not_after {
            Self::Ended
        } else {
            Self::Valid
        }
    }
}

impl Pass<'_> {
    /// What is said of a CA that cannot sign at this time, whichever of the two is wrong.
    pub(super) fn outside_validity(&self, ca: &CaInfo, validity: Validity) -> Option<String> {
        let fingerprint = hex::encode(ca.fingerprint.as_slice());
        let (what, side) = match validity {
            Validity::Valid => return None,
            Validity::NotYet => (format!("begins at {}", time::rfc3339(ca.not_before)), "behind"),
            Validity::Ended => (format!("has ended at {}", time::rfc3339(ca.not_after)), "ahead"),
        };
        let doubt = self.seen.clock.doubt().map_or_else(String::new, |doubt| format!(" ({doubt})"));
        Some(format!(
            "the CA certificate with SHA-256 {fingerprint} {what}{doubt}; its key is kept. If the clock of the service's node is \
             {side}, the issuer signs again as soon as the clock is correct"
        ))
    }

    /// Why no CA is made now, although one is due.
    pub(super) fn waits_for_clock(&self) -> Option<String> {
        self.seen
            .clock
            .doubt()
            .map(|doubt| format!("no CA is made or renewed while {doubt}; this is tried again every minute"))
    }
}

/// When to try again after a refusal that time can heal, whichever way the clock was wrong.
pub fn retry_after(code: &str) -> Option<Duration> {
    if code == RefusalCode::CertificateExpired.as_str() {
        return Some(LOOK_AGAIN);
    }
    let soon = [RefusalCode::CertificateNotYetValid, RefusalCode::ClockTooEarly, RefusalCode::TooManyIssuers];
    soon.iter().any(|one| one.as_str() == code).then_some(Duration::from_secs(10))
}

/// What is to be added to what is said of such a refusal.
pub fn heals(code: &str) -> &'static str {
    let is = |one: RefusalCode| one.as_str() == code;
    if is(RefusalCode::CertificateExpired) {
        "; it is tried again: if the clock of the service's node is ahead, nothing else needs to be done"
    } else if is(RefusalCode::CertificateNotYetValid) || is(RefusalCode::ClockTooEarly) {
        "; it is tried again: if the clock of the service's node is behind, nothing else needs to be done"
    } else if retry_after(code).is_some() {
        "; it is tried again"
    } else {
        ""
    }
}
