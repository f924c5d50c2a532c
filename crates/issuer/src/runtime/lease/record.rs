//! The records that this controller writes into the Lease, as client-go writes them. Pure.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use std::time::Duration;

/// The record after `before` with which `me` acquires or renews the Lease. Fields that are not about the
/// holder stay.
#[must_use]
pub fn held(before: LeaseSpec, me: &str, duration: Duration, now: Timestamp) -> LeaseSpec {
    let is_renewal = before.holder_identity.as_deref() == Some(me);
    let transitions = before.lease_transitions.unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        acquire_time: before.acquire_time.filter(|_| is_renewal).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if is_renewal { transitions } else { transitions.saturating_add(1) }),
        ..before
    }
}

/// The record after `before` that nobody holds.
#[must_use]
pub fn released(before: LeaseSpec, now: Timestamp) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(String::new()),
        // The API server takes no zero. A Lease without a holder is acquired at once, whatever this says.
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(now)),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acquiring_counts_a_transition_and_renewing_does_not() {
        let duration = Duration::from_secs(15);
        let at = |second| Timestamp::from_second(second).unwrap();
        let strategy = Some("OldestEmulationVersion".to_owned());
        let foreign = LeaseSpec { strategy: strategy.clone(), ..LeaseSpec::default() };
        let acquired = held(foreign, "a", duration, at(1));
        assert_eq!(acquired.holder_identity.as_deref(), Some("a"));
        assert_eq!((acquired.lease_transitions, acquired.lease_duration_seconds), (Some(1), Some(15)));
        assert_eq!(acquired.strategy, strategy);
        let renewed = held(acquired.clone(), "a", duration, at(2));
        assert_eq!(renewed.acquire_time, acquired.acquire_time);
        assert_eq!((renewed.renew_time.unwrap().0, renewed.lease_transitions), (at(2), Some(1)));
        let taken = held(acquired.clone(), "b", duration, at(3));
        assert_eq!((taken.acquire_time.unwrap().0, taken.lease_transitions), (at(3), Some(2)));
        let released = released(acquired, at(4));
        assert_eq!((released.holder_identity.as_deref(), released.lease_transitions), (Some(""), Some(1)));
    }
}
