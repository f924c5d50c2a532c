//! Reconciles issuers: observes, lets [`crate::decide`] decide, carries the plan out.

use crate::context::Context;
use crate::dealings::{Dealings, EnclaveStep};
use crate::decide::{
    About, AttestationStep, EnclaveSeen, Observed, Plan, SecretRefused, SecretSeen, decide, known,
    merge_conditions, named_secret, secret_refused, unsupported,
};
use crate::enclave::EnclaveError;
use crate::issuer::Issuer;
use crate::runtime::guarded::{Guarded, Unreadable};
use crate::{earlier, sealed};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{IssuerStatus, QuoteAttestation, TCSClusterIssuer, TCSIssuer};
use tcs_api::{SERVICE_NAMESPACE, reasons};

/// The name under which we apply.
pub const FIELD_MANAGER: &str = "tcs-issuer";

/// Why a reconcile ended early; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server said no, or could not be reached.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    /// The enclave failed under a call.
    #[error("the enclave: {0}")]
    Enclave(#[from] EnclaveError),
    /// An object that the pass needs cannot be decoded.
    #[error(transparent)]
    Unreadable(#[from] Box<Unreadable>),
}

type Attestations = Api<Guarded<QuoteAttestation>>;

/// How soon a failed sweep is made again.
pub const RETRY: Duration = Duration::from_secs(1);

/// One pass over one issuer.
pub async fn reconcile(issuer: Issuer, context: Arc<Context>) -> Result<Action, ReconcileError> {
    if issuer.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let settled = settle(&issuer, &context).await;
    // Deleted while we worked: what this pass made has to go, too.
    let now = SignerName::parse(&issuer.signer_name()).and_then(|signer| context.issuer(&signer));
    if now.is_none_or(|now| now.uid() != issuer.uid()) {
        let _ = context.sweep_queue.send(());
    }
    if let Err(ReconcileError::Unreadable(unreadable)) = &settled {
        let message = format!("{unreadable}; this is tried again until the object is mended or deleted");
        context.note(&issuer.reference(), true, reasons::OBJECT_UNREADABLE, "Reconcile", &message).await;
    }
    Ok(settled?.requeue.map_or_else(Action::await_change, Action::requeue))
}

async fn settle(issuer: &Issuer, context: &Context) -> Result<Plan, ReconcileError> {
    let uid = issuer.uid();
    let attestations: Attestations = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let secrets: Api<Guarded<Secret>> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let name = issuer.attestation_name();
    let status = context.newest_status(issuer);

    let withheld = context.admission.settled().await;
    let served = withheld.is_none() && unsupported(issuer).is_none();
    let connected = if served { context.enclave.settled().await } else { None };
    let kept = sealed::find(&secrets, &uid).await?;
    let mut dealings = Dealings::begin(connected.as_ref(), issuer, kept.as_ref(), context).await?;
    let attestation = attestations.get_opt(&name).await?.map(Guarded::read).transpose()?;
    let named = attestation.as_ref().and_then(|attestation| named_secret(attestation, issuer));
    let secret = match named {
        Some(named) if !named.is_empty() => {
            Some(secrets.get_opt(named).await?.map(Guarded::read).transpose()?)
        }
        Some(_) => Some(None),
        None => None,
    };
    loop {
        let now = now();
        let clock = context.clock.compare(now);
        let seen = Observed {
            issuer,
            status: &status,
            withheld: withheld.as_deref(),
            enclave: dealings.enclave(),
            next: dealings.next(),
            attestation: attestation.as_ref(),
            secret: match &secret {
                None => SecretSeen::NotNamed,
                Some(None) => SecretSeen::Missing,
                Some(Some(secret)) => SecretSeen::Found(secret),
            },
            refusal: dealings.refusal(),
            sealed: kept.as_ref().map(|kept| &kept.key),
            restore_refusal: dealings.restore_refusal(),
            clock,
        };
        let mut plan = decide(&seen, now);
        if let Some(connected) = &connected
            && let Some(step) = EnclaveStep::of(&mut plan)
        {
            let made = dealings.take(step, connected, issuer, context).await?;
            if let Some(ca) = made {
                // Known before it is published: whatever is lost after this, no other CA is made silently.
                put_status(&known(&status, issuer, &ca, clock.trusted(now)), issuer, context).await?;
            }
            continue;
        }
        if let (None, EnclaveSeen::Holding(_, ca)) = (&status.ca, seen.enclave) {
            // The same, if the pass that had it made did not get so far.
            put_status(&known(&status, issuer, ca, clock.trusted(now)), issuer, context).await?;
        }
        if let (true, Some(connected), EnclaveSeen::Holding(_, ca)) = (plan.seal, &connected, seen.enclave) {
            let sealed = connected.seal(&uid).await?;
            let before = kept.as_ref().map(|kept| (kept, &status));
            let written = earlier::replace(&secrets, issuer, before, ca, sealed.blob.to_vec()).await;
            match refused_for_good(written)? {
                // Only its labels are others.
                Some(why) if seen.sealed.is_some_and(|kept| kept.is_key_of(ca)) => {
                    tracing::warn!(issuer = issuer.signer_name(), why, "the sealed key keeps its labels");
                }
                Some(why) => secret_refused(&mut plan, &seen, &SecretRefused::SealedKey(why), now),
                None => {}
            }
        }
        carry_out(&mut plan, &seen, context, &attestations).await?;
        if plan.seal || plan.status.previous_cas.len() < status.previous_cas.len() {
            // A CA was replaced or has ended: what is kept of earlier ones may have become too much.
            let _ = context.sweep_queue.send(());
        }
        return Ok(plan);
    }
}

async fn carry_out(
    plan: &mut Plan,
    seen: &Observed<'_>,
    context: &Context,
    attestations: &Attestations,
) -> Result<(), ReconcileError> {
    if let Some(secret) = plan.ca_secret.take()
        && let Some(why) = apply_ca_secret(&secret, context).await?
    {
        secret_refused(plan, seen, &SecretRefused::Certificate(why), now());
    }
    // A Ready issuer says so before its QuoteAttestation goes, so that nobody sees neither.
    let deleting = matches!(plan.attestation, AttestationStep::Delete);
    if deleting {
        write_status(plan, seen, context).await?;
    }
    let current = step_attestation(plan, seen, attestations).await?;
    if !deleting {
        write_status(plan, seen, context).await?;
    }
    // Last, because it may conflict with the key owner's writes: what was refused is remembered by then. A PUT of the object
    // as read; a conflict means that the key owner wrote, and the pass is made again.
    if let Some(mut current) = current
        && !plan.attestation_conditions.is_empty()
        && merge_conditions(current.status.get_or_insert_default(), &plan.attestation_conditions)
    {
        let name = current.name_any();
        attestations.replace_status(&name, &PostParams::default(), &Guarded::from(current)).await?;
    }
    Ok(())
}

/// Puts the Secret there, in place of ours from before; why the API server refused, if it did. Not by a patch: who may patch a
/// Secret may read it.
async fn apply_ca_secret(secret: &Secret, context: &Context) -> Result<Option<String>, kube::Error> {
    let namespace = secret.namespace().unwrap_or_default();
    let secrets: Api<Guarded<Secret>> = Api::namespaced(context.client.clone(), &namespace);
    let (name, secret) = (secret.name_any(), Guarded::from(secret.clone()));
    let parameters = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    let replaced = match secrets.replace(&name, &parameters, &secret).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => secrets.create(&parameters, &secret).await,
        answer => answer,
    };
    refused_for_good(replaced)
}

/// Why the API server refused a write, if it is a refusal that stands until somebody changes something.
fn refused_for_good<T>(answer: Result<T, kube::Error>) -> Result<Option<String>, kube::Error> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(answer))
            if answer.is_forbidden()
                || answer.is_invalid()
                || answer.is_conflict()
                || answer.is_not_found() =>
        {
            Ok(Some(answer.message.clone()))
        }
        Err(error) => Err(error),
    }
}

/// Makes the `QuoteAttestation` what the plan says; the object as it is now, if conditions may be due.
async fn step_attestation(
    plan: &Plan,
    seen: &Observed<'_>,
    api: &Attestations,
) -> Result<Option<QuoteAttestation>, ReconcileError> {
    let post = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match &plan.attestation {
        AttestationStep::Keep => Ok(seen.attestation.cloned()),
        AttestationStep::Create(wanted) => {
            Ok(Some(api.create(&post, &Guarded::from(QuoteAttestation::clone(wanted))).await?.read()?))
        }
        AttestationStep::Restore(wanted) => {
            let (name, wanted) = (wanted.name_any(), Guarded::from(QuoteAttestation::clone(wanted)));
            Ok(Some(api.replace(&name, &post, &wanted).await?.read()?))
        }
        AttestationStep::Recreate(wanted) => {
            delete(seen.attestation, api).await?;
            Ok(Some(api.create(&post, &Guarded::from(QuoteAttestation::clone(wanted))).await?.read()?))
        }
        AttestationStep::Delete => {
            delete(seen.attestation, api).await?;
            Ok(None)
        }
    }
}

/// Deletes exactly the object that was looked at.
async fn delete(found: Option<&QuoteAttestation>, api: &Attestations) -> Result<(), kube::Error> {
    let Some(found) = found else { return Ok(()) };
    sealed::delete(api, &found.name_any(), found.uid()).await
}

/// Writes the status if it is news, and says what happened at once: a later pass would take it for known.
async fn write_status(plan: &Plan, seen: &Observed<'_>, context: &Context) -> Result<(), kube::Error> {
    let status = &plan.status;
    if status != seen.status {
        put_status(status, seen.issuer, context).await?;
    }
    for note in &plan.notes {
        context.note(&seen.issuer.reference(), note.warning, &note.reason, "Reconcile", &note.message).await;
        if let (About::IssuerAndAttestation, Some(attestation)) = (note.about, seen.attestation) {
            context
                .note(&attestation.object_ref(&()), note.warning, &note.reason, "Reconcile", &note.message)
                .await;
        }
    }
    Ok(())
}

async fn put_status(status: &IssuerStatus, issuer: &Issuer, context: &Context) -> Result<(), kube::Error> {
    let reference = issuer.reference();
    let body = json!({
        "apiVersion": reference.api_version,
        "kind": reference.kind,
        // A re-created issuer of the same name is another one: the UID makes the write miss it.
        "metadata": { "uid": issuer.uid() },
        "status": status,
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let (name, patch) = (issuer.name(), Patch::Apply(&body));
    let answer = match issuer {
        Issuer::Namespaced(_) => {
            let api: Api<Guarded<TCSIssuer>> = Api::namespaced(context.client.clone(), issuer.home());
            let answered = api.patch_status(&name, &parameters, &patch).await;
            answered.map(|answered| answered.read().map(|answered| Issuer::from(&answered)))
        }
        Issuer::Cluster(_) => {
            let api: Api<Guarded<TCSClusterIssuer>> = Api::all(context.client.clone());
            let answered = api.patch_status(&name, &parameters, &patch).await;
            answered.map(|answered| answered.read().map(|answered| Issuer::from(&answered)))
        }
    };
    match answer {
        Ok(Ok(answered)) => {
            context.remember_status(&answered);
            Ok(())
        }
        // Written; the watch says that it cannot be read.
        Ok(Err(_)) => Ok(()),
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The time, while it is trusted.
pub fn trusted_now(context: &Context) -> Option<Timestamp> {
    let now = now();
    context.clock.compare(now).trusted(now)
}

/// The shell's clock.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the controller's one clock; decisions take `now` as a parameter"
)]
pub fn now() -> Timestamp {
    Timestamp::now()
}
