//! Answers approved `CertificateSigningRequest`s. One status write per request and no reads (design, section 7).

use crate::context::Context;
use crate::decide::is_known;
use crate::delivery;
use crate::enclave::EnclaveError;
use crate::issuer::Issuer;
use crate::issuers::{ReconcileError, now};
use crate::metrics::Metrics;
use crate::policy;
use crate::requests::csr::KubernetesCsr;
use crate::requests::{Step, is_for_ca, is_requests_fault, lifetime, triage, with_certificate, with_failure};
use crate::runtime::guarded::Guarded;
use kube::api::PostParams;
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use std::sync::Arc;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{ByteVec, Issue, RefusalCode, RequestApi};

/// One pass over one request.
pub async fn reconcile(request: Arc<KubernetesCsr>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let Step::Consider(signer) = triage(&request) else { return Ok(Action::await_change()) };
    if let Some(why) = context.admission.refusal() {
        // The end of the refusal wakes all requests, and so does the first check, before which there is nothing to say.
        if context.admission.is_unchecked() {
            return Ok(Action::await_change());
        }
        let wait = Wait { reason: reasons::ADMISSION_POLICY_NOT_ENFORCED, message: why.to_string() };
        return Ok(wait_for(&request, &context, &wait).await);
    }
    let issuer = match issuer_for(&signer, &context) {
        Ok(issuer) => issuer,
        Err(wait) => return Ok(wait_for(&request, &context, &wait).await),
    };
    let der = match delivery::read_request(&request.spec.request.0) {
        Ok(der) => der,
        Err(wrong) => {
            return fail(&request, &context, RefusalCode::RequestMalformed.as_str(), &wrong.to_string())
                .await;
        }
    };
    let lifetime = match lifetime(&request) {
        Ok(lifetime) => lifetime,
        Err(wrong) => {
            return fail(&request, &context, RefusalCode::LifetimeInvalid.as_str(), &wrong).await;
        }
    };
    let Some(connected) = context.enclave.connected() else {
        return Ok(wait_for(&request, &context, &Wait::for_ready("the enclave does not answer")).await);
    };
    let ask = Issue {
        issuer_uid: issuer.uid(),
        request: ByteVec::from(der),
        request_api: RequestApi::KubernetesCsr,
        usages: request.spec.usages.clone().unwrap_or_default(),
        lifetime,
        now: now().as_second(),
        policy: issuer.spec().policy.as_ref().map(policy::message),
        is_ca: is_for_ca(&request),
    };
    match connected.issue(ask).await {
        // A CA that nobody could know yet: its Secret is just being written, and the issuer's change wakes us.
        Ok(answer) if !is_published(&issuer, &answer.ca_fingerprint, &context) => {
            context.call(&issuer);
            Ok(Action::requeue(Duration::from_secs(1)))
        }
        Ok(answer) => publish(&request, &context, &answer.chain, is_for_ca(&request)).await,
        Err(EnclaveError::Refused(refusal)) if is_requests_fault(refusal.code) => {
            fail(&request, &context, refusal.code.as_str(), &refusal.message).await
        }
        // Nothing mends that but a change of the issuer, which wakes us.
        Err(EnclaveError::Refused(refusal)) if refusal.code == RefusalCode::PolicyMalformed => {
            let wait = Wait { reason: reasons::POLICY_MALFORMED, message: format!("spec.policy: {refusal}") };
            if context.starts_waiting(&request.uid().unwrap_or_default(), wait.reason) {
                for object in [request.object_ref(&()), issuer.reference()] {
                    context.note(&object, true, wait.reason, "Sign", &wait.message).await;
                }
            }
            Ok(Action::await_change())
        }
        Err(EnclaveError::Refused(refusal)) => {
            // The issuer's fault or the moment's: the issuer is looked at again, and its change wakes us.
            context.call(&issuer);
            wait_for(&request, &context, &Wait::for_ready(&refusal.to_string())).await;
            Ok(Action::requeue(Duration::from_secs(5)))
        }
        Err(error) => Err(error.into()),
    }
}

struct Wait {
    reason: &'static str,
    message: String,
}

impl Wait {
    fn for_ready(message: &str) -> Self {
        Self { reason: "WaitingForIssuerReady", message: message.to_owned() }
    }
}

fn issuer_for(signer: &SignerName, context: &Context) -> Result<Issuer, Wait> {
    let what = match signer {
        SignerName::Namespaced { namespace, name } => format!("TCSIssuer {namespace}/{name}"),
        SignerName::Cluster { name } => format!("TCSClusterIssuer {name}"),
    };
    // First: what may still be kept of it is its earlier version.
    if let Some(message) = context.why_unreadable(signer) {
        return Err(Wait { reason: "WaitingForIssuerReadable", message });
    }
    match context.issuer(signer) {
        Some(issuer) if issuer.signs() => Ok(issuer),
        Some(_) => Err(Wait::for_ready(&format!("{what} is not Ready"))),
        None => Err(Wait { reason: "WaitingForIssuerExist", message: format!("there is no {what}") }),
    }
}

/// Whether a CA is the one whose certificate was published last, or one before it.
fn is_published(issuer: &Issuer, ca_fingerprint: &[u8], context: &Context) -> bool {
    issuer.status().is_some_and(|status| is_known(status, ca_fingerprint))
        || is_known(&context.newest_status(issuer), ca_fingerprint)
}

/// Waiting writes nothing into the request: it says so in one Event, and the watches go on.
async fn wait_for(request: &KubernetesCsr, context: &Context, wait: &Wait) -> Action {
    if context.starts_waiting(&request.uid().unwrap_or_default(), wait.reason) {
        context.note(&request.object_ref(&()), false, wait.reason, "Sign", &wait.message).await;
    }
    Action::await_change()
}

async fn publish(
    request: &KubernetesCsr,
    context: &Context,
    chain: &[ByteVec],
    is_ca: bool,
) -> Result<Action, ReconcileError> {
    let pem: String = chain.iter().map(|der| tcs_pem::encode("CERTIFICATE", der.as_slice())).collect();
    if put(with_certificate(request, pem.into_bytes()), context).await? {
        context.metrics.issued.inc();
        let message = if is_ca { "CA CERTIFICATE issued" } else { "certificate issued" };
        context.note(&request.object_ref(&()), false, "Issued", "Sign", message).await;
    }
    Ok(Action::await_change())
}

async fn fail(
    request: &KubernetesCsr,
    context: &Context,
    code: &str,
    message: &str,
) -> Result<Action, ReconcileError> {
    if put(with_failure(request, code, message, now()), context).await? {
        Metrics::count(&context.metrics.failed, code);
        context.note(&request.object_ref(&()), true, code, "Sign", message).await;
    }
    Ok(Action::await_change())
}

/// PUT of the very object that was judged. A conflict or its absence means that it changed or was replaced: the result
/// is thrown away, and the watch brings the new state (B11).
async fn put(object: KubernetesCsr, context: &Context) -> Result<bool, ReconcileError> {
    let api: Api<Guarded<KubernetesCsr>> = Api::all(context.client.clone());
    let object = Guarded::from(object);
    let outcome = api.replace_status(&object.name_any(), &PostParams::default(), &object).await;
    match outcome {
        Ok(_) => {
            context.stops_waiting(&object.uid().unwrap_or_default());
            Ok(true)
        }
        Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => {
            context.metrics.discarded.inc();
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}
