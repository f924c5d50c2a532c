//! Deletes what belongs to deleted issuers: offers and CA keys in the enclave, `QuoteAttestation`s and sealed
//! keys in the service's namespace.
//!
//! Issuers have no finalizer, so they can be deleted while the service is down. What belongs to them is known
//! by their UID.

use super::{deletion, previous_keys};
use crate::context::Context;
use crate::enclave_client::Connected;
use crate::error::ReconcileError;
use crate::runtime::guarded::Guarded;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Resource, ResourceExt as _};
use std::collections::HashSet;
use std::fmt::Debug;
use tcs_api::v1alpha1::QuoteAttestation;
use tcs_api::{SERVICE_NAMESPACE, labels, sealed};

/// Objects in one page of a list. Only the service, the key owner and administrators make such objects.
const PAGE_SIZE: u32 = 50;

/// Collects once. Only objects with the service's label are considered: other objects are not the service's
/// to delete.
///
/// An issuer that cannot be decoded exists, so what belongs to it stays. A failure for one object does not
/// stop the collection of others.
pub async fn collect(context: &Context) -> Result<(), ReconcileError> {
    if context.admission.refusal().is_some() {
        return Ok(()); // when the policies are in force again, the next collection is enqueued
    }
    // The issuers are listed last, so that an issuer that is created meanwhile is among them.
    let attestations: Api<Metadata<QuoteAttestation>> =
        Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let listed_attestations = list_ours(&attestations).await?;
    let secrets: Api<Metadata<Secret>> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let listed_secrets = list_ours(&secrets).await?;
    let connected = context.enclave.connected();
    let held = match &connected {
        Some(connected) => connected.holdings().await?,
        None => Vec::new(),
    };
    let existing = match context.caches.existing_issuers() {
        Ok(existing) => existing,
        Err(why) => {
            tracing::warn!(
                "nothing that belongs to deleted issuers is deleted until this is corrected: {why}"
            );
            return Ok(());
        }
    };
    context.statuses.retain(|uid| existing.contains(uid));

    let mut outcome = Ok(());
    if let Some(connected) = &connected {
        let held = held.iter().map(|state| state.issuer_uid.as_str());
        outcome = destroy(connected, held.filter(|uid| !existing.contains(*uid))).await;
    }
    for attestation in listed_attestations.iter().filter(|attestation| is_orphan(attestation, &existing)) {
        outcome = outcome.and(delete(attestation, &attestations, "deleted issuer's QuoteAttestation").await);
    }
    outcome.and(collect_secrets(&listed_secrets, &existing, &secrets, context).await)
}

/// The metadata of the service's objects of one kind. They are listed in pages, because a page is in memory
/// with everything that others added.
async fn list_ours<K>(api: &Api<Metadata<K>>) -> Result<Vec<Metadata<K>>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let ours = format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_US);
    let mut parameters = ListParams::default().labels(&ours).limit(PAGE_SIZE);
    let mut all = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        all.extend(page.items);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => parameters = parameters.continue_token(&token),
            _ => return Ok(all),
        }
    }
}

/// Destroys what the enclave holds for deleted issuers.
async fn destroy<'a>(
    connected: &Connected,
    uids: impl Iterator<Item = &'a str>,
) -> Result<(), ReconcileError> {
    let mut outcome = Ok(());
    for issuer_uid in uids {
        let destroyed = connected.destroy(issuer_uid).await;
        if destroyed.is_ok() {
            tracing::info!(issuer_uid, "destroyed the offer and the CA key of a deleted issuer");
        }
        outcome = outcome.and(destroyed.map_err(ReconcileError::from));
    }
    outcome
}

/// Deletes sealed keys of deleted issuers and of CAs that were replaced long ago.
async fn collect_secrets(
    listed: &[Metadata<Secret>],
    existing: &HashSet<String>,
    secrets: &Api<Metadata<Secret>>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let trusted = context.clock.trusted_now().map(Timestamp::as_second);
    let outdated = previous_keys::outdated(listed.iter().map(Resource::meta), trusted);
    let mut outcome = Ok(());
    for secret in listed {
        // The name decides, not a label that somebody may have removed: a sealed key that is deleted here
        // cannot be recovered.
        let name = secret.name_any();
        if sealed::issuer_uid(&name).is_some_and(|uid| !existing.contains(uid)) {
            outcome = outcome.and(delete(secret, secrets, "deleted issuer's sealed key").await);
        } else if outdated.contains(&name) {
            outcome = outcome.and(delete(secret, secrets, "replaced CA's sealed key").await);
        }
    }
    outcome
}

/// Only the metadata of objects is read.
type Metadata<K> = Guarded<PartialObjectMeta<K>>;

/// Whether a `QuoteAttestation` of the service belongs to none of these issuers. If its label cannot be read,
/// the answer is no.
fn is_orphan(attestation: &Metadata<QuoteAttestation>, existing: &HashSet<String>) -> bool {
    match attestation.labels().get(labels::ISSUER_UID) {
        Some(uid) => !existing.contains(uid),
        None => attestation.is_readable(),
    }
}

/// Deletes this object. An object whose UID cannot be read is not deleted, because another one may have its
/// name by now.
async fn delete<K>(found: &Metadata<K>, api: &Api<Metadata<K>>, what: &str) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let name = found.name_any();
    if found.uid().is_some() {
        deletion::delete(api, &name, found.uid()).await?;
        tracing::info!(name, "deleted: {what}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn review_h1_a_quote_attestation_whose_labels_cannot_be_read_is_not_deleted() {
        let existing = HashSet::from(["existing".to_owned()]);
        let is_orphan = |labels: Value, more: Value| {
            let object = json!({"metadata": {"name": "a", "labels": labels, "generation": more}});
            is_orphan(&serde_json::from_value(object).unwrap(), &existing)
        };
        let label = |uid: &str| json!({labels::ISSUER_UID: uid});
        for generation in [json!(1), json!("unreadable")] {
            assert!(!is_orphan(label("existing"), generation.clone()));
            assert!(is_orphan(label("deleted"), generation));
        }
        assert!(is_orphan(json!({}), json!(1)));
        assert!(!is_orphan(json!({}), json!("unreadable")));
        assert!(!is_orphan(json!({labels::ISSUER_UID: 5}), json!(1)));
    }
}
