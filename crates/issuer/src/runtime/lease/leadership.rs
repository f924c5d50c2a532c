//! Until when this controller leads.

use super::boot_time::BootTime;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use tokio::sync::SetOnce;

/// The value of the deadline of a controller that does not lead.
const NEVER: u64 = 0;

/// This controller does not lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this controller does not hold the Lease tcs-issuer/tcs-issuer, or could not renew it in time: it writes \
     nothing, and the enclave makes nothing for it"
)]
pub struct NotLeading;

/// Until when this controller leads. Everything that writes to the API server, or has the enclave change or
/// sign something, asks it immediately before. Cheap to clone.
#[derive(Clone, Default)]
pub struct Leadership(Arc<State>);

#[derive(Default)]
struct State {
    /// Nanoseconds since the boot.
    deadline: AtomicU64,
    acquired: SetOnce<()>,
    problem: Mutex<Option<String>>,
}

impl Leadership {
    /// Whether the controller leads at this moment.
    ///
    /// # Errors
    ///
    /// If it does not lead, or its deadline has passed.
    pub fn check(&self) -> Result<(), NotLeading> {
        self.check_at(BootTime::now())
    }

    /// As [`Self::check`], at any moment.
    fn check_at(&self, now: BootTime) -> Result<(), NotLeading> {
        if now < self.deadline() { Ok(()) } else { Err(NotLeading) }
    }

    /// The moment from which on it does not lead.
    #[must_use]
    pub fn deadline(&self) -> BootTime {
        BootTime::from_nanos(self.0.deadline.load(Ordering::Acquire))
    }

    /// The Lease was acquired or renewed: the controller leads until `deadline`.
    pub fn extend(&self, deadline: BootTime) {
        self.0.deadline.store(deadline.as_nanos(), Ordering::Release);
        let _ = self.0.acquired.set(());
    }

    /// Does something that writes, and drops it when the leadership ends: each poll is preceded by the check.
    /// So what waits, for a connection, for its turn or for somebody to read, is not sent late.
    ///
    /// # Errors
    ///
    /// If the leadership ended before it was done.
    pub async fn only_while_leading<T>(&self, writing: impl Future<Output = T>) -> Result<T, NotLeading> {
        let mut writing = pin!(writing);
        poll_fn(|context| match self.check() {
            Ok(()) => writing.as_mut().poll(context).map(Ok),
            Err(ended) => Poll::Ready(Err(ended)),
        })
        .await
    }

    /// The controller does not lead any more.
    pub fn end(&self) {
        self.0.deadline.store(NEVER, Ordering::Release);
    }

    /// Why the Lease cannot be read or written at present, for the readiness probe. To find another holder is
    /// no problem.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets what [`Self::problem`] returns.
    pub fn set_problem(&self, problem: Option<String>) {
        *self.0.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Resolves when the controller leads for the first time. It leads once: when it has lost its leadership,
    /// the process ends.
    pub async fn acquired(&self) {
        self.0.acquired.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use std::time::Duration;

    #[test]
    fn leadership_lasts_until_the_deadline_and_no_longer() {
        let leadership = Leadership::default();
        let now = BootTime::now();
        assert_eq!(leadership.check_at(now), Err(NotLeading), "nothing was acquired");
        assert!(leadership.acquired().now_or_never().is_none());
        let deadline = now.after(Duration::from_secs(10));
        leadership.extend(deadline);
        assert!(leadership.acquired().now_or_never().is_some());
        assert_eq!(leadership.check_at(now.after(Duration::from_nanos(9_999_999_999))), Ok(()));
        assert_eq!(leadership.check_at(deadline), Err(NotLeading));
        leadership.extend(deadline.after(Duration::from_secs(1)));
        assert_eq!(leadership.check_at(deadline), Ok(()), "renewed");
        leadership.end();
        assert_eq!(leadership.check_at(now), Err(NotLeading));
    }
}
