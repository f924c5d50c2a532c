//! How much memory the open requests may take.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What the open requests of a request API may take, in bytes.
///
/// The container of the controller has 256 MiB. Up to 128 MiB of them are for issuers (SECURITY.md,
/// "Availability"). A request that is being signed is in memory up to three times: the object, the object
/// with its certificate, and its JSON.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All that are held. Some 15,000 usual requests are below it.
    pub all: usize,
    /// The large ones among them. The rest is left to others, so that whoever makes large requests, and
    /// leaves them open, does not have those of others read again for each attempt.
    pub large: usize,
    /// A larger one is large.
    pub small: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { all: 48 << 20, large: 16 << 20, small: 32 << 10 }
    }
}

/// What the requests that are in memory take together.
#[derive(Default)]
pub struct Budget {
    limits: Limits,
    all: AtomicUsize,
    large: AtomicUsize,
    /// Somebody has the one place for a request that finds no room.
    beyond: AtomicBool,
}

/// A part of the budget, until it is dropped.
pub struct Share {
    budget: Arc<Budget>,
    kind: Kind,
}

enum Kind {
    Small(usize),
    Large(usize),
    Beyond,
}

impl Budget {
    /// A budget with limits of a test.
    #[cfg(test)]
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether a request of so many bytes is a large one.
    pub fn is_large(&self, bytes: usize) -> bool {
        bytes > self.limits.small
    }

    /// Whether a request of so many bytes that waits should not be held any longer, because there is little
    /// room left for others: half of all, or of what large ones may take, is in use.
    pub fn is_scarce(&self, bytes: usize) -> bool {
        let is_half = |used: &AtomicUsize, limit: usize| used.load(Ordering::Acquire) > limit / 2;
        is_half(&self.all, self.limits.all) || self.is_large(bytes) && is_half(&self.large, self.limits.large)
    }

    /// So many bytes, if they fit. Only one thread may ask at a time.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let fits = |used: &AtomicUsize, limit| used.load(Ordering::Acquire).saturating_add(bytes) <= limit;
        let is_large = self.is_large(bytes);
        if !fits(&self.all, self.limits.all) || is_large && !fits(&self.large, self.limits.large) {
            return None;
        }
        self.all.fetch_add(bytes, Ordering::AcqRel);
        if is_large {
            self.large.fetch_add(bytes, Ordering::AcqRel);
        }
        let kind = if is_large { Kind::Large(bytes) } else { Kind::Small(bytes) };
        Some(Share { budget: Arc::clone(self), kind })
    }

    /// As [`Self::reserve`], or the one place for what does not fit, if that is free. So every request gets
    /// its turn, however large it is and whatever else is held.
    pub fn reserve_turn(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        self.reserve(bytes).or_else(|| {
            let is_free = !self.beyond.swap(true, Ordering::AcqRel);
            is_free.then(|| Share { budget: Arc::clone(self), kind: Kind::Beyond })
        })
    }

    /// What is in use of all, of what large ones may take, and of the place beyond that.
    #[cfg(test)]
    #[must_use]
    pub fn used(&self) -> (usize, usize, bool) {
        let [all, large] = [&self.all, &self.large].map(|used| used.load(Ordering::Acquire));
        (all, large, self.beyond.load(Ordering::Acquire))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Self { budget, kind } = self;
        match kind {
            Kind::Small(bytes) => drop(budget.all.fetch_sub(*bytes, Ordering::AcqRel)),
            Kind::Large(bytes) => {
                budget.all.fetch_sub(*bytes, Ordering::AcqRel);
                budget.large.fetch_sub(*bytes, Ordering::AcqRel);
            }
            Kind::Beyond => budget.beyond.store(false, Ordering::Release),
        }
    }
}

/// A request in memory, with its share of the budget. It counts until the last who uses it is done.
pub struct Held<K> {
    request: K,
    _share: Share,
}

impl<K> Held<K> {
    /// A request, which takes this share.
    pub fn new(request: K, share: Share) -> Self {
        Self { request, _share: share }
    }
}

impl<K> Deref for Held<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.request
    }
}
