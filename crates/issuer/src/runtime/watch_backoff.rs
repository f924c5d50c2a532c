//! Pauses of a watch that fails.

use kube::runtime::utils::Backoff;
use std::time::Duration;
use tokio::time::Instant;

const MIN_PAUSE: Duration = Duration::from_millis(800);
/// kube's own back-off goes on to 30 seconds. A right that is granted, or a kind that is installed, should
/// not have to wait for so long, and one read in ten seconds for each kind costs the API server little.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// A failure so long after the last one is the first of its kind.
const FORGET: Duration = Duration::from_mins(2);

/// Pauses of a watch that fails: doubled each time.
#[derive(Default)]
pub struct WatchBackoff {
    last: Option<(Duration, Instant)>,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let pause = match self.last {
            Some((pause, at)) if now.duration_since(at) < FORGET => pause.saturating_mul(2).min(MAX_PAUSE),
            _ => MIN_PAUSE,
        };
        self.last = Some((pause, now));
        Some(pause)
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_ten_seconds_and_start_again_after_a_success_or_a_quiet_time() {
        let mut backoff = WatchBackoff::default();
        let pauses: Vec<_> = backoff.by_ref().take(6).collect();
        assert_eq!(pauses.first().copied(), Some(MIN_PAUSE));
        assert!(pauses.is_sorted() && pauses.last().copied() == Some(MAX_PAUSE), "{pauses:?}");
        tokio::time::advance(FORGET).await;
        assert_eq!(backoff.next(), Some(MIN_PAUSE));
        assert!(backoff.next() > Some(MIN_PAUSE));
        backoff.reset();
        assert_eq!(backoff.next(), Some(MIN_PAUSE));
    }
}
