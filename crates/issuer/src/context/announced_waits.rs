//! Since when requests are open, and what they wait for.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tcs_enclave_rpc::RequestApi;
use tokio::time::Instant;

/// Why each open request waits, by its UID, so that one reason is announced in one Event. There is an entry
/// for each open request that the watches know, and no other.
#[derive(Default)]
pub struct AnnouncedWaits(Mutex<HashMap<String, Entry>>);

struct Entry {
    api: RequestApi,
    announced: Option<&'static str>,
    opened: Instant,
}

impl AnnouncedWaits {
    /// The request is open.
    pub fn open(&self, api: RequestApi, uid: &str) {
        let entry = || Entry { api, announced: None, opened: Instant::now() };
        self.lock().entry(uid.to_owned()).or_insert_with(entry);
    }

    /// When the request was first seen to be open. `None` if it was closed or deleted meanwhile.
    pub fn opened(&self, uid: &str) -> Option<Instant> {
        self.lock().get(uid).map(|entry| entry.opened)
    }

    /// Records why a request waits. Returns whether that is to be announced: the reason is new, and the
    /// request was not closed or deleted meanwhile.
    pub fn start(&self, uid: &str, reason: &'static str) -> bool {
        let mut entries = self.lock();
        entries.get_mut(uid).is_some_and(|entry| entry.announced.replace(reason) != Some(reason))
    }

    /// The reason could not be announced.
    pub fn take_back(&self, uid: &str, reason: &'static str) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.announced.take_if(|announced| *announced == reason);
        }
    }

    /// The request has a result or was deleted.
    pub fn close(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Only these requests of an API are open: others were deleted while nobody watched.
    pub fn retain(&self, api: RequestApi, open: &HashSet<String>) {
        self.lock().retain(|uid, entry| entry.api != api || open.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestApi::{CertManager, KubernetesCsr};

    #[tokio::test(start_paused = true)]
    async fn b01_a_request_is_open_since_it_was_first_seen() {
        let waits = AnnouncedWaits::default();
        waits.open(KubernetesCsr, "a");
        let first = waits.opened("a");
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        waits.open(KubernetesCsr, "a");
        assert_eq!(waits.opened("a"), first, "a change does not make it newer");
        assert_eq!(waits.opened("b"), None);
    }

    #[test]
    fn review_l7_requests_that_vanished_leave_nothing() {
        let waits = AnnouncedWaits::default();
        let known = |waits: &AnnouncedWaits| {
            let mut uids: Vec<_> = waits.lock().keys().cloned().collect();
            uids.sort();
            uids
        };
        for uid in ["a", "b", "c"] {
            waits.open(KubernetesCsr, uid);
        }
        waits.open(CertManager, "d");
        assert!(
            waits.start("a", "NotReady") && !waits.start("a", "NotReady") && waits.start("a", "NotThere")
        );
        waits.open(KubernetesCsr, "a");
        assert!(!waits.start("a", "NotThere"), "a change of the request does not announce it again");
        waits.take_back("a", "NotReady");
        assert!(!waits.start("a", "NotThere"), "another reason was announced meanwhile");
        waits.take_back("a", "NotThere");
        assert!(waits.start("a", "NotThere"), "nobody was told");
        waits.close("a");
        waits.take_back("a", "NotThere");
        assert!(!waits.start("a", "NotReady"), "a reconcile that was late is not announced");
        assert_eq!(known(&waits), ["b", "c", "d"]);
        assert!(waits.opened("b").is_some() && waits.opened("a").is_none());
        // b was deleted while nobody watched.
        waits.retain(KubernetesCsr, &HashSet::from(["c".to_owned()]));
        assert_eq!(known(&waits), ["c", "d"]);
    }
}
