//! Waiting for conditions.

use anyhow::{Context as _, Result, bail};
use std::time::{Duration, Instant};

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Checks a condition until it holds, it can no longer hold, or `limit` has passed.
///
/// `probe` returns `Some` if it holds, `None` for "not yet", and an error if waiting longer is pointless.
/// `what` completes "waiting for …".
pub fn wait_for<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        // The time is read before the probe: the result of a slow probe must count even if the limit has
        // passed meanwhile.
        let elapsed = start.elapsed();
        if let Some(value) = probe().with_context(|| format!("waiting for {what}"))? {
            return Ok(value);
        }
        if elapsed >= limit {
            bail!("waited {:.1} s in vain for {what}", limit.as_secs_f64());
        }
        std::thread::sleep(POLL);
    }
}
