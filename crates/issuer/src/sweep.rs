//! Removes what deleted issuers left: offers and CA keys in the enclave, `QuoteAttestation`s and sealed keys in our
//! namespace.
//!
//! Issuers carry no finalizer, so they can go while the service is down; what they left is known by their UID.

use crate::context::Context;
use crate::earlier;
use crate::issuers::{ReconcileError, trusted_now};
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

/// One sweep. Only objects that carry our label are looked at: what somebody else put there is not ours to delete.
///
/// An issuer that cannot be read exists, so that what is kept for it stays. A failure for one object does not stop the others.
pub async fn sweep(context: &Context) -> Result<(), ReconcileError> {
    if context.admission.refusal().is_some() {
        return Ok(()); // the end of the refusal asks for the next one
    }
    // Leftovers first, issuers second: an issuer made in between is in the second list.
    let attestations: Api<Metadata<QuoteAttestation>> =
        Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let ours = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_US));
    let made = attestations.list(&ours).await?;
    let secrets: Api<Metadata<Secret>> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let kept = secrets.list(&ours).await?;
    let connected = context.enclave.connected();
    let held = match &connected {
        Some(connected) => connected.holdings().await?,
        None => Vec::new(),
    };
    let alive = match context.existing_issuers() {
        Ok(alive) => alive,
        Err(why) => {
            tracing::warn!("nothing of deleted issuers is removed until this is mended: {why}");
            return Ok(());
        }
    };
    context.forget_issuers_except(&|uid| alive.contains(uid));

    let mut outcome = Ok(());
    for state in held.iter().filter(|state| !alive.contains(&state.issuer_uid)) {
        if let Some(connected) = &connected {
            let destroyed = connected.destroy(&state.issuer_uid).await;
            if destroyed.is_ok() {
                tracing::info!(issuer_uid = state.issuer_uid, "forgot a deleted issuer's offer and key");
            }
            outcome = outcome.and(destroyed.map_err(ReconcileError::from));
        }
    }
    for attestation in made.iter().filter(|attestation| is_left(attestation, &alive)) {
        outcome = outcome.and(delete(attestation, &attestations, "deleted issuer's QuoteAttestation").await);
    }
    let trusted = trusted_now(context).map(Timestamp::as_second);
    let outdated = earlier::outdated(kept.items.iter().map(Resource::meta), trusted);
    for secret in &kept {
        // By the name, not by a label that somebody may have taken off: what goes here is gone for good.
        let name = secret.name_any();
        if sealed::issuer_uid(&name).is_some_and(|uid| !alive.contains(uid)) {
            outcome = outcome.and(delete(secret, &secrets, "deleted issuer's sealed key").await);
        } else if outdated.contains(&name) {
            outcome = outcome.and(delete(secret, &secrets, "earlier CA's sealed key").await);
        }
    }
    outcome
}

/// Metadata alone: that is all that is looked at.
type Metadata<K> = Guarded<PartialObjectMeta<K>>;

/// Whether a `QuoteAttestation` of ours is none of these issuers'. If its label cannot be read, that cannot be known.
fn is_left(attestation: &Metadata<QuoteAttestation>, alive: &HashSet<String>) -> bool {
    match attestation.labels().get(labels::ISSUER_UID) {
        Some(uid) => !alive.contains(uid),
        None => attestation.is_readable(),
    }
}

/// Deletes exactly this object; without its UID it could be another by now, so then it is left alone.
async fn delete<K>(found: &Metadata<K>, api: &Api<Metadata<K>>, what: &str) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let name = found.name_any();
    if found.uid().is_some() {
        crate::sealed::delete(api, &name, found.uid()).await?;
        tracing::info!(name, "deleted: {what}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn review_h1_a_quote_attestation_whose_labels_cannot_be_read_is_nobodys_to_delete() {
        let alive = HashSet::from(["alive".to_owned()]);
        let is_left = |labels: Value, more: Value| {
            let object = json!({"metadata": {"name": "a", "labels": labels, "finalizers": more}});
            is_left(&serde_json::from_value(object).unwrap(), &alive)
        };
        let label = |uid: &str| json!({labels::ISSUER_UID: uid});
        for finalizers in [json!([]), json!("unreadable")] {
            assert!(!is_left(label("alive"), finalizers.clone()));
            assert!(is_left(label("gone"), finalizers));
        }
        assert!(is_left(json!({}), json!([])));
        assert!(!is_left(json!({}), json!("unreadable")));
        assert!(!is_left(json!({labels::ISSUER_UID: 5}), json!([])));
    }
}
