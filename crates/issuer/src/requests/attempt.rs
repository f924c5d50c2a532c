//! One attempt to give a request its result, and what is written and announced about it.

use super::options::RequestOptions;
use super::status_write::StatusWrite;
use super::table::{Job, Next, RequestTable};
use super::write_status::write_status;
use super::{Certificate, Failure, Progress, RequestKind, Wait};
use crate::clock::now;
use crate::context::Context;
use crate::context::events::{EventPublisher, EventText};
use crate::error::ReconcileError;
use crate::runtime::api_text::{is_refused_for_good, is_too_large};
use crate::runtime::request_metrics::RequestOutcome;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::core::Status;
use std::time::Duration;
use tcs_api::reasons;

/// How soon a request is tried again whose Event found no place in the queue.
const ANNOUNCEMENT_RETRY: Duration = Duration::from_secs(30);
/// How many characters of a refusal of the API server are told.
const MAX_ANSWER: usize = 300;
/// The action in Events.
const ACTION: &str = "Sign";

/// What the functions of one reconcile share.
pub struct Attempt<'a, K: RequestKind> {
    /// The request and its turn.
    pub job: &'a Job<K>,
    /// Where the request is from.
    pub table: &'a RequestTable<K>,
    /// The rest of the controller.
    pub context: &'a Context,
    /// The request in the version that this attempt wrote.
    written: Option<K>,
}

/// What became of a write.
enum Put {
    /// It was written, in this version.
    Written(String),
    /// The object was changed, replaced or deleted meanwhile.
    Discarded,
    /// The API server would refuse it again.
    Refused,
}

impl<'a, K: RequestKind> Attempt<'a, K> {
    /// An attempt, which has not begun.
    pub fn new(job: &'a Job<K>, table: &'a RequestTable<K>, context: &'a Context) -> Self {
        Self { job, table, context, written: None }
    }

    /// The request.
    pub fn request(&self) -> &K {
        self.written.as_ref().unwrap_or(&self.job.request)
    }

    /// Publishes a certificate.
    pub async fn publish(&self, certificate: Certificate, is_ca: bool) -> Result<Next, ReconcileError> {
        let request = self.request();
        let next = self.end(encoded(request.issued(certificate, now()))?).await?;
        if next == Next::OnChange {
            let (after, has_waited) = (Some(self.job.opened.elapsed()), self.job.announced.is_some());
            self.context.metrics.requests.ended(K::API, RequestOutcome::Issued { after, has_waited });
            let text =
                |message| EventText { warning: false, reason: reasons::ISSUED, action: ACTION, message };
            // An Event for each certificate would lower the rate by about a third.
            if is_ca {
                self.context.events.publish(&request.object_ref(&()), text("CA CERTIFICATE issued"));
            } else if K::SHOWS_PROGRESS {
                self.context.events.publish_routine(&request.object_ref(&()), text("certificate issued"));
            }
        }
        Ok(next)
    }

    /// Marks the request as failed.
    pub async fn fail(&self, failure: &Failure) -> Result<Next, ReconcileError> {
        let request = self.request();
        let next = self.end(encoded(request.failed(failure, now()))?).await?;
        if next == Next::OnChange {
            self.context.metrics.requests.ended(K::API, RequestOutcome::Failed(failure.reason));
            let (reason, message) = K::failure_event(failure);
            let text = EventText { warning: true, reason, action: ACTION, message: &message };
            self.context.events.publish(&request.object_ref(&()), text);
        }
        Ok(next)
    }

    /// The request waits, and the change for which it waits enqueues it.
    pub async fn wait_for_change(&self, wait: &Wait) -> Result<Next, ReconcileError> {
        let later = if self.announce(wait) { Next::OnChange } else { Next::After(ANNOUNCEMENT_RETRY) };
        Ok(self.show(Progress::Waiting(&wait.message)).await?.unwrap_or(later))
    }

    /// The request waits, and is tried again after this time.
    pub async fn wait_for(&self, after: Duration, wait: Option<&Wait>) -> Result<Next, ReconcileError> {
        let Some(wait) = wait else { return Ok(Next::After(after)) };
        self.announce(wait);
        Ok(self.show(Progress::Waiting(&wait.message)).await?.unwrap_or(Next::After(after)))
    }

    /// The request could not be signed because of an error. It is tried again after a pause that grows with
    /// each failure, unless it has been tried for too long (`docs/conformance.md`, A08).
    pub async fn retry(&self, message: &str) -> Result<Next, ReconcileError> {
        let created = self.request().meta().creation_timestamp.as_ref().map(|created| created.0);
        if let Some(failure) = out_of_time(created, now(), self.context.request_options, message) {
            return self.fail(&failure).await;
        }
        self.announce(&Wait { is_warning: true, ..Wait::new(reasons::RETRYABLE_ERROR, message) });
        Ok(self.show(Progress::Retrying(message)).await?.unwrap_or(Next::Failed))
    }

    /// The answer takes its time, and the request shows that (`docs/conformance.md`, A05). If that cannot be
    /// written, neither can the result, which tells it.
    pub async fn start(&mut self) -> Result<(), ReconcileError> {
        let Some(write) = encoded(self.request().in_progress(Progress::Started, now()))? else {
            return Ok(());
        };
        if let Put::Written(version) = self.put(write).await? {
            let mut written = self.request().clone();
            written.meta_mut().resource_version = Some(version);
            self.written = Some(written);
        }
        Ok(())
    }

    /// Writes why the request has no result yet, if its kind shows that. `None` if nothing prevented it.
    async fn show(&self, progress: Progress<'_>) -> Result<Option<Next>, ReconcileError> {
        let Some(write) = encoded(self.request().in_progress(progress, now()))? else { return Ok(None) };
        Ok(match self.put(write).await? {
            Put::Written(_) => None,
            Put::Discarded => Some(Next::Failed),
            Put::Refused => Some(Next::Refused),
        })
    }

    /// Writes the result.
    async fn end(&self, write: StatusWrite) -> Result<Next, ReconcileError> {
        self.table.end_wait(self.job, reasons::RESULT_NOT_WRITTEN);
        Ok(match self.put(write).await? {
            Put::Written(_) => {
                self.table.close(self.job);
                Next::OnChange
            }
            Put::Discarded => {
                self.context.metrics.requests.ended(K::API, RequestOutcome::Discarded);
                Next::Failed
            }
            Put::Refused => Next::Refused,
        })
    }

    /// Writes the status of the very object that was checked. If it was changed, replaced or deleted
    /// meanwhile, what was to be written is discarded, and the watch reports the new state. But a conflict
    /// does not prove that there is one: an admission webhook can answer so, too. Therefore the request is
    /// tried again, unless the watch is faster.
    ///
    /// The code counts and not the reason: an API server that does not serve the kind any more answers 404
    /// with a text that is no `Status`.
    async fn put(&self, write: StatusWrite) -> Result<Put, ReconcileError> {
        match write_status(&self.context.client, self.request(), write).await {
            Ok(version) => Ok(Put::Written(version)),
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(Put::Discarded),
            Err(error) => {
                if let kube::Error::Api(answer) = &error
                    && is_refused_for_good(&error)
                {
                    self.refused(answer, is_too_large(&error));
                    return Ok(Put::Refused);
                }
                Err(error.into())
            }
        }
    }

    /// The result cannot be written until somebody changes something. It is told once.
    fn refused(&self, answer: &Status, is_too_large: bool) {
        let Self { job, context, .. } = self;
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
        self.announce(&wait);
    }

    /// Tells by an Event why the request waits. Returns false if it must be told later.
    pub fn announce(&self, wait: &Wait) -> bool {
        announce(self.job, wait, self.table, &self.context.events)
    }
}

/// An error of encoding is told as an error of the write would be.
fn encoded<T>(result: serde_json::Result<T>) -> Result<T, ReconcileError> {
    result.map_err(|error| kube::Error::SerdeError(error).into())
}

/// The failure of a request that was created so long ago that it is not tried again. One without a readable
/// time of creation is tried for ever.
fn out_of_time(
    created: Option<Timestamp>,
    now: Timestamp,
    options: RequestOptions,
    message: &str,
) -> Option<Failure> {
    let limit = SignedDuration::try_from(options.max_retry).ok()?;
    (now.duration_since(created?) > limit).then(|| Failure {
        reason: reasons::RETRIES_EXHAUSTED,
        message: format!(
            "it could not be signed within {:?} after its creation: {message}",
            options.max_retry
        ),
        remedy: None,
        is_invalid: false,
    })
}

/// One Event tells why a request waits. Returns false if it found no place and must be announced later.
fn announce<K: RequestKind>(
    job: &Job<K>,
    wait: &Wait,
    table: &RequestTable<K>,
    events: &EventPublisher,
) -> bool {
    if !table.start_wait(job, wait.reason) {
        return true;
    }
    let Wait { reason, message, is_warning, blamed_issuer } = wait;
    let text = EventText { warning: *is_warning, reason, action: ACTION, message };
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
            is_warning: true,
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

    #[test]
    fn a08_errors_are_tried_again_until_the_request_is_too_old() {
        let options = RequestOptions { max_retry: Duration::from_mins(1), status_ca: true };
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let failure = |created: Option<i64>| out_of_time(created.map(at), at(1_000), options, "no answer");
        assert_eq!(failure(Some(940)), None, "exactly the limit");
        assert_eq!(failure(None), None);
        assert_eq!(failure(Some(2_000)), None, "the clocks differ");
        let failure = failure(Some(939)).unwrap();
        assert_eq!(failure.reason, "RetriesExhausted");
        assert!(failure.message.contains("60s") && failure.message.ends_with("no answer"), "{failure:?}");
        assert!(!failure.is_invalid, "the same request may succeed at another time");
    }
}
