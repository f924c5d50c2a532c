//! Finds issuers by what other objects know of them.

use crate::issuer::Issuer;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tcs_api::signer::SignerName;

/// Issuers by their UIDs, and those that may be waiting for a CA key.
#[derive(Default)]
pub struct IssuerIndex(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    uids: HashMap<SignerName, String>,
    signers: HashMap<String, SignerName>,
    awaiting: BTreeSet<SignerName>,
}

impl IssuerIndex {
    /// Adds an issuer, or updates what is known of it.
    pub fn set(&self, issuer: &Issuer) {
        self.lock().set(issuer);
    }

    /// Removes an issuer.
    pub fn remove(&self, signer: &SignerName) {
        self.lock().remove(signer);
    }

    /// Replaces all issuers of one kind by those that were listed.
    pub fn replace(&self, listed: &[Issuer], is_of_kind: impl Fn(&SignerName) -> bool) {
        let mut entries = self.lock();
        let before: Vec<_> = entries.uids.keys().filter(|signer| is_of_kind(signer)).cloned().collect();
        for signer in &before {
            entries.remove(signer);
        }
        for issuer in listed {
            entries.set(issuer);
        }
    }

    /// The issuers that may be waiting for a CA key.
    pub fn awaiting(&self) -> Vec<SignerName> {
        self.lock().awaiting.iter().cloned().collect()
    }

    /// The issuer with a UID.
    pub fn with_uid(&self, uid: &str) -> Option<SignerName> {
        self.lock().signers.get(uid).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn set(&mut self, issuer: &Issuer) {
        let (signer, uid) = (issuer.signer(), issuer.uid());
        self.remove(&signer);
        if issuer.awaits_key() {
            self.awaiting.insert(signer.clone());
        }
        self.signers.insert(uid.clone(), signer.clone());
        self.uids.insert(signer, uid);
    }

    fn remove(&mut self, signer: &SignerName) {
        self.awaiting.remove(signer);
        if let Some(uid) = self.uids.remove(signer) {
            self.signers.remove(&uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tcs_api::v1alpha1::{IssuerSpec, OfferStatus, TCSIssuer};

    fn issuer(name: &str, uid: &str, conditions: &serde_json::Value, offer: bool) -> Issuer {
        let spec = IssuerSpec {
            secret_name: "s".into(),
            self_sign: false,
            ca: None,
            policy: None,
            delivery: None,
            labels: BTreeMap::new(),
        };
        let mut issuer = TCSIssuer::new(name, spec);
        issuer.metadata.namespace = Some("ns".into());
        issuer.metadata.uid = Some(uid.into());
        issuer.status = serde_json::from_value(serde_json::json!({"conditions": conditions})).unwrap();
        if offer {
            issuer.status.get_or_insert_default().offer = Some(OfferStatus::default());
        }
        Issuer::from(Arc::new(issuer))
    }

    #[test]
    fn review_m2_issuers_are_found_by_uid_and_by_what_they_wait_for() {
        let ready = serde_json::json!([{
            "type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]);
        let none = serde_json::json!([]);
        let named = |name: &str| SignerName::Namespaced { namespace: "ns".into(), name: name.into() };
        let index = IssuerIndex::default();
        index.set(&issuer("a", "1", &none, false));
        index.set(&issuer("b", "2", &ready, false));
        index.set(&issuer("c", "3", &ready, true));
        assert_eq!(index.awaiting(), [named("a"), named("c")], "b signs and has no open offer");
        assert_eq!(index.with_uid("2"), Some(named("b")));
        // a became ready, and c was created anew.
        index.set(&issuer("a", "1", &ready, false));
        index.set(&issuer("c", "4", &none, false));
        assert_eq!(index.awaiting(), [named("c")]);
        assert_eq!((index.with_uid("3"), index.with_uid("4")), (None, Some(named("c"))));
        // Others were deleted while nobody watched. Those of the other kind stay.
        index.replace(&[], |signer| matches!(signer, SignerName::Cluster { .. }));
        assert_eq!(index.with_uid("1"), Some(named("a")));
        index.replace(&[issuer("b", "2", &ready, false)], |_| true);
        assert_eq!((index.awaiting(), index.with_uid("1"), index.with_uid("4")), (vec![], None, None));
        index.remove(&named("b"));
        assert_eq!(index.with_uid("2"), None);
    }
}
