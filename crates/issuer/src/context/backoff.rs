//! Pauses between failed reconciles.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

const MAX_PAUSE: Duration = Duration::from_mins(1);

/// How often the reconcile of each object failed in a row.
#[derive(Default)]
pub struct Backoff(Mutex<HashMap<String, u32>>);

impl Backoff {
    /// Records a failure and returns the pause before the next try: a second, doubled each time, at most a
    /// minute.
    pub fn failed(&self, object: &str) -> Duration {
        let Ok(mut failures) = self.0.lock() else { return MAX_PAUSE };
        let count = failures.entry(object.to_owned()).or_default();
        let pause = Duration::from_secs(1 << (*count).min(6)).min(MAX_PAUSE);
        *count = count.saturating_add(1);
        pause
    }

    /// Records a success.
    pub fn succeeded(&self, object: &str) {
        if let Ok(mut failures) = self.0.lock() {
            failures.remove(object);
        }
    }
}
