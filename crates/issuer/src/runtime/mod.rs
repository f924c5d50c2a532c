//! Wires watches, queues and reconcilers together and runs them.

pub mod admission_check;
pub mod admission_gate;
pub mod admission_policies;
pub mod api_text;
pub mod client;
pub mod controller;
pub mod garbage_collector;
pub mod guarded;
pub mod health;
pub mod lease;
pub mod log;
pub mod metrics;
#[cfg(test)]
mod metrics_page;
mod most_recent;
pub mod request_metrics;
pub mod request_tasks;
pub mod rights;
pub mod scrape;
pub mod standby;
pub mod tasks;
pub mod unreadable;
pub mod watch;
pub mod watch_backoff;
pub mod watch_dependencies;
pub mod watch_issuers;
pub mod watch_service_namespace;

use crate::access::Access;
use crate::context::Context;
use crate::context::backoff::Backoff;
use crate::context::cached::Cached;
use crate::context::caches::{Caches, Listed};
use crate::context::events::{EventPublisher, EventQueue};
use crate::context::issuer_index::IssuerIndex;
use crate::context::lifetimes::Lifetimes;
use crate::context::queues::Queues;
use crate::context::status_cache::StatusCache;
use crate::enclave_client::EnclaveLink;
use crate::issuer::{Issuer, reconcile};
use crate::requests::certificaterequest::CertificateRequest;
use crate::requests::csr::KubernetesCsr;
use crate::requests::options::RequestOptions;
use crate::requests::table::budget::Budget;
use crate::settings::Settings;
use admission_gate::AdmissionGate;
use anyhow::Context as _;
use client::Clients;
use futures::FutureExt as _;
use guarded::Unreadable;
use kube::Api;
use kube::runtime::reflector;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use lease::elector::{Elector, LeadershipLost};
use lease::identity::identity;
use lease::leadership::Leadership;
use metrics::Metrics;
use request_tasks::RequestTasks;
use std::sync::Arc;
use std::time::Duration;
use tasks::TaskGroups;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::Endpoint;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, channel, unbounded_channel};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use unreadable::UnreadableObjects;
use watch::Watch;

/// Issuers of one kind that are reconciled at the same time.
const ISSUER_CONCURRENCY: u16 = 8;
/// Maximum number of unreadable objects that wait to be announced.
const MAX_ANNOUNCED: usize = 64;

/// How long the controller may take to finish what it has begun when it is asked to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Runs the controller until `stop`. Then it finishes what it has begun and releases the Lease. If a task
/// ends early, all end.
///
/// # Errors
///
/// If an address cannot be bound, the configuration of the Kubernetes API is missing or broken, the
/// leadership is lost, or a task ends early.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    // The binary sets up the log. A new setting does not compile until it is named here.
    let Settings {
        enclave,
        health_bind_address,
        metrics_bind_address,
        log: _,
        log_format: _,
        requests,
        leader_election,
    } = settings;
    let timings = leader_election.timings()?;
    let probes = TcpListener::bind(health_bind_address).await.context("health-bind-address")?;
    let metrics = TcpListener::bind(metrics_bind_address).await.context("metrics-bind-address")?;
    tracing::info!(health = %probes.local_addr()?, metrics = %metrics.local_addr()?, "listening");

    // One entry for each request API that is served. Together they take no more memory than one may.
    let budget = Budget::default();
    let apis =
        vec![RequestTasks::of::<KubernetesCsr>(&budget), RequestTasks::of::<CertificateRequest>(&budget)];
    let end = CancellationToken::new();
    let leadership = Leadership::default();
    let clients = client::clients(&leadership).await;
    let clients = clients.context("the configuration of the Kubernetes API is missing or broken")?;
    let elector = Elector::new(clients.lease.clone(), identity()?, timings, leadership.clone());
    let (context, ends) = connect(enclave, clients, leadership, &apis, requests, stop, &end)?;

    let mut tasks = TaskGroups::new(&end);
    start_tasks(&mut tasks, ends, &context);
    for api in apis {
        api.start(&mut tasks, &context);
    }
    let serving = health::serve_probes(probes, Arc::clone(&context), end.clone());
    tasks.services.spawn(serving.map(|ended| ended.context("probes")));
    let serving = health::serve_metrics(metrics, Arc::clone(&context), end.clone());
    tasks.services.spawn(serving.map(|ended| ended.context("metrics")));
    run_while_leading(elector, tasks, &context, &end).await
}

/// Why the controller ends.
enum End {
    /// It was asked to.
    Asked,
    /// Its leadership was lost. There is no Lease to release.
    LeadershipLost(anyhow::Error),
    /// A task ended early.
    TaskEnded(anyhow::Error),
}

/// Competes for the Lease, and ends everything in the right order: the workers, then the rest, then the
/// leadership.
async fn run_while_leading(
    elector: Elector,
    mut tasks: TaskGroups,
    context: &Context,
    end: &CancellationToken,
) -> anyhow::Result<()> {
    let release = CancellationToken::new();
    let mut election = tokio::spawn(elector.run(release.clone()));
    let why = tokio::select! {
        biased;
        ended = &mut election => End::LeadershipLost(lost(ended)),
        () = context.draining.cancelled() => End::Asked,
        error = tasks.first_end() => End::TaskEnded(error),
    };
    if matches!(why, End::Asked) && !tasks.drained(DRAIN_LIMIT).await {
        tracing::warn!("what was begun was not finished within {DRAIN_LIMIT:?}; the next leader does it");
    }
    end.cancel();
    tasks.join().await;
    release.cancel();
    match why {
        End::LeadershipLost(error) => Err(error),
        End::Asked => Ok(election.await??),
        End::TaskEnded(error) => {
            let _ = election.await;
            Err(error)
        }
    }
}

/// The error of an election that ended before the Lease was to be released.
fn lost(ended: Result<Result<(), LeadershipLost>, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow::anyhow!("the election ended by itself"),
        Ok(Err(lost)) => lost.into(),
        Err(error) => error.into(),
    }
}

/// The ends of the caches and queues that tasks write to and read from.
struct Ends {
    issuer_writer: Writer<Cached<TCSIssuer>>,
    cluster_issuer_writer: Writer<Cached<TCSClusterIssuer>>,
    issuers: UnboundedReceiver<ObjectRef<Cached<TCSIssuer>>>,
    cluster_issuers: UnboundedReceiver<ObjectRef<Cached<TCSClusterIssuer>>>,
    garbage_collection: UnboundedReceiver<()>,
    unreadable: Receiver<Box<Unreadable>>,
    events: EventQueue,
}

/// Begins to connect to the enclave, and makes the context.
fn connect(
    enclave: Endpoint,
    clients: Clients,
    leadership: Leadership,
    apis: &[RequestTasks],
    request_options: RequestOptions,
    draining: CancellationToken,
    end: &CancellationToken,
) -> anyhow::Result<(Arc<Context>, Ends)> {
    let Clients { client, clock, rights, .. } = clients;
    let enclave = EnclaveLink::start(enclave, leadership.clone(), end.clone());
    let policies = admission_policies::expected().context("the manifest that is compiled in")?;
    let admission = AdmissionGate::start(&client, policies, end);
    let (issuers, issuer_writer) = reflector::store();
    let (cluster_issuers, cluster_issuer_writer) = reflector::store();
    let (issuer_queue, queued_issuers) = unbounded_channel();
    let (cluster_issuer_queue, queued_cluster_issuers) = unbounded_channel();
    let (garbage_collection_queue, garbage_collection) = unbounded_channel();
    let (announce, announced) = channel(MAX_ANNOUNCED);
    let metrics = Metrics::default();
    let (publisher, events) = EventPublisher::new(metrics.events_dropped.clone());
    let context = Context {
        clock,
        rights,
        enclave,
        leadership,
        draining,
        admission,
        access: Access::default(),
        caches: Caches {
            issuers,
            cluster_issuers,
            index: IssuerIndex::default(),
            issuers_listed: Listed::default(),
            cluster_issuers_listed: Listed::default(),
            unreadable: Arc::new(UnreadableObjects::new(&metrics, announce)),
        },
        request_options,
        requests: apis.iter().map(|api| Arc::clone(&api.requests)).collect(),
        queues: Queues {
            issuers: issuer_queue,
            cluster_issuers: cluster_issuer_queue,
            garbage_collection: garbage_collection_queue,
        },
        events: publisher,
        client,
        metrics,
        statuses: StatusCache::default(),
        lifetimes: Lifetimes::default(),
        backoff: Backoff::default(),
    };
    let ends = Ends {
        issuer_writer,
        cluster_issuer_writer,
        issuers: queued_issuers,
        cluster_issuers: queued_cluster_issuers,
        garbage_collection,
        unreadable: announced,
        events,
    };
    Ok((Arc::new(context), ends))
}

/// Starts the watches and the reconcilers of issuers.
fn start_tasks(tasks: &mut TaskGroups, ends: Ends, context: &Arc<Context>) {
    let TaskGroups { workers, services } = tasks;
    let shared = || Arc::clone(context);
    let (client, caches) = (&context.client, &context.caches);
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&caches.unreadable));
    let listed = caches.issuers_listed.clone();
    services.spawn(watch_issuers::watch_issuers(watch, ends.issuer_writer, listed, shared()));
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&caches.unreadable));
    let listed = caches.cluster_issuers_listed.clone();
    services.spawn(watch_issuers::watch_issuers(watch, ends.cluster_issuer_writer, listed, shared()));
    let watch =
        Watch::new(Api::namespaced(client.clone(), SERVICE_NAMESPACE), Arc::clone(&caches.unreadable));
    services.spawn(watch_service_namespace::watch_attestations(watch, shared()));
    let watch =
        Watch::new(Api::namespaced(client.clone(), SERVICE_NAMESPACE), Arc::clone(&caches.unreadable));
    services.spawn(watch_service_namespace::watch_secrets(watch, shared()));
    services.spawn(ends.events.publish_all(context.client.clone(), context.leadership.clone()));
    services.spawn(watch_dependencies::announce_unreadable(ends.unreadable, shared()));
    services.spawn(watch_dependencies::watch_enclave(context.enclave.clone(), shared()));
    services.spawn(watch_dependencies::watch_enclave_health(context.enclave.clone(), shared()));
    services.spawn(watch_dependencies::watch_admission(context.admission.clone(), shared()));
    workers.spawn(garbage_collector::run(ends.garbage_collection, shared()));

    let store = caches.issuers.clone();
    workers.spawn(controller::run(ends.issuers, store, ISSUER_CONCURRENCY, shared(), |issuer, context| {
        reconcile::reconcile(Issuer::from(issuer.shared()), context).boxed()
    }));
    let store = caches.cluster_issuers.clone();
    let queue = ends.cluster_issuers;
    workers.spawn(controller::run(queue, store, ISSUER_CONCURRENCY, shared(), |issuer, context| {
        reconcile::reconcile(Issuer::from(issuer.shared()), context).boxed()
    }));
}
