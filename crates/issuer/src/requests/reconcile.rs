//! Reconciles requests of every request API. A request costs one write of its status and no reads. Whether
//! its requester may use its issuer is asked once for many requests.

use super::table::{Job, Next, RequestTable, Turn};
use super::write_status::write_status;
use super::{Failure, Outcome, ParsedRequest, RequestKind, Triage, Wait, is_permanent};
use crate::access::grant;
use crate::access::requester::NamespacedIssuer;
use crate::access::shared_reviews::{Decided, Deciding, Decision};
use crate::clock::now;
use crate::context::Context;
use crate::context::events::{EventPublisher, EventText};
use crate::enclave_client::EnclaveError;
use crate::error::ReconcileError;
use crate::issuer::decide::was_published;
use crate::issuer::{Issuer, policy};
use crate::pem;
use crate::runtime::api_text::{is_refused_for_good, is_too_large};
use crate::runtime::request_metrics::RequestOutcome;
use futures::FutureExt as _;
use kube::ResourceExt as _;
use kube::core::Status;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{ByteVec, Issue, Issued, Refusal, RefusalCode};
use tracing::Instrument as _;

/// How soon a request is tried again whose certificate was signed under a CA that is not published yet.
const PUBLICATION_RETRY: Duration = Duration::from_secs(1);
/// How soon a request is tried again after a refusal that is not due to the request.
const REFUSAL_RETRY: Duration = Duration::from_secs(5);
/// How soon a request is tried again whose Event found no place in the queue.
const ANNOUNCEMENT_RETRY: Duration = Duration::from_secs(30);
/// How many characters of a refusal of the API server are told.
const MAX_ANSWER: usize = 300;
/// The action in Events.
const ACTION: &str = "Sign";

/// How one reconcile ended.
pub enum Reconciled {
    /// It is done.
    Done(Next),
    /// It goes on when a review has ended. A worker does not wait for that.
    SetAside(Deciding),
}

/// What the functions of one reconcile share.
struct Attempt<'a, K: RequestKind> {
    job: &'a Job<K>,
    table: &'a RequestTable<K>,
    context: &'a Context,
}

/// Reconciles one request.
pub async fn reconcile<K: RequestKind>(
    job: &Job<K>,
    table: &RequestTable<K>,
    context: &Context,
) -> Result<Reconciled, ReconcileError> {
    let Triage::Sign(signer) = job.request.triage() else { return Ok(Reconciled::Done(Next::OnChange)) };
    // The first check of the admission policies and the first list of issuers enqueue all requests. Before
    // them there is nothing to announce: an issuer that is not listed yet may exist.
    if context.admission.is_unchecked() || !context.caches.are_listed() {
        return Ok(Reconciled::Done(Next::OnChange));
    }
    let attempt = Attempt { job, table, context };
    let span = tracing::debug_span!(
        "request",
        api = K::kind(&()).as_ref(),
        object = job.request.name_any(),
        uid = job.request.uid()
    );
    let next = match attempt.sign(&signer).instrument(span).await? {
        Outcome::Undecided(deciding) => return Ok(Reconciled::SetAside(deciding)),
        Outcome::Issued { pem, is_ca } => attempt.publish(pem, is_ca).await?,
        Outcome::Permanent(failure) => attempt.fail(&failure).await?,
        Outcome::WaitForIssuer(wait) if announce(job, &wait, table, &context.events) => Next::OnChange,
        Outcome::WaitForIssuer(_) => Next::After(ANNOUNCEMENT_RETRY),
        Outcome::Retry { after, wait } => {
            if let Some(wait) = wait {
                announce(job, &wait, table, &context.events);
            }
            Next::After(after)
        }
    };
    Ok(Reconciled::Done(next))
}

/// Whether a request still waits for what was announced, so that it need not be read again to find that out.
pub fn still_waits(turn: &Turn, context: &Context) -> bool {
    let Some(signer) = &turn.signer else { return false };
    signing_issuer(signer, context).is_err_and(|wait| turn.announced == Some(wait.reason))
}

impl<K: RequestKind> Attempt<'_, K> {
    /// Lets the enclave sign the request, if everything that is needed is there.
    async fn sign(&self, signer: &SignerName) -> Result<Outcome, ReconcileError> {
        let Self { job, context, .. } = self;
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
        match connected.issue(issue_request::<K>(&issuer, parsed)).await {
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
        let Self { job, table, context } = self;
        let (requester, issuer) = (job.request.requester(), NamespacedIssuer { namespace, name });
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
            }))),
            Err(error) => {
                let message = format!(
                    "it is not known whether the requester may use TCSIssuer {namespace}/{name}: {}",
                    error.for_requesters()
                );
                let wait = Wait::new(reasons::WAITING_FOR_ACCESS_REVIEW, message);
                announce(job, &wait, table, &context.events);
                Err(error.into())
            }
        }
    }

    async fn publish(&self, pem: String, is_ca: bool) -> Result<Next, ReconcileError> {
        let next = self.put(&self.job.request.with_certificate(pem)).await?;
        if next == Next::OnChange {
            let (after, has_waited) = (Some(self.job.opened.elapsed()), self.job.announced.is_some());
            self.context.metrics.requests.ended(K::API, RequestOutcome::Issued { after, has_waited });
            // An Event for each certificate would lower the rate by about a third.
            if is_ca {
                let message = "CA CERTIFICATE issued";
                let text = EventText { warning: false, reason: reasons::ISSUED, action: ACTION, message };
                self.context.events.publish(&self.job.request.object_ref(&()), text);
            }
        }
        Ok(next)
    }

    async fn fail(&self, failure: &Failure) -> Result<Next, ReconcileError> {
        let Failure { reason, message, .. } = failure;
        let next = self.put(&self.job.request.with_failure(reason, &failure.in_full(), now())).await?;
        if next == Next::OnChange {
            self.context.metrics.requests.ended(K::API, RequestOutcome::Failed(reason));
            let text = EventText { warning: true, reason, action: ACTION, message };
            self.context.events.publish(&self.job.request.object_ref(&()), text);
        }
        Ok(next)
    }

    /// Writes the status of the very object that was checked. If it was changed, replaced or deleted
    /// meanwhile, the result is discarded, and the watch reports the new state. But a conflict does not prove
    /// that there is one: an admission webhook can answer so, too. Therefore the request is tried again,
    /// unless the watch is faster.
    async fn put(&self, object: &K) -> Result<Next, ReconcileError> {
        self.table.end_wait(self.job, reasons::RESULT_NOT_WRITTEN);
        match write_status(&self.context.client, object).await {
            Ok(()) => {
                self.table.close(self.job);
                Ok(Next::OnChange)
            }
            Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_not_found() => {
                self.context.metrics.requests.ended(K::API, RequestOutcome::Discarded);
                Ok(Next::Failed)
            }
            Err(error) => {
                if let kube::Error::Api(answer) = &error
                    && is_refused_for_good(&error)
                {
                    self.refused(answer, is_too_large(&error));
                    return Ok(Next::Refused);
                }
                Err(error.into())
            }
        }
    }

    /// The result cannot be written until somebody changes something. It is told once.
    fn refused(&self, answer: &Status, is_too_large: bool) {
        let Self { job, table, context } = self;
        context.metrics.requests.refused(K::API, answer.code);
        let remedy = if is_too_large {
            "the request with its certificate is too large: make a new one with fewer or shorter annotations"
        } else {
            "if an admission policy or a webhook refuses it, that must let the service write the status; otherwise \
             make a new request"
        };
        let wait = Wait::new(
            reasons::RESULT_NOT_WRITTEN,
            format!(
                "the API server refuses the result: {} (status {}); {remedy}. It is tried again within an hour, and \
                 at once when the request changes",
                answer.message.chars().take(MAX_ANSWER).collect::<String>(),
                answer.code
            ),
        );
        if job.announced != Some(wait.reason) {
            tracing::warn!(object = job.request.name_any(), "{}", wait.message);
        }
        announce(job, &wait, table, &context.events);
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
    let published = issuer.status().is_some_and(|status| was_published(status, fingerprint))
        || was_published(&context.statuses.newest(issuer), fingerprint);
    if published {
        return Outcome::Issued { pem: pem::certificates(&response.chain), is_ca };
    }
    context.queues.enqueue(issuer);
    Outcome::Retry { after: PUBLICATION_RETRY, wait: None }
}

fn refused_outcome(refusal: Refusal, issuer: &Issuer, context: &Context) -> Outcome {
    match refusal.code {
        code if is_permanent(code) => Outcome::Permanent(Failure::new(code, refusal.message)),
        // Only a change of the issuer can help, which enqueues the request.
        RefusalCode::PolicyMalformed => Outcome::WaitForIssuer(Wait {
            blamed_issuer: Some(Box::new(issuer.reference())),
            ..Wait::new(reasons::POLICY_MALFORMED, format!("spec.policy: {refusal}"))
        }),
        // The refusal is due to the issuer or is temporary. The issuer is reconciled, and its change enqueues
        // the request.
        _ => {
            context.queues.enqueue(issuer);
            let wait = Some(Wait::for_ready_issuer(refusal.to_string()));
            Outcome::Retry { after: REFUSAL_RETRY, wait }
        }
    }
}

/// A request that waits is not changed. One Event tells why it waits. Returns false if it found no place and
/// must be announced later.
fn announce<K: RequestKind>(
    job: &Job<K>,
    wait: &Wait,
    table: &RequestTable<K>,
    events: &EventPublisher,
) -> bool {
    if !table.start_wait(job, wait.reason) {
        return true;
    }
    let Wait { reason, message, blamed_issuer } = wait;
    let text = EventText { warning: blamed_issuer.is_some(), reason, action: ACTION, message };
    let has_place = blamed_issuer.as_ref().is_none_or(|issuer| events.publish(issuer, text))
        && events.publish(&job.request.object_ref(&()), text);
    if !has_place {
        table.take_wait_back(job, wait.reason);
    }
    has_place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::csr::KubernetesCsr;
    use crate::requests::table::Work;
    use kube::Resource as _;
    use prometheus_client::metrics::counter::Counter;

    #[tokio::test]
    async fn a_wait_whose_event_found_no_place_is_announced_later() {
        let request: KubernetesCsr = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a", "uid": "u"},
            "spec": {"request": "", "signerName": "tcsissuer.tcs.intel.com/a.b"},
        }))
        .unwrap();
        let blamed = Wait {
            blamed_issuer: Some(Box::default()),
            ..Wait::new(reasons::POLICY_MALFORMED, "spec.policy: x")
        };
        for wait in [Wait::for_ready_issuer("x"), blamed] {
            let (events, mut queue) = EventPublisher::new(Counter::default());
            let table = RequestTable::default();
            table.apply(request.clone());
            let Work::Reconcile(job) = table.next().await else { panic!("it is held") };
            let announce = || announce(&job, &wait, &table, &events);
            let text = EventText { warning: false, reason: "R", action: "A", message: "m" };
            while events.publish(&request.object_ref(&()), text) {}
            assert!(!announce() && !announce(), "the queue is full");
            assert!(queue.drain() > 0);
            assert!(announce());
            let announced = queue.drain();
            assert_eq!(announced, if wait.blamed_issuer.is_some() { 2 } else { 1 });
            assert!(announce());
            assert_eq!(queue.drain(), 0, "it was announced already");
        }
    }
}
