//! Reconciles requests of every request API. A request costs one write of its status and no reads. Whether
//! its requester may use its issuer is asked once for many requests.

use super::attempt::Attempt;
use super::table::{Job, Next, RequestTable, Turn};
use super::{
    Certificate, Failure, Outcome, ParsedRequest, RequestKind, Triage, Wait, is_permanent, is_retryable,
};
use crate::access::grant;
use crate::access::requester::NamespacedIssuer;
use crate::access::shared_reviews::{Decided, Deciding, Decision};
use crate::clock::now;
use crate::context::Context;
use crate::enclave_client::{Connected, EnclaveError};
use crate::error::ReconcileError;
use crate::issuer::decide::{trust_anchor, was_published};
use crate::issuer::{Issuer, policy};
use crate::pem;
use futures::FutureExt as _;
use kube::ResourceExt as _;
use std::pin::pin;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{ByteVec, Issue, Issued, Refusal, RefusalCode};
use tokio::time::timeout;
use tracing::Instrument as _;

/// How soon a request is tried again whose certificate was signed under a CA that is not published yet.
const PUBLICATION_RETRY: Duration = Duration::from_secs(1);
/// How soon a request is tried again after a refusal that is not due to the request.
const REFUSAL_RETRY: Duration = Duration::from_secs(5);
/// The answer of an enclave that needs longer is not immediate. It usually needs a millisecond.
const SLOW: Duration = Duration::from_secs(2);

/// How one reconcile ended.
pub enum Reconciled {
    /// It is done.
    Done(Next),
    /// It goes on when a review has ended. A worker does not wait for that.
    SetAside(Deciding),
}

/// Reconciles one request.
pub async fn reconcile<K: RequestKind>(
    job: &Job<K>,
    table: &RequestTable<K>,
    context: &Context,
) -> Result<Reconciled, ReconcileError> {
    let mut attempt = Attempt::new(job, table, context);
    let signer = match job.request.triage() {
        Triage::Ignore => return Ok(Reconciled::Done(Next::OnChange)),
        Triage::Refuse(failure) => return Ok(Reconciled::Done(attempt.fail(&failure).await?)),
        Triage::Sign(signer) => signer,
    };
    // The first check of the admission policies and the first list of issuers enqueue all requests. Before
    // them there is nothing to announce: an issuer that is not listed yet may exist.
    if context.admission.is_unchecked() || !context.caches.are_listed() {
        return Ok(Reconciled::Done(Next::OnChange));
    }
    let span = tracing::debug_span!(
        "request",
        api = K::kind(&()).as_ref(),
        object = job.request.name_any(),
        uid = job.request.uid()
    );
    let outcome = match attempt.sign(&signer).instrument(span).await {
        Ok(outcome) => outcome,
        Err(error) => return attempt.failed(error).await.map(Reconciled::Done),
    };
    let next = match outcome {
        Outcome::Undecided(deciding) => return Ok(Reconciled::SetAside(deciding)),
        Outcome::Issued { certificate, is_ca } => attempt.publish(certificate, is_ca).await?,
        Outcome::Permanent(failure) => attempt.fail(&failure).await?,
        Outcome::WaitForIssuer(wait) => attempt.wait_for_change(&wait).await?,
        Outcome::Error(wait) if K::SHOWS_PROGRESS => attempt.retry(&wait.message).await?,
        Outcome::Error(wait) => attempt.wait_for(REFUSAL_RETRY, Some(&wait)).await?,
        Outcome::Retry { after, wait } => attempt.wait_for(after, wait.as_ref()).await?,
    };
    Ok(Reconciled::Done(next))
}

impl<K: RequestKind> Attempt<'_, K> {
    /// Lets the enclave sign the request, if everything that is needed is there.
    async fn sign(&mut self, signer: &SignerName) -> Result<Outcome, ReconcileError> {
        let Self { job, context, .. } = *self;
        let issuer = match signing_issuer(signer, context) {
            Ok(issuer) => issuer,
            Err(wait) => return Ok(Outcome::WaitForIssuer(wait)),
        };
        if let Some(outcome) = self.why_not(signer)? {
            return Ok(outcome);
        }
        let parsed = match job.request.parse() {
            Ok(parsed) => parsed,
            Err(failure) => return Ok(Outcome::Permanent(failure)),
        };
        let Some(connected) = context.enclave.connected() else {
            return Ok(Outcome::WaitForIssuer(Wait::for_ready_issuer("the enclave does not answer")));
        };
        let is_ca = parsed.is_ca;
        match self.issue(&connected, issue_request::<K>(&issuer, parsed)).await? {
            Ok(response) => Ok(issued_outcome(&response, is_ca, &issuer, context)),
            Err(EnclaveError::Refused(refusal)) => Ok(refused_outcome(refusal, &issuer, context)),
            Err(error) => Err(error.into()),
        }
    }

    /// What becomes of the request if it is not known that its requester may use the issuer. `None` if that
    /// is known, as everybody may use a cluster issuer.
    ///
    /// This is asked after the issuer was found to be ready: a request that waits for its issuer does not
    /// fail because the right was granted later than the request was made.
    fn why_not(&self, signer: &SignerName) -> Result<Option<Outcome>, ReconcileError> {
        let SignerName::Namespaced { namespace, name } = signer else { return Ok(None) };
        let Self { job, context, .. } = self;
        let Some(requester) = job.request.requester() else { return Ok(None) };
        let issuer = NamespacedIssuer { namespace, name };
        let found = if let Some(found) = job.decided.clone().and_then(Decided::if_usable) {
            found
        } else {
            let (client, metrics) = (&context.client, &context.metrics);
            let mut deciding = context.access.check(&requester, issuer, job.opened, client, metrics);
            match (&mut deciding).now_or_never() {
                Some(decided) => decided.found,
                None => return Ok(Some(Outcome::Undecided(deciding))),
            }
        };
        match found {
            Ok(Decision::Allowed) => Ok(None),
            Ok(Decision::NotYet { ask_again_in }) => {
                Ok(Some(Outcome::Retry { after: ask_again_in, wait: None }))
            }
            Ok(Decision::Refused) => Ok(Some(Outcome::Permanent(Failure {
                reason: reasons::REFERENCE_NOT_ALLOWED,
                message: grant::missing(&requester, issuer),
                remedy: Some(grant::remedy(&requester, issuer)),
                is_invalid: false,
            }))),
            Err(error) => {
                let message = format!(
                    "it is not known whether the requester may use TCSIssuer {namespace}/{name}: {}",
                    error.for_requesters()
                );
                let wait = Wait::new(reasons::WAITING_FOR_ACCESS_REVIEW, message);
                self.announce(&wait);
                Err(error.into())
            }
        }
    }

    /// An error ended the attempt. A call that the enclave did not answer is shown by requests that show why
    /// they wait; other errors are told elsewhere.
    async fn failed(&self, error: ReconcileError) -> Result<Next, ReconcileError> {
        use EnclaveError::{Connection, Unexpected};
        if K::SHOWS_PROGRESS && matches!(error, ReconcileError::Enclave(Connection(_) | Unexpected)) {
            self.context.metrics.errors.inc();
            tracing::warn!(object = self.job.request.name_any(), %error, "reconcile failed, trying again");
            return self.retry(&error.to_string()).await;
        }
        Err(error)
    }

    /// Has the enclave issue a certificate. If it needs long, the request shows that it is being served.
    async fn issue(
        &mut self,
        connected: &Connected,
        request: Issue,
    ) -> Result<Result<Issued, EnclaveError>, ReconcileError> {
        let mut call = pin!(connected.issue(request));
        if K::SHOWS_PROGRESS {
            match timeout(SLOW, &mut call).await {
                Ok(answer) => return Ok(answer),
                Err(_) => self.start().await?,
            }
        }
        Ok(call.await)
    }
}

fn issue_request<K: RequestKind>(issuer: &Issuer, parsed: ParsedRequest) -> Issue {
    Issue {
        issuer_uid: issuer.uid(),
        request: ByteVec::from(parsed.csr),
        request_api: K::API,
        usages: parsed.usages,
        lifetime: parsed.lifetime,
        now: now().as_second(),
        policy: issuer.spec().policy.as_ref().map(policy::message),
        is_ca: parsed.is_ca,
    }
}

/// Whether a request still waits for what was announced, so that it need not be read again to find that out.
pub fn still_waits(turn: &Turn, context: &Context) -> bool {
    let Some(signer) = &turn.signer else { return false };
    !turn.is_changed && signing_issuer(signer, context).is_err_and(|wait| turn.announced == Some(wait.reason))
}

/// The issuer of a signer name, if it signs and the service works.
fn signing_issuer(signer: &SignerName, context: &Context) -> Result<Issuer, Wait> {
    if let Some(why) = context.admission.refusal() {
        return Err(Wait::new(reasons::ADMISSION_POLICY_NOT_ENFORCED, why.to_string()));
    }
    let what = match signer {
        SignerName::Namespaced { namespace, name } => format!("TCSIssuer {namespace}/{name}"),
        SignerName::Cluster { name } => format!("TCSClusterIssuer {name}"),
    };
    // This comes first, because the cache may still contain an earlier version of an unreadable issuer.
    if let Some(message) = context.caches.why_unreadable(signer) {
        return Err(Wait::new(reasons::WAITING_FOR_ISSUER_READABLE, message));
    }
    match context.caches.issuer(signer) {
        Some(issuer) if issuer.signs() => Ok(issuer),
        Some(_) => Err(Wait::for_ready_issuer(format!("{what} is not Ready"))),
        None => Err(Wait::new(reasons::WAITING_FOR_ISSUER_EXIST, format!("there is no {what}"))),
    }
}

/// A certificate under a CA that is not published yet is not published: nobody could verify it. Its Secret is
/// just being written, and the change of the issuer enqueues the request.
fn issued_outcome(response: &Issued, is_ca: bool, issuer: &Issuer, context: &Context) -> Outcome {
    let fingerprint = &response.ca_fingerprint;
    let newest;
    let mut status = issuer.status().filter(|status| was_published(status, fingerprint));
    if status.is_none() {
        newest = context.statuses.newest(issuer);
        status = Some(&newest).filter(|status| was_published(status, fingerprint));
    }
    if let Some(status) = status {
        let ca = context.request_options.status_ca.then(|| trust_anchor(status, fingerprint)).flatten();
        let certificate = Certificate { pem: pem::certificates(&response.chain), ca: ca.map(str::to_owned) };
        return Outcome::Issued { certificate, is_ca };
    }
    context.queues.enqueue(issuer);
    Outcome::Retry { after: PUBLICATION_RETRY, wait: None }
}

/// The issuer is checked again if it may be the reason (`docs/conformance.md`, A11). Its change enqueues the
/// request.
fn refused_outcome(refusal: Refusal, issuer: &Issuer, context: &Context) -> Outcome {
    let outcome = outcome_of(refusal, issuer);
    if matches!(outcome, Outcome::Error(_) | Outcome::Retry { .. }) {
        context.queues.enqueue(issuer);
    }
    outcome
}

fn outcome_of(refusal: Refusal, issuer: &Issuer) -> Outcome {
    match refusal.code {
        code if is_permanent(code) => Outcome::Permanent(Failure::new(code, refusal.message)),
        // Only a change of the issuer can help, which enqueues the request.
        RefusalCode::PolicyMalformed => Outcome::WaitForIssuer(Wait {
            is_warning: true,
            blamed_issuer: Some(Box::new(issuer.reference())),
            ..Wait::new(reasons::POLICY_MALFORMED, format!("spec.policy: {refusal}"))
        }),
        code if is_retryable(code) => Outcome::Error(Wait::for_ready_issuer(refusal.to_string())),
        // The refusal is due to the issuer.
        _ => {
            let wait = Some(Wait::for_ready_issuer(refusal.to_string()));
            Outcome::Retry { after: REFUSAL_RETRY, wait }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tcs_api::v1alpha1::TCSIssuer;

    #[test]
    fn a08_a10_a11_a_refusal_is_the_fault_of_the_request_of_the_issuer_or_of_nobody() {
        let issuer = serde_json::json!({"metadata": {"name": "a"}, "spec": {"secretName": "s"}});
        let issuer = Issuer::from(Arc::new(serde_json::from_value::<TCSIssuer>(issuer).unwrap()));
        let kind = |code: RefusalCode| match outcome_of(Refusal::new(code, "m"), &issuer) {
            Outcome::Permanent(failure) if failure.is_invalid && failure.reason == code.as_str() => "request",
            Outcome::WaitForIssuer(wait) if wait.blamed_issuer.is_some() => "policy",
            Outcome::Error(_) => "nobody",
            Outcome::Retry { wait: Some(_), .. } => "issuer",
            _ => "?",
        };
        for (code, expected) in [
            (RefusalCode::NotProvisioned, "issuer"),
            (RefusalCode::CaExpired, "issuer"),
            (RefusalCode::CaEndsSoon, "issuer"),
            (RefusalCode::ClockTooEarly, "issuer"),
            (RefusalCode::Busy, "nobody"),
            (RefusalCode::Internal, "nobody"),
            (RefusalCode::TimedOut, "nobody"),
            (RefusalCode::PolicyMalformed, "policy"),
            (RefusalCode::PolicyRefused, "request"),
            (RefusalCode::ExtensionMismatch, "request"),
            (RefusalCode::RequestMalformed, "request"),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
        assert!(RefusalCode::ALL.iter().all(|code| kind(*code) != "?"));
    }
}
