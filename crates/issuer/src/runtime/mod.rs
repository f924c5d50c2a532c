//! Wires watches, queues and reconcilers together and runs them.

pub mod admission_check;
pub mod admission_gate;
pub mod admission_policies;
pub mod client;
pub mod controller;
pub mod garbage_collector;
pub mod guarded;
pub mod health;
pub mod log;
pub mod metrics;
mod most_recent;
pub mod request_tasks;
pub mod tasks;
pub mod unreadable;
pub mod watch;
pub mod watch_dependencies;
pub mod watch_issuers;
pub mod watch_service_namespace;

use crate::access::Access;
use crate::context::Context;
use crate::context::announced_waits::AnnouncedWaits;
use crate::context::backoff::Backoff;
use crate::context::cached::Cached;
use crate::context::caches::{Caches, Listed};
use crate::context::events::{EventPublisher, EventQueue};
use crate::context::issuer_index::IssuerIndex;
use crate::context::queues::Queues;
use crate::context::status_cache::StatusCache;
use crate::enclave_client::EnclaveLink;
use crate::issuer::{Issuer, reconcile};
use crate::requests::csr::KubernetesCsr;
use crate::settings::Settings;
use admission_gate::AdmissionGate;
use anyhow::Context as _;
use futures::FutureExt as _;
use guarded::Unreadable;
use kube::Api;
use kube::runtime::reflector;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use metrics::Metrics;
use request_tasks::RequestTasks;
use std::sync::Arc;
use tasks::Tasks;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::Endpoint;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, channel, unbounded_channel};
use tokio_util::sync::CancellationToken;
use unreadable::UnreadableObjects;
use watch::Watch;

/// Issuers of one kind that are reconciled at the same time.
const ISSUER_CONCURRENCY: u16 = 8;
/// Maximum number of unreadable objects that wait to be announced.
const MAX_ANNOUNCED: usize = 64;

/// Runs the controller until `stop`. If a task ends early, all end.
///
/// # Errors
///
/// If an address cannot be bound, the configuration of the Kubernetes API is missing or broken, or a task
/// ends early.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    // The binary sets up the log. A new setting does not compile until it is named here.
    let Settings { enclave, health_bind_address, metrics_bind_address, log: _, log_format: _ } = settings;
    let probes = TcpListener::bind(health_bind_address).await.context("health-bind-address")?;
    let metrics = TcpListener::bind(metrics_bind_address).await.context("metrics-bind-address")?;
    tracing::info!(health = %probes.local_addr()?, metrics = %metrics.local_addr()?, "listening");

    // One entry for each request API that is served.
    let apis = vec![RequestTasks::of::<KubernetesCsr>()];
    let (context, ends) = connect(enclave, &apis, &stop).await?;

    let mut tasks = Tasks::new(stop.clone());
    start_watches(&mut tasks, ends, &context);
    for api in apis {
        api.start(&mut tasks, &context);
    }
    let serving = health::serve_probes(probes, Arc::clone(&context), stop.clone());
    tasks.spawn(serving.map(|ended| ended.context("probes")));
    let serving = health::serve_metrics(metrics, Arc::clone(&context), stop);
    tasks.spawn(serving.map(|ended| ended.context("metrics")));
    tasks.until_one_ends().await
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

/// Connects to the Kubernetes API, begins to connect to the enclave, and makes the context.
async fn connect(
    enclave: Endpoint,
    apis: &[RequestTasks],
    stop: &CancellationToken,
) -> anyhow::Result<(Arc<Context>, Ends)> {
    let (client, clock) =
        client::client().await.context("the configuration of the Kubernetes API is missing or broken")?;
    let enclave = EnclaveLink::start(enclave, stop.clone());
    let policies = admission_policies::expected().context("the manifest that is compiled in")?;
    let admission = AdmissionGate::start(&client, policies, stop);
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
        enclave,
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
        waits: AnnouncedWaits::default(),
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
fn start_watches(tasks: &mut Tasks, ends: Ends, context: &Arc<Context>) {
    let shared = || Arc::clone(context);
    let (client, caches) = (&context.client, &context.caches);
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&caches.unreadable));
    let listed = caches.issuers_listed.clone();
    tasks.spawn(watch_issuers::watch_issuers(watch, ends.issuer_writer, listed, shared()));
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&caches.unreadable));
    let listed = caches.cluster_issuers_listed.clone();
    tasks.spawn(watch_issuers::watch_issuers(watch, ends.cluster_issuer_writer, listed, shared()));
    let watch =
        Watch::new(Api::namespaced(client.clone(), SERVICE_NAMESPACE), Arc::clone(&caches.unreadable));
    tasks.spawn(watch_service_namespace::watch_attestations(watch, shared()));
    let watch =
        Watch::new(Api::namespaced(client.clone(), SERVICE_NAMESPACE), Arc::clone(&caches.unreadable));
    tasks.spawn(watch_service_namespace::watch_secrets(watch, shared()));
    tasks.spawn(ends.events.publish_all(client.clone()));
    tasks.spawn(watch_dependencies::announce_unreadable(ends.unreadable, shared()));
    tasks.spawn(watch_dependencies::watch_enclave(context.enclave.clone(), shared()));
    tasks.spawn(watch_dependencies::watch_enclave_health(context.enclave.clone(), shared()));
    tasks.spawn(watch_dependencies::watch_admission(context.admission.clone(), shared()));
    tasks.spawn(garbage_collector::run(ends.garbage_collection, shared()));

    let store = caches.issuers.clone();
    tasks.spawn(controller::run(ends.issuers, store, ISSUER_CONCURRENCY, shared(), |issuer, context| {
        reconcile::reconcile(Issuer::from(issuer.shared()), context).boxed()
    }));
    let store = caches.cluster_issuers.clone();
    let queue = ends.cluster_issuers;
    tasks.spawn(controller::run(queue, store, ISSUER_CONCURRENCY, shared(), |issuer, context| {
        reconcile::reconcile(Issuer::from(issuer.shared()), context).boxed()
    }));
}
