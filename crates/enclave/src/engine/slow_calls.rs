//! Calls of the platform and of the key provider, which may take long or never return.

use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How many calls of a kind may run at a time. A call that hangs keeps its thread until it returns, because a
/// thread cannot be ended.
pub(super) const MAX_RUNNING: usize = 4;
/// As large as those of the server. The calls never recurse deeply.
const STACK: usize = 512 << 10;

/// Runs calls of one kind, each in a thread of its own, and does not wait longer than the limit for any of
/// them.
pub(super) struct SlowCalls {
    limit: Duration,
    running: Arc<Mutex<Running>>,
}

/// The calls that run, by number, and whether they are overdue.
#[derive(Default)]
struct Running {
    last_number: u64,
    calls: HashMap<u64, bool>,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlowCallError {
    /// As many calls as may run are running. Nothing was begun.
    Busy,
    /// The call has not returned in time. It goes on.
    TimedOut,
    /// The call panicked.
    Panicked,
}

impl SlowCalls {
    /// `limit`: how long a caller waits.
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, running: Arc::default() }
    }

    /// How long a caller waits.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// How many calls have not returned in time and still run.
    pub(super) fn overdue(&self) -> u32 {
        let overdue = lock(&self.running).calls.values().filter(|is_overdue| **is_overdue).count();
        u32::try_from(overdue).unwrap_or(u32::MAX)
    }

    /// Makes a call and waits for its result. What a call returns too late is dropped.
    pub(super) fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SlowCallError> {
        let ended = RunningCall::begin(&self.running).ok_or(SlowCallError::Busy)?;
        let number = ended.number;
        let (sender, receiver) = sync_channel(1);
        let thread = thread::Builder::new().name("slow-call".to_owned()).stack_size(STACK).spawn(move || {
            let result = call();
            drop(ended);
            // The caller may have given up.
            let _ = sender.send(result);
        });
        thread.map_err(|_| SlowCallError::Busy)?;
        match receiver.recv_timeout(self.limit) {
            Ok(result) => Ok(result),
            Err(RecvTimeoutError::Disconnected) => Err(SlowCallError::Panicked),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(is_overdue) = lock(&self.running).calls.get_mut(&number) {
                    *is_overdue = true;
                    return Err(SlowCallError::TimedOut);
                }
                // It has returned just now.
                receiver.recv().map_err(|_| SlowCallError::Panicked)
            }
        }
    }
}

/// A call that runs, until this is dropped.
struct RunningCall {
    running: Arc<Mutex<Running>>,
    number: u64,
}

impl RunningCall {
    /// `None` if there is no room.
    fn begin(running: &Arc<Mutex<Running>>) -> Option<Self> {
        let mut state = lock(running);
        if state.calls.len() >= MAX_RUNNING {
            return None;
        }
        state.last_number = state.last_number.wrapping_add(1);
        let number = state.last_number;
        state.calls.insert(number, false);
        Some(Self { running: Arc::clone(running), number })
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        lock(&self.running).calls.remove(&self.number);
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
