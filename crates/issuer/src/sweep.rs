//! Removes what deleted issuers left: offers and CA keys in the enclave, `QuoteAttestation`s and sealed keys in our
//! namespace.
//!
//! Issuers carry no finalizer, so they can go while the service is down; what they left is known by their UID.

use crate::context::Context;
use crate::earlier;
use crate::issuer::Issuer;
use crate::issuers::{ReconcileError, delete, trusted_now};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use std::collections::HashSet;
use tcs_api::v1alpha1::QuoteAttestation;
use tcs_api::{SERVICE_NAMESPACE, labels, sealed};

/// One sweep. Only objects that carry our label are looked at: what somebody else put there is not ours to delete.
pub async fn sweep(context: &Context) -> Result<(), ReconcileError> {
    // Leftovers first, issuers second: an issuer made in between is in the second list.
    let api: Api<QuoteAttestation> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let ours = ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_US));
    let attestations = api.list(&ours).await?;
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let kept = secrets.list_metadata(&ours).await?;
    let connected = context.enclave.connected();
    let held = match &connected {
        Some(connected) => connected.holdings().await?,
        None => Vec::new(),
    };
    let alive: HashSet<String> = context.all_issuers().iter().map(Issuer::uid).collect();
    context.forget_issuers_except(&|uid| alive.contains(uid));

    for state in held.iter().filter(|state| !alive.contains(&state.issuer_uid)) {
        if let Some(connected) = &connected {
            connected.destroy(&state.issuer_uid).await?;
            tracing::info!(issuer_uid = state.issuer_uid, "forgot a deleted issuer's offer and key");
        }
    }
    for attestation in &attestations {
        let owner = attestation.labels().get(labels::ISSUER_UID);
        if owner.is_none_or(|uid| !alive.contains(uid)) {
            delete(Some(attestation), &api).await?;
            tracing::info!(
                attestation = attestation.name_any(),
                "deleted a deleted issuer's QuoteAttestation"
            );
        }
    }
    let trusted = trusted_now(context).map(Timestamp::as_second);
    let outdated = earlier::outdated(kept.items.iter().map(|secret| &secret.metadata), trusted);
    for secret in &kept {
        // By the name, not by a label that somebody may have taken off: what goes here is gone for good.
        let name = secret.name_any();
        if sealed::issuer_uid(&name).is_some_and(|uid| !alive.contains(uid)) {
            crate::sealed::delete(&secrets, &name, secret.uid()).await?;
            tracing::info!(secret = name, "deleted a deleted issuer's sealed key");
        } else if outdated.contains(&name) {
            crate::sealed::delete(&secrets, &name, secret.uid()).await?;
            tracing::info!(secret = name, "deleted an earlier CA's sealed key");
        }
    }
    Ok(())
}
