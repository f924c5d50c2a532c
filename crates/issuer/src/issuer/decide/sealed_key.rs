//! Which CA key a sealed blob contains.

use super::ca_record::fingerprint;
use crate::issuer::Issuer;
use std::collections::BTreeMap;
use tcs_enclave_rpc::CaInfo;

/// Which of an issuer's CA keys a sealed blob contains, and the labels of its Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// SHA-256 fingerprint of the CA certificate, lower-case hex.
    pub fingerprint: String,
    /// Generation of the key among the issuer's keys.
    pub generation: u64,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
}

impl SealedKey {
    /// The description of the key that the enclave holds.
    #[must_use]
    pub fn of(ca: &CaInfo, issuer: &Issuer) -> Self {
        Self { fingerprint: fingerprint(ca), generation: ca.generation, labels: issuer.all_labels() }
    }

    /// Whether the stored blob contains the key that the enclave holds.
    #[must_use]
    pub fn is_key_of(&self, ca: &CaInfo) -> bool {
        self.fingerprint == fingerprint(ca) && self.generation == ca.generation
    }

    /// Whether the Secret is as it must be. It may have additional labels, because others may have added
    /// them. So a label that was removed from the spec stays until the next key is sealed.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.fingerprint == wanted.fingerprint
            && self.generation == wanted.generation
            && wanted.labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}
