//! The statuses that the controller wrote last.

use crate::issuer::Issuer;
use std::collections::HashMap;
use std::sync::Mutex;
use tcs_api::v1alpha1::IssuerStatus;

/// Statuses that were written, by issuer UID, until the watch has caught up: a refused delivery must not be
/// tried again because the watch is a moment behind.
#[derive(Default)]
pub struct StatusCache(Mutex<HashMap<String, (u64, IssuerStatus)>>);

impl StatusCache {
    /// The newest known status of an issuer: the one of `issuer`, or the one written last if `issuer` is
    /// older.
    pub fn newest(&self, issuer: &Issuer) -> IssuerStatus {
        let watched = issuer.status().cloned().unwrap_or_default();
        let Ok(mut written) = self.0.lock() else { return watched };
        let uid = issuer.uid();
        match written.get(&uid) {
            Some((version, status)) if issuer.version() < *version => status.clone(),
            Some(_) => {
                written.remove(&uid);
                watched
            }
            None => watched,
        }
    }

    /// The version of the object whose status is [`Self::newest`].
    pub fn newest_version(&self, issuer: &Issuer) -> u64 {
        let Ok(written) = self.0.lock() else { return issuer.version() };
        written.get(&issuer.uid()).map_or(0, |(version, _)| *version).max(issuer.version())
    }

    /// Remembers the object that the API server returned for a status write.
    pub fn record(&self, returned: &Issuer) {
        if let Ok(mut written) = self.0.lock() {
            let status = returned.status().cloned().unwrap_or_default();
            written.insert(returned.uid(), (returned.version(), status));
        }
    }

    /// The issuer was deleted.
    pub fn forget(&self, uid: &str) {
        if let Ok(mut written) = self.0.lock() {
            written.remove(uid);
        }
    }

    /// Drops the statuses of issuers that do not exist.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        if let Ok(mut written) = self.0.lock() {
            written.retain(|uid, _| exists(uid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tcs_api::v1alpha1::{IssuerSpec, TCSIssuer};

    fn issuer(uid: &str, version: &str, evidence: &str) -> Issuer {
        let spec = IssuerSpec {
            secret_name: "s".into(),
            self_sign: true,
            ca: None,
            policy: None,
            delivery: None,
            labels: BTreeMap::new(),
        };
        let mut issuer = TCSIssuer::new("a", spec);
        issuer.metadata.uid = Some(uid.into());
        issuer.metadata.resource_version = Some(version.into());
        issuer.status = Some(IssuerStatus { evidence: Some(evidence.into()), ..IssuerStatus::default() });
        Issuer::from(Arc::new(issuer))
    }

    #[test]
    fn review_l7_statuses_of_issuers_that_vanished_are_forgotten() {
        let cache = StatusCache::default();
        let newest = |uid| cache.newest(&issuer(uid, "1", "watched")).evidence;
        for uid in ["a", "b", "c"] {
            cache.record(&issuer(uid, "2", "written"));
            assert_eq!(newest(uid).as_deref(), Some("written"));
        }
        cache.forget("a");
        cache.retain(|uid| uid != "b");
        assert_eq!(["a", "b", "c"].map(|uid| newest(uid).unwrap()), ["watched", "watched", "written"]);
        // The watch has caught up.
        assert_eq!(cache.newest(&issuer("c", "2", "watched")).evidence.as_deref(), Some("watched"));
        assert!(cache.0.lock().unwrap().is_empty());
    }
}
