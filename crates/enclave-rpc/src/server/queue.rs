//! The queue between readers and workers.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many bytes of requests may wait, whatever their number.
const MAX_WEIGHT: usize = 16 << 20;

/// A queue that refuses entries instead of growing, and serves its owners in turn. An owner that fills it
/// delays only itself. When the queue is full, the entries of that owner give way to those of owners that
/// have fewer.
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// The owners with entries, in the order of their turns.
    owners: VecDeque<Owner<T>>,
    count: usize,
    weight: usize,
    /// How many threads wait in [`Queue::pop`]. To wake nobody costs as much as to wake a thread.
    waiting: usize,
    closed: bool,
}

struct Owner<T> {
    number: u64,
    entries: VecDeque<(T, usize)>,
    weight: usize,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { owners: VecDeque::new(), count: 0, weight: 0, waiting: 0, closed: false };
        Self { capacity: capacity.max(1), state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Adds an entry. Returns the entries that were not added or were displaced; the caller tells their
    /// owners.
    pub(super) fn push(&self, owner: u64, entry: T, weight: usize) -> Vec<T> {
        let mut state = self.lock();
        let Some(victims) = state.victims(owner, weight, self.capacity).filter(|_| !state.closed) else {
            return vec![entry];
        };
        let displaced = victims.into_iter().filter_map(|victim| state.take_last(victim)).collect();
        state.count = state.count.saturating_add(1);
        state.weight = state.weight.saturating_add(weight);
        if let Some(one) = state.owners.iter_mut().find(|one| one.number == owner) {
            one.push(entry, weight);
        } else {
            state.owners.push_back(Owner { number: owner, entries: [(entry, weight)].into(), weight });
        }
        let awaited = state.waiting > 0;
        drop(state);
        if awaited {
            self.changed.notify_one();
        }
        displaced
    }

    /// Drops the entries of an owner that no longer waits for them.
    pub(super) fn forget(&self, owner: u64) {
        let mut state = self.lock();
        let Some(at) = state.owners.iter().position(|one| one.number == owner) else { return };
        if let Some(gone) = state.owners.remove(at) {
            state.count = state.count.saturating_sub(gone.entries.len());
            state.weight = state.weight.saturating_sub(gone.weight);
        }
    }

    /// The next entry, if there is one.
    pub(super) fn try_pop(&self) -> Option<T> {
        self.lock().next()
    }

    /// Waits for an entry; `None` once the queue is closed. Entries that still wait then are dropped.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(entry) = state.next() {
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
        state.owners.clear();
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// The owners whose last entries are displaced by one more entry of this owner, each named once for every
    /// entry; `None` if the new entry is not added.
    ///
    /// Whatever is scarce, places or bytes, is taken from the owner that has most of it, as long as that is
    /// more than the owner of the new entry would then have.
    fn victims(&self, owner: u64, weight: usize, capacity: usize) -> Option<Vec<u64>> {
        if self.count < capacity && self.weight.saturating_add(weight) <= MAX_WEIGHT {
            return Some(Vec::new());
        }
        // The places and bytes of each owner, as they would be.
        let mut left: Vec<(u64, usize, usize)> =
            self.owners.iter().map(|one| (one.number, one.entries.len(), one.weight)).collect();
        let own = left.iter().find(|one| one.0 == owner);
        let own_places = own.map_or(0, |one| one.1).saturating_add(1);
        let own_bytes = own.map_or(0, |one| one.2).saturating_add(weight);
        let (mut count, mut total) = (self.count, self.weight.saturating_add(weight));
        let mut victims = Vec::new();
        loop {
            let places_short = count >= capacity;
            if !places_short && total <= MAX_WEIGHT {
                return Some(victims);
            }
            let most =
                |(_, places, bytes): &&mut (u64, usize, usize)| if places_short { *places } else { *bytes };
            let (number, places, bytes) = left.iter_mut().max_by_key(most)?;
            let enough = if places_short { *places > own_places } else { *bytes > own_bytes };
            if *number == owner || !enough {
                return None;
            }
            *places = places.checked_sub(1)?;
            let (_, freed) = self.owners.iter().find(|one| one.number == *number)?.entries.get(*places)?;
            *bytes = bytes.saturating_sub(*freed);
            count = count.saturating_sub(1);
            total = total.saturating_sub(*freed);
            victims.push(*number);
        }
    }

    /// The last entry of an owner, because the first one has waited longest.
    fn take_last(&mut self, number: u64) -> Option<T> {
        let at = self.owners.iter().position(|one| one.number == number)?;
        let owner = self.owners.get_mut(at)?;
        let (entry, weight) = owner.pop_back()?;
        if owner.entries.is_empty() {
            self.owners.remove(at);
        }
        self.release(weight);
        Some(entry)
    }

    /// The first entry of the owner whose turn it is.
    fn next(&mut self) -> Option<T> {
        let mut owner = self.owners.pop_front()?;
        let first = owner.entries.pop_front();
        if let Some((_, weight)) = &first {
            owner.weight = owner.weight.saturating_sub(*weight);
            self.release(*weight);
        }
        if !owner.entries.is_empty() {
            self.owners.push_back(owner);
        }
        first.map(|(entry, _)| entry)
    }

    fn release(&mut self, weight: usize) {
        self.count = self.count.saturating_sub(1);
        self.weight = self.weight.saturating_sub(weight);
    }
}

impl<T> Owner<T> {
    fn push(&mut self, entry: T, weight: usize) {
        self.weight = self.weight.saturating_add(weight);
        self.entries.push_back((entry, weight));
    }

    fn pop_back(&mut self) -> Option<(T, usize)> {
        let (entry, weight) = self.entries.pop_back()?;
        self.weight = self.weight.saturating_sub(weight);
        Some((entry, weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_bytes_are_bounded() {
        let queue = Queue::new(2);
        assert!(queue.push(0, 1, MAX_WEIGHT - 1).is_empty());
        assert_eq!(queue.push(0, 2, 2), [2], "too many bytes");
        assert!(queue.push(0, 3, 1).is_empty());
        assert_eq!(queue.push(0, 4, 0), [4], "too many entries");
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.push(0, 5, MAX_WEIGHT - 1).is_empty(), "room is given back");
        assert_eq!((queue.pop(), queue.pop(), queue.try_pop()), (Some(3), Some(5), None));
        assert_eq!(queue.push(0, 6, MAX_WEIGHT + 1), [6]);
        queue.close();
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.push(0, 7, 0), [7]);
    }

    #[test]
    fn owners_take_turns() {
        let queue = Queue::new(8);
        for (owner, entry) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            assert!(queue.push(owner, entry, 1).is_empty());
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.try_pop()).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn whoever_fills_the_queue_gives_way_to_whoever_has_less_in_it() {
        let queue = Queue::new(4);
        for entry in ["f1", "f2", "f3", "f4"] {
            assert!(queue.push(1, entry, 1).is_empty());
        }
        assert_eq!(queue.push(1, "f5", 1), ["f5"]);
        assert_eq!(queue.push(2, "x1", 1), ["f4"]);
        assert_eq!(queue.push(2, "x2", 1), ["f3"]);
        assert_eq!(queue.push(2, "x3", 1), ["x3"], "half of it each");
        assert_eq!(queue.push(3, "y1", 1), ["x2"], "the last of those with the most");
        let order: Vec<_> = std::iter::from_fn(|| queue.try_pop()).collect();
        assert_eq!(order, ["f1", "x1", "y1", "f2"]);
        // By bytes, too.
        assert!(queue.push(1, "long", MAX_WEIGHT - 1).is_empty());
        assert_eq!(queue.push(2, "short", 2), ["long"]);
        assert_eq!(queue.push(1, "long", MAX_WEIGHT - 1), ["long"], "it would have more than what is there");
        assert_eq!(queue.try_pop(), Some("short"));
    }

    #[test]
    fn what_is_short_is_taken_from_whoever_has_most_of_it_and_not_in_vain() {
        let queue = Queue::new(64);
        for entry in 0..40 {
            assert!(queue.push(1, entry, 1).is_empty());
        }
        for owner in 2..17 {
            assert!(queue.push(owner, 100, 1 << 20).is_empty());
        }
        // Bytes are short, and whoever has many entries of few bytes keeps them.
        assert_eq!(
            queue.push(17, 100, (1 << 20) + 1),
            [100],
            "it would have more than any of those with bytes"
        );
        assert_eq!(queue.push(17, 200, (1 << 20) - 1), [100]);
        for entry in 0..40 {
            let next = std::iter::from_fn(|| queue.try_pop()).find(|entry| *entry < 100);
            assert_eq!(next, Some(entry));
        }
    }

    #[test]
    fn what_an_owner_left_behind_can_be_forgotten() {
        let queue = Queue::new(4);
        for owner in 0..4 {
            assert!(queue.push(owner, owner, MAX_WEIGHT / 4).is_empty());
        }
        assert_eq!(queue.push(9, 9, 1), [9], "each has as little as it would have");
        queue.forget(2);
        queue.forget(7);
        assert!(queue.push(9, 9, MAX_WEIGHT / 4).is_empty());
        let order: Vec<_> = std::iter::from_fn(|| queue.try_pop()).collect();
        assert_eq!(order, [0, 1, 3, 9]);
    }
}
