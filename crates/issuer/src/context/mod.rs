//! What all reconcilers share: the client, the enclave, the watch caches and the queues into the reconcilers.

pub mod backoff;
pub mod cached;
pub mod caches;
pub mod events;
pub mod issuer_index;
pub mod lifetimes;
pub mod queues;
pub mod status_cache;

use crate::access::Access;
use crate::clock::ServerClock;
use crate::enclave_client::EnclaveLink;
use crate::issuer::Issuer;
use crate::requests::options::RequestOptions;
use crate::runtime::admission_gate::AdmissionGate;
use crate::runtime::lease::leadership::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::rights::Rights;
use backoff::Backoff;
use caches::Caches;
use events::EventPublisher;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use lifetimes::Lifetimes;
use queues::{OpenRequests, Queues};
use status_cache::StatusCache;
use std::sync::Arc;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::signer::SignerName;
use tokio_util::sync::CancellationToken;

/// Shared by all reconcilers.
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// The API server's clock.
    pub clock: ServerClock,
    /// Whether the API server lets the service read what it must read, and which rights it lacks.
    pub rights: Rights,
    /// The enclave.
    pub enclave: EnclaveLink,
    /// Whether this controller leads. `client` and `enclave` ask it themselves.
    pub leadership: Leadership,
    /// The controller was asked to end: nothing new is begun.
    pub draining: CancellationToken,
    /// Whether the admission policies that limit the service are in force. Otherwise no certificate is
    /// signed, and nothing but statuses and Events is written.
    pub admission: AdmissionGate,
    /// Who may use which issuer.
    pub access: Access,
    /// Issuers as the watches last saw them.
    pub caches: Caches,
    /// The open requests of every request API that is served.
    pub requests: Vec<Arc<dyn OpenRequests>>,
    /// How requests are served.
    pub request_options: RequestOptions,
    /// The queues into the reconcilers.
    pub queues: Queues,
    /// Publishes Events.
    pub events: EventPublisher,
    /// Metrics.
    pub metrics: Metrics,
    /// Statuses that were written and that the watch may not have seen yet.
    pub statuses: StatusCache,
    /// How long the CAs live that the enclave holds.
    pub lifetimes: Lifetimes,
    /// How often the reconcile of each object failed in a row.
    pub backoff: Backoff,
}

impl Context {
    /// Why the service is not ready, for the readiness probe. Empty if it is ready.
    pub fn not_ready_because(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.caches.are_listed() {
            reasons.push("issuers are not listed yet".to_owned());
        }
        if !self.requests.iter().all(|requests| requests.are_listed()) {
            reasons.push("certificate requests are not listed yet".to_owned());
        }
        for resource in ["secrets", "quoteattestations"] {
            if !self.rights.has_read(resource) {
                reasons.push(format!("{resource} in namespace {SERVICE_NAMESPACE} are not read yet"));
            }
        }
        reasons.extend(self.rights.problems());
        reasons.extend(self.leadership.problem());
        reasons.extend(self.enclave.problems());
        reasons.extend(self.admission.refusal().map(|why| why.to_string()));
        reasons
    }

    /// An issuer was deleted: what is kept for it in memory goes, and what belongs to it is collected.
    pub fn forget_issuer(&self, metadata: &ObjectMeta) {
        let uid = metadata.uid.as_deref().unwrap_or_default();
        self.statuses.forget(uid);
        self.lifetimes.forget(uid);
        self.queues.enqueue_garbage_collection();
    }

    /// Enqueues every issuer.
    pub fn enqueue_all_issuers(&self) {
        self.caches.all_issuers().iter().for_each(|issuer| self.queues.enqueue(issuer));
    }

    /// Enqueues the open requests for this issuer, if it signs.
    pub fn enqueue_requests_for(&self, issuer: &Issuer) {
        if issuer.signs() {
            self.enqueue_requests(|signer| issuer.is_named(signer));
        }
    }

    /// Enqueues all open requests.
    pub fn enqueue_all_requests(&self) {
        self.enqueue_requests(|_| true);
    }

    /// Enqueues the open requests for these signers.
    pub fn enqueue_requests(&self, is_one: impl Fn(&SignerName) -> bool) {
        self.requests.iter().for_each(|requests| requests.enqueue(&is_one));
    }
}
