//! Pauses between failed reconciles.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

const MAX_PAUSE: Duration = Duration::from_mins(1);

/// The pause after this failure in a row, counted from 1: a second, doubled each time, at most a minute.
#[must_use]
pub fn pause(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(MAX_PAUSE)
}

/// The longest pause after a write that is refused for good.
const MAX_LONG_PAUSE: Duration = Duration::from_hours(1);

/// The pause after this write in a row that was refused for good, counted from 1: a minute, doubled each
/// time, at most an hour. Only a change of the object, or of what refuses it, can help.
#[must_use]
pub fn long_pause(refusals: u32) -> Duration {
    Duration::from_mins(1 << refusals.saturating_sub(1).min(6)).min(MAX_LONG_PAUSE)
}

/// How often the reconcile of each object failed in a row.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Records a failure and returns the pause before the next try.
    pub fn failed(&self, object: &str) -> Duration {
        let Ok(mut failures) = self.0.lock() else { return MAX_PAUSE };
        let count = failures.entry(object.to_owned()).or_default();
        *count = count.saturating_add(1);
        pause(*count)
    }

    /// Records a success.
    pub fn succeeded(&self, object: &str) {
        if let Ok(mut failures) = self.0.lock() {
            failures.remove(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = [1, 2, 3, 6, 7, u32::MAX].map(|failures| pause(failures).as_secs()).into();
        assert_eq!(pauses, [1, 2, 4, 32, 60, 60]);
        let pauses: Vec<_> =
            [1, 2, 6, 7, u32::MAX].map(|refusals| long_pause(refusals).as_secs() / 60).into();
        assert_eq!(pauses, [1, 2, 32, 60, 60]);
    }
}
