//! Sealed CA keys: Secrets in the service's namespace, one for each issuer, named by its UID.
//!
//! Only the enclave that made a blob can open it, and it is bound to the issuer's UID: whoever can write here can make an
//! issuer lose its key (`KeyLost`), and nothing else.

use crate::issuer::Issuer;
use crate::issuers::FIELD_MANAGER;
use crate::runtime::guarded::Guarded;
use crate::time;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use tcs_api::{SERVICE_NAMESPACE, sealed};
use tcs_enclave_rpc::CaInfo;

/// Which of an issuer's keys a blob holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// Fingerprint of the CA certificate, lower-case hex.
    pub fingerprint: String,
    /// Number of the key among the issuer's.
    pub generation: u64,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
}

impl SealedKey {
    /// What is to be kept of the key that the enclave holds.
    #[must_use]
    pub fn of(ca: &CaInfo, issuer: &Issuer) -> Self {
        let fingerprint = hex::encode(ca.fingerprint.as_slice());
        Self { fingerprint, generation: ca.generation, labels: issuer.all_labels() }
    }

    /// Whether what is kept is the key that the enclave holds.
    #[must_use]
    pub fn is_key_of(&self, ca: &CaInfo) -> bool {
        self.fingerprint == hex::encode(ca.fingerprint.as_slice()) && self.generation == ca.generation
    }

    /// Whether what is kept is what is to be kept. Others may have put labels of their own there, so one that the spec no longer has
    /// goes with the next key only.
    #[must_use]
    pub fn is(&self, wanted: &Self) -> bool {
        self.fingerprint == wanted.fingerprint
            && self.generation == wanted.generation
            && wanted.labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// What is kept of an issuer's CA key.
#[derive(Clone)]
pub struct Kept {
    /// Which key it is.
    pub key: SealedKey,
    /// The end of its CA, as the Secret says; earlier versions did not write it.
    pub not_after: Option<String>,
    /// What only the enclave can open.
    pub blob: Vec<u8>,
}

/// What is kept for an issuer; a Secret of that name that is none of ours is nothing.
pub async fn find(api: &Api<Guarded<Secret>>, uid: &str) -> Result<Option<Kept>, kube::Error> {
    Ok(api.get_opt(&sealed::name(uid)).await?.map(Guarded::read).transpose()?.and_then(read))
}

/// The blob counts, not what stands beside it: without its annotations it is no known CA's, and opens all the same.
fn read(secret: Secret) -> Option<Kept> {
    if secret.type_.as_deref() != Some(sealed::TYPE) {
        return None;
    }
    let annotation = |key: &str| secret.annotations().get(key).cloned();
    let is_fingerprint = |text: &String| text.len() == 64 && hex::decode(text).is_ok();
    let unknown = || format!("unknown-{}", secret.resource_version().unwrap_or_default());
    let fingerprint = annotation(sealed::FINGERPRINT).filter(is_fingerprint).unwrap_or_else(unknown);
    let generation = annotation(sealed::GENERATION).and_then(|number| number.parse().ok()).unwrap_or(0);
    let not_after = annotation(sealed::NOT_AFTER);
    let blob = secret.data?.remove(sealed::FIELD)?.0;
    let labels = secret.metadata.labels.unwrap_or_default();
    Some(Kept { key: SealedKey { fingerprint, generation, labels }, not_after, blob })
}

/// Keeps a blob, in place of the one before.
pub async fn keep(
    api: &Api<Guarded<Secret>>,
    issuer: &Issuer,
    ca: &CaInfo,
    blob: Vec<u8>,
) -> Result<(), kube::Error> {
    let (key, not_after) = (SealedKey::of(ca, issuer), Some(time::rfc3339(ca.not_after)));
    apply(api, sealed::name(&issuer.uid()), Kept { key, not_after, blob }).await
}

/// Writes the Secret of this name.
pub async fn apply(api: &Api<Guarded<Secret>>, name: String, kept: Kept) -> Result<(), kube::Error> {
    let Kept { key, not_after, blob } = kept;
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
            ..ObjectMeta::default()
        },
        type_: Some(sealed::TYPE.into()),
        data: Some(BTreeMap::from([(sealed::FIELD.into(), ByteString(blob))])),
        ..Secret::default()
    };
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&name, &parameters, &Patch::Apply(&secret)).await.map(drop)
}

/// Deletes exactly the object that was looked at.
pub async fn delete<K>(api: &Api<K>, name: &str, uid: Option<String>) -> Result<(), kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let preconditions = Preconditions { uid, resource_version: None };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(name, &parameters).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
        other => other.map(drop),
    }
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
    fn review_m4_a_blob_whose_annotations_cannot_be_read_is_there_all_the_same() {
        let fingerprint = "ab".repeat(32);
        let whole =
            [(sealed::FINGERPRINT, &*fingerprint), (sealed::GENERATION, "5"), (sealed::NOT_AFTER, "soon")];
        let kept = read(secret(&whole)).unwrap();
        assert_eq!((&kept.key.fingerprint, kept.key.generation), (&fingerprint, 5));
        assert_eq!((kept.not_after.as_deref(), kept.blob), (Some("soon"), vec![1]));
        for broken in [&[][..], &[(sealed::FINGERPRINT, "../x"), (sealed::GENERATION, "-1")]] {
            let kept = read(secret(broken)).unwrap();
            assert_eq!((kept.key.fingerprint.as_str(), kept.key.generation), ("unknown-7", 0));
        }
        assert!(read(Secret { type_: Some("Opaque".into()), ..secret(&whole) }).is_none());
    }
}
