use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of requests that may wait, whatever their number.
const MAX_WEIGHT: usize = 16 << 20;

/// A queue that refuses instead of growing.
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    entries: VecDeque<(T, usize)>,
    weight: usize,
    /// Who waits in [`Queue::pop`]: to wake nobody costs as much as to wake somebody.
    waiting: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { entries: VecDeque::new(), weight: 0, waiting: 0, closed: false };
        Self { capacity, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// False if the entry was not taken.
    pub(super) fn push(&self, entry: T, weight: usize) -> bool {
        let mut state = self.lock();
        let total = state.weight.saturating_add(weight);
        if state.closed || state.entries.len() >= self.capacity || total > MAX_WEIGHT {
            return false;
        }
        state.weight = total;
        state.entries.push_back((entry, weight));
        let awaited = state.waiting > 0;
        drop(state);
        if awaited {
            self.changed.notify_one();
        }
        true
    }

    /// An entry, if one waits.
    pub(super) fn try_pop(&self) -> Option<T> {
        let mut state = self.lock();
        let (entry, weight) = state.entries.pop_front()?;
        state.weight = state.weight.saturating_sub(weight);
        Some(entry)
    }

    /// Waits for an entry; `None` once the queue is closed. What still waits then is dropped.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some((entry, weight)) = state.entries.pop_front() {
                state.weight = state.weight.saturating_sub(weight);
                return Some(entry);
            }
            state.waiting = state.waiting.saturating_add(1);
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting = state.waiting.saturating_sub(1);
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.entries.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_bytes_are_bounded() {
        let queue = Queue::new(2);
        assert!(queue.push(1, MAX_WEIGHT - 1));
        assert!(!queue.push(2, 2), "too many bytes");
        assert!(queue.push(3, 1));
        assert!(!queue.push(4, 0), "too many entries");
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.push(5, MAX_WEIGHT - 1), "room is given back");
        queue.close();
        assert_eq!(queue.pop(), None);
        assert!(!queue.push(6, 0));
    }
}
