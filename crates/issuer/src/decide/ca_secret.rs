//! The Secret that publishes the CA certificate in the issuer's namespace.

use crate::issuer::Issuer;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use tcs_api::v1alpha1::PreviousCa;
use tcs_enclave_rpc::{ByteVec, CaInfo};

/// Type kubernetes.io/tls with an empty `tls.key`: the key never leaves the enclave, but mounts expect the field.
/// `ca.crt` holds the anchors of this CA first, then those of the CAs before it.
pub fn build(issuer: &Issuer, ca: &CaInfo, previous: &[PreviousCa]) -> Secret {
    let mut anchors = pem(&ca.anchors);
    anchors.extend(previous.iter().flat_map(|ca| ca.trust_anchor.bytes()));
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), ByteString(pem(&ca.chain))),
        ("tls.key".to_owned(), ByteString(Vec::new())),
        ("ca.crt".to_owned(), ByteString(anchors)),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(issuer.spec().secret_name.clone()),
            namespace: Some(issuer.home().into()),
            labels: Some(issuer.all_labels()),
            // Deletion is the garbage collector's: the service may not delete Secrets here.
            owner_references: Some(vec![issuer.owner()]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Certificates as PEM, one after the other.
pub fn pem(chain: &[ByteVec]) -> Vec<u8> {
    chain.iter().map(|der| tcs_pem::encode("CERTIFICATE", der.as_slice())).collect::<String>().into_bytes()
}
