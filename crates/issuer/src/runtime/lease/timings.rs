//! How long a Lease is held and how often it is renewed.

use std::time::Duration;

/// Shortest pause between two tries: the API server should serve others, too.
const MIN_RETRY_PERIOD: Duration = Duration::from_millis(100);

/// How long the Lease is held and how often it is renewed, as the flags of client-go's users say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimings {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// Why three durations are no timings of a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingsError {
    /// `spec.leaseDurationSeconds` holds whole seconds.
    #[error(
        "--leader-elect-lease-duration is {0:?}; the Lease holds whole seconds: choose 1s or a multiple of it"
    )]
    NotWholeSeconds(Duration),
    /// Another controller could lead before this one has stopped.
    #[error(
        "--leader-elect-renew-deadline is {deadline:?} and --leader-elect-lease-duration {duration:?}; the deadline \
         must be shorter: a controller must have stopped before another one leads"
    )]
    DeadlineTooLong {
        /// The renew deadline.
        deadline: Duration,
        /// The lease duration.
        duration: Duration,
    },
    /// One failed renewal would end the controller.
    #[error(
        "--leader-elect-retry-period is {retry:?} and --leader-elect-renew-deadline {deadline:?}; the deadline must be \
         longer than 1.2 times the period, so that a renewal can be tried again"
    )]
    RetryTooLong {
        /// The retry period.
        retry: Duration,
        /// The renew deadline.
        deadline: Duration,
    },
    /// The Lease would be renewed almost without a pause.
    #[error(
        "--leader-elect-retry-period is {0:?}; choose a pause of at least {MIN_RETRY_PERIOD:?}, for example 2s"
    )]
    RetryTooShort(Duration),
}

impl LeaseTimings {
    /// Timings, checked as client-go's `NewLeaderElector` checks them.
    pub fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, TimingsError> {
        if duration.is_zero() || duration.subsec_nanos() != 0 {
            return Err(TimingsError::NotWholeSeconds(duration));
        }
        if renew_deadline >= duration {
            return Err(TimingsError::DeadlineTooLong { deadline: renew_deadline, duration });
        }
        if retry_period < MIN_RETRY_PERIOD {
            return Err(TimingsError::RetryTooShort(retry_period));
        }
        if renew_deadline.saturating_mul(5) <= retry_period.saturating_mul(6) {
            return Err(TimingsError::RetryTooLong { retry: retry_period, deadline: renew_deadline });
        }
        Ok(Self { duration, renew_deadline, retry_period })
    }

    /// How long others wait for a holder that does not renew.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// How long a holder leads after it began the last renewal that succeeded.
    #[must_use]
    pub fn renew_deadline(self) -> Duration {
        self.renew_deadline
    }

    /// Pause between two tries to acquire or renew.
    #[must_use]
    pub fn retry_period(self) -> Duration {
        self.retry_period
    }

    /// How long one try may take: after one without an answer, another can begin before the deadline.
    #[must_use]
    pub fn attempt_limit(self) -> Duration {
        self.renew_deadline / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timings(duration: u64, deadline: u64, retry: u64) -> Result<LeaseTimings, TimingsError> {
        let milliseconds = Duration::from_millis;
        LeaseTimings::new(milliseconds(duration), milliseconds(deadline), milliseconds(retry))
    }

    #[test]
    fn timings_by_which_two_could_lead_are_refused() {
        timings(15_000, 10_000, 2_000).unwrap();
        timings(1_000, 999, 832).unwrap();
        timings(1_000, 999, 100).unwrap();
        for (duration, deadline, retry, expected) in [
            (15_000, 15_000, 2_000, "must be shorter"),
            (15_000, 16_000, 2_000, "must be shorter"),
            (15_000, 2_400, 2_000, "longer than 1.2 times"),
            (15_500, 10_000, 2_000, "whole seconds"),
            (0, 0, 0, "whole seconds"),
            (15_000, 10_000, 0, "choose a pause of at least 100ms"),
            (15_000, 10_000, 99, "choose a pause of at least 100ms"),
        ] {
            let error = timings(duration, deadline, retry).unwrap_err().to_string();
            assert!(error.contains(expected), "{duration} {deadline} {retry}: {error}");
        }
    }
}
