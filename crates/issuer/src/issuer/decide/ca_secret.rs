//! The Secret that publishes the CA certificate.

use crate::issuer::Issuer;
use crate::pem;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use tcs_api::v1alpha1::PreviousCa;
use tcs_enclave_rpc::CaInfo;

/// A Secret of type kubernetes.io/tls. `tls.key` is empty: the key never leaves the enclave, but volume
/// mounts expect the field. `tls.crt` contains the issuing CA and its intermediates. `ca.crt` contains the
/// trust anchors of this CA first, then those of the replaced CAs.
pub fn build(issuer: &Issuer, ca: &CaInfo, previous: &[PreviousCa]) -> Secret {
    let mut anchors = pem::certificates(&ca.anchors);
    anchors.extend(previous.iter().map(|ca| ca.trust_anchor.as_str()));
    let data = BTreeMap::from([
        ("tls.crt".to_owned(), ByteString(pem::certificates(&ca.chain).into_bytes())),
        ("tls.key".to_owned(), ByteString(Vec::new())),
        ("ca.crt".to_owned(), ByteString(anchors.into_bytes())),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(issuer.spec().secret_name.clone()),
            namespace: Some(issuer.publication_namespace().into()),
            labels: Some(issuer.all_labels()),
            // Kubernetes' garbage collector deletes the Secret: the service may not delete Secrets in this
            // namespace.
            owner_references: Some(vec![issuer.owner()]),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data),
        ..Secret::default()
    }
}
