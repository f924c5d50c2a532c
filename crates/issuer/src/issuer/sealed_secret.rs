//! Sealed CA keys: Secrets in the service's namespace, one for each issuer, named by its UID.
//!
//! Only the enclave that sealed a blob can open it, and a blob is bound to the issuer's UID. So an account
//! that can write these Secrets can make an issuer lose its key (`KeyLost`), and nothing else.

use super::decide::SealedKey;
use crate::issuer::Issuer;
use crate::runtime::guarded::Guarded;
use crate::time;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use std::collections::BTreeMap;
use tcs_api::{SERVICE_ACCOUNT, SERVICE_NAMESPACE, sealed};
use tcs_enclave_rpc::CaInfo;

/// A sealed CA key and what its Secret says about it.
#[derive(Clone)]
pub struct SealedSecret {
    /// Which key it is.
    pub key: SealedKey,
    /// notAfter of its CA certificate, RFC 3339. Earlier versions did not write it.
    pub not_after: Option<String>,
    /// The sealed key, which only the enclave can open.
    pub blob: Vec<u8>,
    /// Resource version of the Secret that was read.
    pub version: Option<String>,
}

/// The sealed CA key of an issuer. A Secret of that name with another type is ignored.
pub async fn find(api: &Api<Guarded<Secret>>, uid: &str) -> Result<Option<SealedSecret>, kube::Error> {
    Ok(api.get_opt(&sealed::name(uid)).await?.map(Guarded::read).transpose()?.and_then(read))
}

/// The annotations are not needed to open the blob. Without them the blob counts as that of an unknown CA.
fn read(secret: Secret) -> Option<SealedSecret> {
    if secret.type_.as_deref() != Some(sealed::TYPE) {
        return None;
    }
    let annotation = |key: &str| secret.annotations().get(key).cloned();
    let is_fingerprint = |text: &String| text.len() == 64 && hex::decode(text).is_ok();
    let unknown = || format!("unknown-{}", secret.resource_version().unwrap_or_default());
    let fingerprint = annotation(sealed::FINGERPRINT).filter(is_fingerprint).unwrap_or_else(unknown);
    let generation = annotation(sealed::GENERATION).and_then(|number| number.parse().ok()).unwrap_or(0);
    let not_after = annotation(sealed::NOT_AFTER);
    let version = secret.resource_version();
    let blob = secret.data?.remove(sealed::FIELD)?.0;
    let labels = secret.metadata.labels.unwrap_or_default();
    Some(SealedSecret { key: SealedKey { fingerprint, generation, labels }, not_after, blob, version })
}

/// Stores a blob, which replaces the one of a version, if there was one. If the Secret was changed since, the
/// API server answers with a conflict: an earlier leader's write that arrives late must not replace the key
/// that its successor stored (docs/ha.md).
pub async fn store(
    api: &Api<Guarded<Secret>>,
    issuer: &Issuer,
    ca: &CaInfo,
    blob: Vec<u8>,
    version: Option<String>,
) -> Result<(), kube::Error> {
    let (key, not_after) = (SealedKey::of(ca, issuer), Some(time::rfc3339(ca.not_after)));
    write(api, sealed::name(&issuer.uid()), SealedSecret { key, not_after, blob, version }).await
}

/// Writes the Secret of this name in place of its `version`, if there is one.
pub async fn write(
    api: &Api<Guarded<Secret>>,
    name: String,
    sealed_secret: SealedSecret,
) -> Result<(), kube::Error> {
    let SealedSecret { key, not_after, blob, version } = sealed_secret;
    let mut annotations = BTreeMap::from([
        (sealed::FINGERPRINT.into(), key.fingerprint),
        (sealed::GENERATION.into(), key.generation.to_string()),
    ]);
    annotations.extend(not_after.map(|end| (sealed::NOT_AFTER.into(), end)));
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(SERVICE_NAMESPACE.into()),
            labels: Some(key.labels),
            annotations: Some(annotations),
            resource_version: version,
            ..ObjectMeta::default()
        },
        type_: Some(sealed::TYPE.into()),
        data: Some(BTreeMap::from([(sealed::FIELD.into(), ByteString(blob))])),
        ..Secret::default()
    };
    let parameters = PatchParams::apply(SERVICE_ACCOUNT).force();
    api.patch(&name, &parameters, &Patch::Apply(&secret)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(annotations: &[(&str, &str)]) -> Secret {
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Secret {
            metadata: ObjectMeta {
                annotations: Some(annotations.collect()),
                resource_version: Some("7".into()),
                ..ObjectMeta::default()
            },
            type_: Some(sealed::TYPE.into()),
            data: Some([(sealed::FIELD.to_owned(), ByteString(vec![1]))].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn review_m4_a_blob_whose_annotations_cannot_be_read_is_still_found() {
        let fingerprint = "ab".repeat(32);
        let whole =
            [(sealed::FINGERPRINT, &*fingerprint), (sealed::GENERATION, "5"), (sealed::NOT_AFTER, "soon")];
        let stored = read(secret(&whole)).unwrap();
        assert_eq!((&stored.key.fingerprint, stored.key.generation), (&fingerprint, 5));
        assert_eq!((stored.not_after.as_deref(), stored.blob), (Some("soon"), vec![1]));
        for broken in [&[][..], &[(sealed::FINGERPRINT, "../x"), (sealed::GENERATION, "-1")]] {
            let stored = read(secret(broken)).unwrap();
            assert_eq!((stored.key.fingerprint.as_str(), stored.key.generation), ("unknown-7", 0));
        }
        assert!(read(Secret { type_: Some("Opaque".into()), ..secret(&whole) }).is_none());
    }
}
