//! How much memory the open requests may take.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the open requests of all request APIs may take together, in bytes.
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

impl Limits {
    fn is_large(&self, bytes: usize) -> bool {
        bytes > self.small
    }
}

/// What the requests that are in memory take together, and a place for one request more.
#[derive(Default)]
pub struct Budget {
    shared: Arc<Shared>,
    /// Somebody has the one place for a request that finds no room. Who waits for it is told only by others
    /// of the same request API, so each has a place of its own.
    beyond: Arc<AtomicBool>,
}

/// What all request APIs share.
#[derive(Default)]
struct Shared {
    limits: Limits,
    used: Mutex<Used>,
}

#[derive(Clone, Copy, Default)]
struct Used {
    all: usize,
    large: usize,
}

/// A part of the budget, until it is dropped.
pub enum Share {
    /// So many bytes of a request.
    Bytes(Bytes),
    /// The place for a request that finds no room.
    Beyond(Beyond),
}

/// Bytes of what is shared.
pub struct Bytes {
    shared: Arc<Shared>,
    bytes: usize,
}

/// The place for a request that finds no room.
pub struct Beyond(Arc<AtomicBool>);

impl Budget {
    /// A budget with limits of a test.
    #[cfg(test)]
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { shared: Arc::new(Shared { limits, used: Mutex::default() }), beyond: Arc::default() }
    }

    /// The budget of another request API: what both use counts together.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), beyond: Arc::default() }
    }

    /// Whether a request of so many bytes is a large one.
    #[must_use]
    pub fn is_large(&self, bytes: usize) -> bool {
        self.shared.limits.is_large(bytes)
    }

    /// Whether a request of so many bytes that waits should not be held any longer, because there is little
    /// room left for others: half of all, or of what large ones may take, is in use.
    #[must_use]
    pub fn is_scarce(&self, bytes: usize) -> bool {
        let (limits, Used { all, large }) = (self.shared.limits, *self.shared.used());
        all > limits.all / 2 || limits.is_large(bytes) && large > limits.large / 2
    }

    /// So many bytes, if they fit.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> Option<Share> {
        let limits = self.shared.limits;
        let mut used = self.shared.used();
        let all = used.all.checked_add(bytes).filter(|all| *all <= limits.all)?;
        if limits.is_large(bytes) {
            used.large = used.large.checked_add(bytes).filter(|large| *large <= limits.large)?;
        }
        used.all = all;
        drop(used);
        Some(Share::Bytes(Bytes { shared: Arc::clone(&self.shared), bytes }))
    }

    /// As [`Self::reserve`], or the one place for what does not fit, if that is free. So every request gets
    /// its turn, however large it is and whatever else is held.
    #[must_use]
    pub fn reserve_turn(&self, bytes: usize) -> Option<Share> {
        self.reserve(bytes).or_else(|| {
            let is_free = !self.beyond.swap(true, Ordering::AcqRel);
            is_free.then(|| Share::Beyond(Beyond(Arc::clone(&self.beyond))))
        })
    }

    /// What is in use of all, of what large ones may take, and of the place beyond that.
    #[cfg(test)]
    #[must_use]
    pub fn used(&self) -> (usize, usize, bool) {
        let Used { all, large } = *self.shared.used();
        (all, large, self.beyond.load(Ordering::Acquire))
    }
}

impl Shared {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        let mut used = self.shared.used();
        used.all = used.all.saturating_sub(self.bytes);
        if self.shared.limits.is_large(self.bytes) {
            used.large = used.large.saturating_sub(self.bytes);
        }
    }
}

impl Drop for Beyond {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
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
