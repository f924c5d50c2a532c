//! Waiting for conditions.

use anyhow::{Context as _, Result, bail};
use std::time::{Duration, Instant};

/// Pause between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Looks at a condition until it holds, it cannot hold any more, or `limit` has passed.
///
/// `probe` answers `Some` when it holds, `None` for "not yet", and an error
/// when waiting longer is pointless. `what` completes "waiting for …".
pub fn wait_for<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        // Read before the probe: a slow probe must not end the wait without its own verdict.
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
