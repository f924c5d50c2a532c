//! Since when nobody has confirmed a status (`docs/monitoring.md`, "Is a status current?").
//!
//! A service that is gone leaves `Ready=True` behind. So the status says when it was confirmed last. A ready
//! issuer is reconciled every ten minutes in any case; one of three such passes writes this time. Each of
//! these writes wakes its own issuer only.

use crate::time;
use jiff::Timestamp;
use tcs_api::conditions;
use tcs_api::v1alpha1::IssuerStatus;

/// The shortest time between two writes that only confirm a status, in seconds.
const MIN_INTERVAL: i64 = 25 * 60;
/// The interval of an issuer is longer by less than this, in seconds, so that issuers that became ready at
/// one moment do not stay together.
const SPREAD: i64 = 10 * 60;
/// A time that is so far ahead of the clock, in seconds, was written by a wrong clock.
const AHEAD: i64 = 5 * 60;

/// Records in `decided` that it is confirmed now, if it is written in any case, or if the issuer is ready and
/// was not confirmed for a while.
pub fn confirm(decided: &mut IssuerStatus, before: &IssuerStatus, uid: &str, now: Timestamp) {
    let is_due = conditions::is_ready(decided) && is_stale(before, uid, now);
    if *decided != *before || is_due {
        decided.last_confirmed = Some(time::rfc3339(now.as_second()));
    }
}

fn is_stale(status: &IssuerStatus, uid: &str, now: Timestamp) -> bool {
    let confirmed = status.last_confirmed.as_deref().and_then(time::parse);
    confirmed.is_none_or(|confirmed| {
        let age = now.as_second().saturating_sub(confirmed);
        age >= interval_of(uid) || age < -AHEAD
    })
}

/// The interval of an issuer, in seconds. UIDs are random.
fn interval_of(uid: &str) -> i64 {
    let sum = uid.bytes().fold(0_i64, |sum, byte| (sum * 31 + i64::from(byte)) % SPREAD);
    MIN_INTERVAL + sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use std::collections::HashSet;

    const UID: &str = "0b7e4a3c-9c1e-4d0f-8a55-3d1f0f5f2a11";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn status(ready: &str) -> IssuerStatus {
        let condition = Condition {
            type_: "Ready".into(),
            status: ready.into(),
            reason: "R".into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at(0)),
        };
        IssuerStatus { conditions: vec![condition], ..IssuerStatus::default() }
    }

    fn confirmed(before: &IssuerStatus, decided: &IssuerStatus, second: i64) -> IssuerStatus {
        let mut decided = decided.clone();
        confirm(&mut decided, before, UID, at(second));
        decided
    }

    #[test]
    fn a_ready_issuer_is_confirmed_about_every_half_hour_and_no_more_often() {
        let first = confirmed(&status("False"), &status("True"), 0);
        assert_eq!(first.last_confirmed.as_deref(), Some(time::rfc3339(at(0).as_second()).as_str()));
        let (mut present, mut writes) = (first, Vec::new());
        for second in (0..6 * 3600).step_by(60) {
            let next = confirmed(&present, &present, second);
            if next != present {
                writes.push(second);
            }
            present = next;
        }
        assert!((10..=14).contains(&writes.len()), "{writes:?}");
        // The API server's clock is not asked: a time from a clock that was ahead is corrected.
        assert_ne!(confirmed(&present, &present, -3600), present);
        assert_eq!(confirmed(&present, &present, *writes.last().unwrap()), present);
    }

    #[test]
    fn other_issuers_are_confirmed_only_when_their_status_changes() {
        let waiting = status("False");
        assert_eq!(confirmed(&waiting, &waiting, 1_000_000).last_confirmed, None);
        let changed = IssuerStatus { simulated: Some(true), ..waiting.clone() };
        assert!(confirmed(&waiting, &changed, 5).last_confirmed.is_some());
    }

    #[test]
    fn issuers_are_not_confirmed_all_at_the_same_time() {
        let intervals: HashSet<_> =
            (0..200).map(|one| interval_of(&format!("{one:08x}-0000-4000-8000-000000000000"))).collect();
        assert!(intervals.len() > 100, "{}", intervals.len());
        assert!(intervals.iter().all(|one| (MIN_INTERVAL..MIN_INTERVAL + SPREAD).contains(one)));
    }
}
