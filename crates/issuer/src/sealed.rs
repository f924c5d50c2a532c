//! Sealed CA keys: Secrets in the service's namespace, one for each issuer, named by its UID.
//!
//! Only the enclave that made a blob can open it, and it is bound to the issuer's UID: whoever can write here can make an
//! issuer lose its key (`KeyLost`), and nothing else.

use crate::issuer::Issuer;
use crate::issuers::FIELD_MANAGER;
use crate::runtime::guarded::Guarded;
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
    pub fn of(ca: &CaInfo, issuer: &Issuer) -> Self {
        let fingerprint = hex::encode(ca.fingerprint.as_slice());
        Self { fingerprint, generation: ca.generation, labels: issuer.all_labels() }
    }

    /// Whether what is kept is the key that the enclave holds.
    pub fn is_key_of(&self, ca: &CaInfo) -> bool {
        self.fingerprint == hex::encode(ca.fingerprint.as_slice()) && self.generation == ca.generation
    }

    /// Whether what is kept is what is to be kept. Others may have put labels of their own there, so one that the spec no longer has
    /// goes with the next key only.
    pub fn is(&self, wanted: &Self) -> bool {
        self.fingerprint == wanted.fingerprint
            && self.generation == wanted.generation
            && wanted.labels.iter().all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// What is kept of an issuer's CA key.
pub struct Kept {
    /// Which key it is.
    pub key: SealedKey,
    /// What only the enclave can open.
    pub blob: Vec<u8>,
}

/// What is kept for an issuer; a Secret of that name that is none of ours is nothing.
pub async fn find(api: &Api<Guarded<Secret>>, uid: &str) -> Result<Option<Kept>, kube::Error> {
    let found = api.get_opt(&sealed::name(uid)).await?.map(Guarded::read).transpose()?;
    Ok(found.and_then(|secret| {
        let fingerprint = secret.annotations().get(sealed::FINGERPRINT)?.clone();
        let generation = secret.annotations().get(sealed::GENERATION)?.parse().ok()?;
        let blob = secret.data?.remove(sealed::FIELD)?.0;
        let labels = secret.metadata.labels.unwrap_or_default();
        let key = SealedKey { fingerprint, generation, labels };
        (secret.type_.as_deref() == Some(sealed::TYPE)).then_some(Kept { key, blob })
    }))
}

/// Keeps a blob, in place of the one before.
pub async fn keep(
    api: &Api<Guarded<Secret>>,
    issuer: &Issuer,
    key: SealedKey,
    blob: Vec<u8>,
) -> Result<(), kube::Error> {
    let name = sealed::name(&issuer.uid());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(SERVICE_NAMESPACE.into()),
            labels: Some(key.labels),
            annotations: Some(BTreeMap::from([
                (sealed::FINGERPRINT.into(), key.fingerprint),
                (sealed::GENERATION.into(), key.generation.to_string()),
            ])),
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
