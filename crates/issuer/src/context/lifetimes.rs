//! When the next CA of each issuer is due.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The lifetimes of the CAs that the enclave was found to hold, by issuer UID, in seconds. The status of an
/// issuer contains only the end of its CA, and how early the next one is due depends on the lifetime.
#[derive(Default)]
pub struct Lifetimes(Mutex<HashMap<String, i64>>);

impl Lifetimes {
    /// The enclave holds a CA with this lifetime.
    pub fn record(&self, uid: String, seconds: i64) {
        self.lock().insert(uid, seconds);
    }

    /// The lifetime of the CA of an issuer, if this controller has seen it.
    pub fn of(&self, uid: &str) -> Option<i64> {
        self.lock().get(uid).copied()
    }

    /// The issuer was deleted.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Drops the lifetimes for issuers that do not exist.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| exists(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn review_l7_lifetimes_for_issuers_that_vanished_are_forgotten() {
        let lifetimes = Lifetimes::default();
        for uid in ["a", "b", "c"] {
            lifetimes.record(uid.into(), 5);
        }
        lifetimes.forget("a");
        lifetimes.retain(|uid| uid != "b");
        assert_eq!(["a", "b", "c"].map(|uid| lifetimes.of(uid)), [None, None, Some(5)]);
    }
}
