//! Decides what to do about a Lease. Pure.
//!
//! As in client-go's package `leaderelection`, a Lease has expired when its record has not changed for its
//! duration, by the clock of the observer and counted from the moment at which the observer first saw the
//! record. The times in the record are those of the holder's clock. They are for people, and nobody here
//! compares them.

use super::boot_time::BootTime;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use std::time::Duration;

/// A record of the Lease, and since when it has been known without a change.
#[derive(Clone, Debug)]
pub struct Observation {
    record: LeaseSpec,
    since: BootTime,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody holds the Lease, or it has expired: write this controller into it.
    Acquire,
    /// This controller holds it: renew it.
    Renew,
    /// Another one holds it, until this moment at least.
    Wait(BootTime),
}

impl Observation {
    /// A record that was read at `now`, after `previous`.
    #[must_use]
    pub fn new(record: LeaseSpec, now: BootTime, previous: Option<Self>) -> Self {
        match previous {
            Some(previous) if previous.record == record => previous,
            _ => Self { record, since: now },
        }
    }

    /// Who holds it; `None` if nobody does.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.record.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }
}

/// What to do about a Lease; without an observation it does not exist. `duration` is the own one: a holder
/// that names a shorter one, or none, has as long.
#[must_use]
pub fn evaluate(observed: Option<&Observation>, me: &str, duration: Duration, now: BootTime) -> Step {
    let Some((observed, holder)) = observed.and_then(|observed| Some((observed, observed.holder()?))) else {
        return Step::Acquire;
    };
    if holder == me {
        return Step::Renew;
    }
    let named = observed.record.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    let expiry = observed.since.after(named.map_or(duration, Duration::from_secs).max(duration));
    if expiry <= now { Step::Acquire } else { Step::Wait(expiry) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Span, Timestamp};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    const DURATION: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    fn record(holder: Option<&str>, renewed: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(renewed)),
            ..LeaseSpec::default()
        }
    }

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_lease_that_nobody_holds_is_acquired() {
        assert_eq!(evaluate(None, "me", DURATION, at(100)), Step::Acquire);
        for nobody in [None, Some("")] {
            let observed = Observation::new(record(nobody, wall(0)), at(100), None);
            assert_eq!(evaluate(Some(&observed), "me", DURATION, at(100)), Step::Acquire, "{nobody:?}");
        }
    }

    #[test]
    fn the_own_lease_is_renewed_however_old_it_is() {
        let observed = Observation::new(record(Some("me"), wall(0)), at(100), None);
        assert_eq!(evaluate(Some(&observed), "me", DURATION, at(101)), Step::Renew);
        assert_eq!(evaluate(Some(&observed), "me", DURATION, at(1_000)), Step::Renew);
    }

    #[test]
    fn case_9_6_a_holder_whose_clock_is_a_day_ahead_or_behind_is_treated_alike() {
        for days in [-1, 0, 1, 3_650] {
            let offset = Span::new().hours(days * 24);
            let theirs = |seconds| record(Some("other"), wall(seconds).checked_add(offset).unwrap());
            let first = Observation::new(theirs(0), at(100), None);
            let step = |observed: &Observation, now| evaluate(Some(observed), "me", DURATION, now);
            assert_eq!(step(&first, at(100)), Step::Wait(at(115)), "{days}");
            // It is renewed: the time begins anew, when the renewal is seen.
            let renewed = Observation::new(theirs(2), at(107), Some(first));
            assert_eq!(step(&renewed, at(116)), Step::Wait(at(122)), "{days}");
            // It is read again and has not changed.
            let same = Observation::new(theirs(2), at(121), Some(renewed));
            assert_eq!(step(&same, at(121)), Step::Wait(at(122)), "{days}");
            assert_eq!(step(&same, at(122)), Step::Acquire, "{days}");
        }
    }

    #[test]
    fn the_duration_is_that_of_the_holder_or_the_own_one_if_that_is_longer() {
        let with = |seconds| {
            let record = LeaseSpec { lease_duration_seconds: seconds, ..record(Some("other"), wall(0)) };
            evaluate(Some(&Observation::new(record, at(100), None)), "me", DURATION, at(100))
        };
        assert_eq!(with(Some(60)), Step::Wait(at(160)));
        assert_eq!(with(Some(1)), Step::Wait(at(115)));
        assert_eq!(with(Some(0)), Step::Wait(at(115)));
        assert_eq!(with(None), Step::Wait(at(115)), "a record without a duration has ours");
        assert_eq!(with(Some(-1)), Step::Wait(at(115)));
    }
}
