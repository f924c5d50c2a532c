//! Writes what a plan contains.

use super::decide::{About, AttestationStep, Plan, merge_conditions};
use super::deletion;
use crate::context::Context;
use crate::context::events::EventText;
use crate::error::ReconcileError;
use crate::issuer::Issuer;
use crate::runtime::api_text::{is_missing_right, is_refused_for_good};
use crate::runtime::guarded::Guarded;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use tcs_api::SERVICE_ACCOUNT;
use tcs_api::v1alpha1::{IssuerStatus, QuoteAttestation, TCSClusterIssuer, TCSIssuer};

type Attestations = Api<Guarded<QuoteAttestation>>;

/// Writes everything but the Secrets. `before` is the status, and `attestation` the object, on which the plan
/// is based.
pub async fn write(
    plan: &Plan,
    issuer: &Issuer,
    before: &IssuerStatus,
    attestation: Option<&QuoteAttestation>,
    attestations: &Attestations,
    context: &Context,
) -> Result<(), ReconcileError> {
    // The status of a ready issuer is written before its QuoteAttestation is deleted, so that an observer
    // always finds one of the two.
    let deleting = matches!(plan.attestation, AttestationStep::Delete);
    if deleting {
        write_status(plan, issuer, before, attestation, context).await?;
    }
    let current = step_attestation(plan, attestation, attestations).await?;
    if !deleting {
        write_status(plan, issuer, before, attestation, context).await?;
    }
    // This write may conflict with the key owner's, so it comes last: by then the status records a refused
    // delivery. It is a PUT of the object that was read. After a conflict the issuer is reconciled again.
    if let Some(mut current) = current
        && !plan.attestation_conditions.is_empty()
        && merge_conditions(current.status.get_or_insert_default(), &plan.attestation_conditions)
    {
        let name = current.name_any();
        attestations.replace_status(&name, &PostParams::default(), &Guarded::from(current)).await?;
    }
    Ok(())
}

/// Creates or replaces the CA certificate Secret. Returns why the API server refused it, if it did. A patch
/// is not used, because an account that may patch a Secret may read it.
pub async fn write_ca_secret(secret: &Secret, context: &Context) -> Result<Option<String>, kube::Error> {
    let namespace = secret.namespace().unwrap_or_default();
    let secrets: Api<Guarded<Secret>> = Api::namespaced(context.client.clone(), &namespace);
    let (name, secret) = (secret.name_any(), Guarded::from(secret.clone()));
    let replaced = match secrets.replace(&name, &post_params(), &secret).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => {
            secrets.create(&post_params(), &secret).await
        }
        answer => answer,
    };
    refused_for_good(replaced)
}

/// Why the API server refused a write, if the refusal stands until somebody changes something.
pub fn refused_for_good<T>(answer: Result<T, kube::Error>) -> Result<Option<String>, kube::Error> {
    let Err(error) = answer else { return Ok(None) };
    match &error {
        kube::Error::Api(answer)
            if is_refused_for_good(&error)
                || is_missing_right(&error)
                || matches!(answer.code, 404 | 409) =>
        {
            Ok(Some(answer.message.clone()))
        }
        _ => Err(error),
    }
}

/// Writes the status of an issuer by server-side apply. Returns whether it was written: not if the issuer was
/// changed, deleted or replaced since it was read. Then it is reconciled again, because the watch reports it.
pub async fn put_status(
    status: &IssuerStatus,
    issuer: &Issuer,
    context: &Context,
) -> Result<bool, kube::Error> {
    let reference = issuer.reference();
    let version = context.statuses.newest_version(issuer);
    let body = json!({
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        // With the UID the write fails for an issuer that was created under the same name since, and with the
        // version for one that was changed: an earlier leader's write that arrives late must not replace the
        // status that its successor wrote (docs/ha.md).
        "metadata": { "uid": issuer.uid(), "resourceVersion": version.to_string() },
        "status": status,
    });
    let parameters = PatchParams::apply(SERVICE_ACCOUNT).force();
    let (name, patch) = (issuer.name(), Patch::Apply(&body));
    let answer = match issuer {
        Issuer::Namespaced(_) => {
            let namespace = issuer.publication_namespace();
            let api: Api<Guarded<TCSIssuer>> = Api::namespaced(context.client.clone(), namespace);
            let answer = api.patch_status(&name, &parameters, &patch).await;
            answer.map(|answer| answer.read().map(|answer| Issuer::from(Arc::new(answer))))
        }
        Issuer::Cluster(_) => {
            let api: Api<Guarded<TCSClusterIssuer>> = Api::all(context.client.clone());
            let answer = api.patch_status(&name, &parameters, &patch).await;
            answer.map(|answer| answer.read().map(|answer| Issuer::from(Arc::new(answer))))
        }
    };
    match answer {
        Ok(Ok(answer)) => {
            context.statuses.record(&answer);
            Ok(true)
        }
        // The status was written. The watch reports that the object cannot be decoded.
        Ok(Err(_)) => Ok(true),
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Changes the `QuoteAttestation` as the plan says. Returns the object as it is now, unless it was deleted.
async fn step_attestation(
    plan: &Plan,
    found: Option<&QuoteAttestation>,
    api: &Attestations,
) -> Result<Option<QuoteAttestation>, ReconcileError> {
    match &plan.attestation {
        AttestationStep::Keep => Ok(found.cloned()),
        AttestationStep::Create(wanted) => create(wanted, api).await,
        AttestationStep::Restore(wanted) => {
            let (name, wanted) = (wanted.name_any(), Guarded::from(QuoteAttestation::clone(wanted)));
            Ok(Some(api.replace(&name, &post_params(), &wanted).await?.read()?))
        }
        AttestationStep::Recreate(wanted) => {
            delete(found, api).await?;
            create(wanted, api).await
        }
        AttestationStep::Delete => {
            delete(found, api).await?;
            Ok(None)
        }
    }
}

async fn create(
    wanted: &QuoteAttestation,
    api: &Attestations,
) -> Result<Option<QuoteAttestation>, ReconcileError> {
    Ok(Some(api.create(&post_params(), &Guarded::from(wanted.clone())).await?.read()?))
}

async fn delete(found: Option<&QuoteAttestation>, api: &Attestations) -> Result<(), kube::Error> {
    let Some(found) = found else { return Ok(()) };
    deletion::delete(api, &found.name_any(), found.uid()).await
}

/// Writes the status if it changed. The Events follow at once, because a later reconcile finds nothing new to
/// tell.
async fn write_status(
    plan: &Plan,
    issuer: &Issuer,
    before: &IssuerStatus,
    attestation: Option<&QuoteAttestation>,
    context: &Context,
) -> Result<(), ReconcileError> {
    if plan.status != *before && !put_status(&plan.status, issuer, context).await? {
        // The Events belong to the status.
        return Err(ReconcileError::Outdated);
    }
    for event in &plan.events {
        let text = EventText {
            warning: event.warning,
            reason: &event.reason,
            action: "Reconcile",
            message: &event.message,
        };
        context.events.publish(&issuer.reference(), text);
        if let (About::IssuerAndAttestation, Some(attestation)) = (event.about, attestation) {
            context.events.publish(&attestation.object_ref(&()), text);
        }
    }
    Ok(())
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(SERVICE_ACCOUNT.into()), ..PostParams::default() }
}
