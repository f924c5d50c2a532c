//! Objects that tests apply.

use std::collections::BTreeMap;
use tcs_api::v1alpha1::{CaSpec, IssuerSpec, TCSIssuer};

/// An issuer that waits for a CA key from its owner. Its Secret is `<name>-secret`.
pub fn issuer_object(namespace: &str, name: &str) -> TCSIssuer {
    let spec = IssuerSpec {
        secret_name: format!("{name}-secret"),
        self_sign: false,
        ca: None,
        delivery: None,
        policy: None,
        labels: BTreeMap::new(),
    };
    let mut object = TCSIssuer::new(name, spec);
    object.metadata.namespace = Some(namespace.to_owned());
    object
}

/// A CA that gets a new key at its renewal.
pub fn new_key_at_renewal() -> CaSpec {
    CaSpec { rotation_policy: Some("Always".into()), ..CaSpec::default() }
}
