//! What every reconciler shares: the client, the enclave, the watch caches and the queues into the reconcilers.

use crate::clock::ServerClock;
use crate::enclave::EnclaveLink;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::requests::csr::KubernetesCsr;
use crate::runtime::admission_gate::AdmissionGate;
use crate::runtime::watch::UnreadableObjects;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource as _};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{IssuerStatus, TCSClusterIssuer, TCSIssuer};
use tokio::sync::mpsc::UnboundedSender;

const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Marks that the first listing of a kind is complete.
#[derive(Default)]
pub struct Synced {
    /// Issuers of namespaces.
    pub issuers: AtomicBool,
    /// Issuers of the cluster.
    pub cluster_issuers: AtomicBool,
    /// Certificate requests.
    pub requests: AtomicBool,
}

impl Synced {
    /// Whether issuers of both kinds are listed.
    pub fn all_issuers(&self) -> bool {
        self.issuers.load(Ordering::Acquire) && self.cluster_issuers.load(Ordering::Acquire)
    }
}

/// Shared by all reconcilers.
pub struct Context {
    /// Client to the API server.
    pub client: Client,
    /// What time it is there.
    pub clock: ServerClock,
    /// The enclave.
    pub enclave: EnclaveLink,
    /// Whether the admission policies that limit us are in force: otherwise no certificate is signed, and nothing but statuses and Events is written.
    pub admission: AdmissionGate,
    /// Issuers as watched.
    pub issuers: Store<TCSIssuer>,
    /// Cluster issuers as watched.
    pub cluster_issuers: Store<TCSClusterIssuer>,
    /// Open requests for our signers as watched.
    pub requests: Store<KubernetesCsr>,
    /// Watched objects that cannot be decoded.
    pub unreadable: Arc<UnreadableObjects>,
    /// Publishes Events.
    pub recorder: Recorder,
    /// Metrics.
    pub metrics: Metrics,
    /// Which caches are filled.
    pub synced: Synced,
    /// Asks for a reconcile of an issuer.
    pub issuer_queue: UnboundedSender<ObjectRef<TCSIssuer>>,
    /// Asks for a reconcile of a cluster issuer.
    pub cluster_issuer_queue: UnboundedSender<ObjectRef<TCSClusterIssuer>>,
    /// Asks for a reconcile of a request.
    pub request_queue: UnboundedSender<ObjectRef<KubernetesCsr>>,
    /// Asks for a sweep of what deleted issuers left.
    pub sweep_queue: UnboundedSender<()>,
    /// What was written and said a moment ago.
    pub memory: Memory,
}

/// What the controller remembers besides its caches; all of it can be lost.
#[derive(Default)]
pub struct Memory {
    /// Statuses written, by issuer UID, until the watch has caught up: a refused delivery must not be tried again
    /// because the cache is a moment behind.
    written: Mutex<HashMap<String, (u64, IssuerStatus)>>,
    /// Why a request waits, by its UID: one Event for one reason.
    waiting: Mutex<HashMap<String, &'static str>>,
    /// How often a pass over an object failed in a row.
    failures: Mutex<HashMap<String, u32>>,
}

impl Context {
    /// What keeps the service from working, for the readiness probe; empty when nothing does.
    pub fn not_ready_because(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.synced.all_issuers() {
            missing.push("issuers are not listed yet".to_owned());
        }
        if !self.synced.requests.load(Ordering::Acquire) {
            missing.push("certificate requests are not listed yet".to_owned());
        }
        if self.enclave.connected().is_none() {
            missing.push("no enclave answers".to_owned());
        }
        missing.extend(self.admission.refusal().map(|why| why.to_string()));
        missing
    }

    /// The issuers of both kinds, as watched.
    pub fn all_issuers(&self) -> Vec<Issuer> {
        let cluster = self.cluster_issuers.state();
        let namespaced = self.issuers.state();
        let cluster = cluster.iter().map(|issuer| Issuer::from(&**issuer));
        namespaced.iter().map(|issuer| Issuer::from(&**issuer)).chain(cluster).collect()
    }

    /// The issuer of a signer name, as watched.
    pub fn issuer(&self, signer: &SignerName) -> Option<Issuer> {
        match signer {
            SignerName::Namespaced { namespace, name } => {
                self.issuers.get(&ObjectRef::new(name).within(namespace)).map(|found| Issuer::from(&*found))
            }
            SignerName::Cluster { name } => {
                self.cluster_issuers.get(&ObjectRef::new(name)).map(|found| Issuer::from(&*found))
            }
        }
    }

    /// Why the issuer of a signer name cannot be read, if it exists and cannot.
    pub fn why_unreadable(&self, signer: &SignerName) -> Option<String> {
        match signer {
            SignerName::Namespaced { namespace, name } => {
                self.unreadable.why(&TCSIssuer::kind(&()), Some(namespace), name)
            }
            SignerName::Cluster { name } => self.unreadable.why(&TCSClusterIssuer::kind(&()), None, name),
        }
    }

    /// The UIDs of all issuers that exist, those that cannot be read among them.
    ///
    /// Fails with a sentence if that cannot be known.
    pub fn existing_issuers(&self) -> Result<HashSet<String>, String> {
        let kinds = [TCSIssuer::kind(&()), TCSClusterIssuer::kind(&())];
        let readable = || self.all_issuers().iter().map(Issuer::uid).collect();
        self.unreadable.existing(&kinds.each_ref().map(AsRef::as_ref), readable)
    }

    /// Asks for a reconcile of this issuer.
    pub fn call(&self, issuer: &Issuer) {
        match issuer {
            Issuer::Namespaced(issuer) => {
                let _ = self.issuer_queue.send(ObjectRef::from_obj(issuer));
            }
            Issuer::Cluster(issuer) => {
                let _ = self.cluster_issuer_queue.send(ObjectRef::from_obj(issuer));
            }
        }
    }

    /// Asks for a reconcile of every issuer.
    pub fn call_all(&self) {
        self.all_issuers().iter().for_each(|issuer| self.call(issuer));
    }

    /// Calls the open requests that wait for this issuer if it signs, or all.
    pub fn wake_requests(&self, issuer: Option<&Issuer>) {
        if issuer.is_some_and(|issuer| !issuer.signs()) {
            return;
        }
        self.wake_requests_of(|signer| issuer.is_none_or(|issuer| issuer.is_named(signer)));
    }

    /// Calls the open requests for these signers.
    pub fn wake_requests_of(&self, is_one: impl Fn(&SignerName) -> bool) {
        for request in self.requests.state() {
            if SignerName::parse(&request.spec.signer_name).is_some_and(|signer| is_one(&signer)) {
                let _ = self.request_queue.send(ObjectRef::from_obj(&*request));
            }
        }
    }

    /// Publishes an Event. Events are help for people: one that cannot be published fails nothing.
    pub async fn note(
        &self,
        object: &ObjectReference,
        warning: bool,
        reason: &str,
        action: &str,
        message: &str,
    ) {
        let type_ = if warning { EventType::Warning } else { EventType::Normal };
        // The API takes at most 1024 bytes.
        let note = Some(message.chars().filter(char::is_ascii).take(1000).collect());
        let event = Event { type_, reason: reason.into(), note, action: action.into(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, object).await {
            tracing::warn!(%error, reason, "an Event could not be published");
        }
    }

    /// The newest status known of an issuer: the watch's, or the one written last if the watch is behind it.
    pub fn newest_status(&self, issuer: &Issuer) -> IssuerStatus {
        let watched = issuer.status().cloned().unwrap_or_default();
        let Ok(mut written) = self.memory.written.lock() else { return watched };
        let uid = issuer.uid();
        match written.get(&uid) {
            Some((version, status)) if issuer.version() < *version => status.clone(),
            Some(_) => {
                written.remove(&uid);
                watched
            }
            None => watched,
        }
    }

    /// Remembers what a status write answered.
    pub fn remember_status(&self, answered: &Issuer) {
        if let Ok(mut written) = self.memory.written.lock() {
            let status = answered.status().cloned().unwrap_or_default();
            written.insert(answered.uid(), (answered.version(), status));
        }
    }

    /// Whether this is the first time that the request waits for this reason.
    pub fn starts_waiting(&self, uid: &str, reason: &'static str) -> bool {
        self.memory
            .waiting
            .lock()
            .is_ok_and(|mut waiting| waiting.insert(uid.to_owned(), reason) != Some(reason))
    }

    /// A pass over the object failed; how long to wait before the next: a second, doubled each time, a minute at most.
    pub fn failed(&self, object: &str) -> Duration {
        let Ok(mut failures) = self.memory.failures.lock() else { return LONGEST_PAUSE };
        let count = failures.entry(object.to_owned()).or_default();
        let pause = Duration::from_secs(1 << (*count).min(6)).min(LONGEST_PAUSE);
        *count = count.saturating_add(1);
        pause
    }

    /// A pass over the object succeeded.
    pub fn succeeded(&self, object: &str) {
        if let Ok(mut failures) = self.memory.failures.lock() {
            failures.remove(object);
        }
    }

    /// The request waits no longer.
    pub fn stops_waiting(&self, uid: &str) {
        if let Ok(mut waiting) = self.memory.waiting.lock() {
            waiting.remove(uid);
        }
    }

    /// Forgets what is remembered of issuers that are gone.
    pub fn forget_issuers_except(&self, alive: &dyn Fn(&str) -> bool) {
        if let Ok(mut written) = self.memory.written.lock() {
            written.retain(|uid, _| alive(uid));
        }
    }
}
