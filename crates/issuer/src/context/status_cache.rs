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

    /// Remembers the object that the API server returned for a status write.
    pub fn record(&self, returned: &Issuer) {
        if let Ok(mut written) = self.0.lock() {
            let status = returned.status().cloned().unwrap_or_default();
            written.insert(returned.uid(), (returned.version(), status));
        }
    }

    /// Drops the statuses of issuers that do not exist.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        if let Ok(mut written) = self.0.lock() {
            written.retain(|uid, _| exists(uid));
        }
    }
}
