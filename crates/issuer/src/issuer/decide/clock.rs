//! What the service's clock decides.
//!
//! The clock alone decides what can be undone: whether an issuer signs now, and whether a refused step is
//! tried again. What cannot be undone is decided only while the clock agrees with the API server's: making or
//! renewing a CA, removing a trust anchor from the bundle, and deleting a sealed key.

use super::ca_record::fingerprint;
use crate::clock::ClockComparison;
use crate::time;
use jiff::Timestamp;
use std::time::Duration;
use tcs_enclave_rpc::{CaInfo, RefusalCode};

/// How soon an issuer that waits for a clock is reconciled again.
pub const CLOCK_RETRY: Duration = Duration::from_mins(1);

/// How soon the enclave is asked again for what its platform or key provider did not make in time.
const SLOW_RETRY: Duration = Duration::from_secs(30);

/// Whether a CA can sign, by the service's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Its certificate is not valid yet.
    NotYet,
    /// It can sign.
    Valid,
    /// Its certificate has expired.
    Ended,
}

impl Validity {
    /// The validity at this time. The enclave, which is told the same time, decides in the same way.
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

/// The message for a CA that cannot sign at this time. It does not say whether the clock or the CA is at
/// fault.
pub fn outside_validity(clock: ClockComparison, ca: &CaInfo, validity: Validity) -> Option<String> {
    let (what, side) = match validity {
        Validity::Valid => return None,
        Validity::NotYet => (format!("is not valid before {}", time::rfc3339(ca.not_before)), "behind"),
        Validity::Ended => (format!("expired at {}", time::rfc3339(ca.not_after)), "ahead"),
    };
    let doubt = clock.doubt().map_or_else(String::new, |doubt| format!(" ({doubt})"));
    Some(format!(
        "the CA certificate with SHA-256 {} {what}{doubt}; its key is kept. If the clock of the service's node is \
         {side}, the issuer signs again as soon as the clock is correct",
        fingerprint(ca)
    ))
}

/// Why no CA is made now although one is due.
pub fn waits_for_clock(clock: ClockComparison) -> Option<String> {
    clock
        .doubt()
        .map(|doubt| format!("no CA is made or renewed while {doubt}; this is tried again every minute"))
}

/// When to try again after a refusal that may pass with time, whichever way the clock was wrong.
pub fn retry_after(code: &str) -> Option<Duration> {
    if code == RefusalCode::CertificateExpired.as_str() {
        return Some(CLOCK_RETRY);
    }
    if code == RefusalCode::TimedOut.as_str() {
        return Some(SLOW_RETRY);
    }
    let soon = [RefusalCode::CertificateNotYetValid, RefusalCode::ClockTooEarly, RefusalCode::TooManyIssuers];
    soon.iter().any(|one| one.as_str() == code).then_some(Duration::from_secs(10))
}

/// What a message adds to such a refusal.
pub fn retry_advice(code: &str) -> &'static str {
    let is = |one: RefusalCode| one.as_str() == code;
    if is(RefusalCode::CertificateExpired) {
        "; this is tried again: if the clock of the service's node is ahead, nothing else needs to be done"
    } else if is(RefusalCode::CertificateNotYetValid) || is(RefusalCode::ClockTooEarly) {
        "; this is tried again: if the clock of the service's node is behind, nothing else needs to be done"
    } else if retry_after(code).is_some() {
        "; this is tried again"
    } else {
        ""
    }
}
