//! Wires watches, queues and reconcilers together and runs until told to stop.

use crate::context::{Context, Memory, Synced};
use crate::enclave::EnclaveLink;
use crate::issuer::Issuer;
use crate::issuers::{self, ReconcileError};
use crate::metrics::Metrics;
use crate::requests::csr::KubernetesCsr;
use crate::requests::{Step, triage};
use crate::runtime::admission_gate::AdmissionGate;
use crate::runtime::admission_policies;
use crate::runtime::client::client;
use crate::runtime::guarded::Unreadable;
use crate::runtime::watch::{Seen, UnreadableObjects, Watch, remove_from};
use crate::settings::Settings;
use crate::{health, signing, sweep};
use anyhow::Context as _;
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config as ApplierConfig, applier};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::{reflector, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::env;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{QuoteAttestation, TCSClusterIssuer, TCSIssuer};
use tcs_api::{SERVICE_NAMESPACE, reasons};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, channel, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Passes over issuers at the same time.
const ISSUER_CONCURRENCY: u16 = 8;
/// Most objects that cannot be read and whose owners are still to be told.
const MOST_ANNOUNCED: usize = 64;
/// How long a sweep waits at most that has failed again and again.
const LONGEST_SWEEP_PAUSE: Duration = Duration::from_mins(1);
/// Passes over requests at the same time; signing itself is the enclave's, with one worker per core.
const REQUEST_CONCURRENCY: u16 = 16;

/// Runs the controller until `stop`; any part that ends early ends all.
pub async fn run(settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let probes = TcpListener::bind(settings.health_bind_address).await.context("health-bind-address")?;
    let metrics = TcpListener::bind(settings.metrics_bind_address).await.context("metrics-bind-address")?;
    tracing::info!(health = %probes.local_addr()?, metrics = %metrics.local_addr()?, "listening");
    let (client, clock) = client().await.context("no way to reach the Kubernetes API")?;
    let enclave = EnclaveLink::start(settings.enclave, stop.clone());

    let policies = admission_policies::expected().context("the manifest that is compiled in")?;
    let admission = AdmissionGate::start(&client, policies, &stop);

    let (issuers, issuer_writer) = reflector::store();
    let (cluster_issuers, cluster_writer) = reflector::store();
    let (requests, request_writer) = reflector::store();
    let (issuer_queue, issuer_refs) = unbounded_channel();
    let (cluster_queue, cluster_refs) = unbounded_channel();
    let (request_queue, request_refs) = unbounded_channel();
    let (sweep_queue, sweeps) = unbounded_channel();
    let by = Reporter { controller: issuers::FIELD_MANAGER.into(), instance: env::var("POD_NAME").ok() };
    let recorder = Recorder::new(client.clone(), by);
    let counted = Metrics::default();
    let (announce, announced) = channel(MOST_ANNOUNCED);
    let unreadable = Arc::new(UnreadableObjects::new(&counted, announce));
    let context = Arc::new(Context {
        client: client.clone(),
        clock,
        enclave: enclave.clone(),
        admission: admission.clone(),
        issuers,
        cluster_issuers,
        requests,
        unreadable: Arc::clone(&unreadable),
        recorder,
        issuer_queue,
        cluster_issuer_queue: cluster_queue,
        request_queue,
        sweep_queue,
        metrics: counted,
        synced: Synced::default(),
        memory: Memory::default(),
    });

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let spawn = |tasks: &mut JoinSet<_>, task: BoxFuture<'static, anyhow::Result<()>>| {
        let stop = stop.clone();
        tasks.spawn(async move { stop.run_until_cancelled(task).await.unwrap_or(Ok(())) });
    };
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&unreadable));
    spawn(&mut tasks, watch_issuers(watch, issuer_writer, Arc::clone(&context)).boxed());
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&unreadable));
    spawn(&mut tasks, watch_issuers(watch, cluster_writer, Arc::clone(&context)).boxed());
    let watch = Watch::new(Api::all(client.clone()), Arc::clone(&unreadable));
    spawn(&mut tasks, watch_requests(watch, request_writer, Arc::clone(&context)).boxed());
    let watch = Watch::new(Api::namespaced(client.clone(), SERVICE_NAMESPACE), Arc::clone(&unreadable));
    spawn(&mut tasks, watch_attestations(watch, Arc::clone(&context)).boxed());
    let watch = Watch::new(Api::namespaced(client, SERVICE_NAMESPACE), unreadable);
    spawn(&mut tasks, watch_secrets(watch, Arc::clone(&context)).boxed());
    spawn(&mut tasks, announce_unreadable(announced, Arc::clone(&context)).boxed());
    spawn(&mut tasks, watch_enclave(enclave, Arc::clone(&context)).boxed());
    spawn(&mut tasks, watch_admission(admission, Arc::clone(&context)).boxed());
    spawn(&mut tasks, sweep_on(sweeps, Arc::clone(&context)).boxed());

    let store = context.issuers.clone();
    spawn(
        &mut tasks,
        drive(issuer_refs, store, ISSUER_CONCURRENCY, Arc::clone(&context), |object, context| {
            issuers::reconcile(Issuer::from(&*object), context).boxed()
        })
        .boxed(),
    );
    let store = context.cluster_issuers.clone();
    spawn(
        &mut tasks,
        drive(cluster_refs, store, ISSUER_CONCURRENCY, Arc::clone(&context), |object, context| {
            issuers::reconcile(Issuer::from(&*object), context).boxed()
        })
        .boxed(),
    );
    let store = context.requests.clone();
    spawn(
        &mut tasks,
        drive(request_refs, store, REQUEST_CONCURRENCY, Arc::clone(&context), |object, context| {
            signing::reconcile(object, context).boxed()
        })
        .boxed(),
    );
    let serving = health::serve_probes(probes, Arc::clone(&context), stop.clone());
    spawn(&mut tasks, serving.map(|ended| ended.context("probes")).boxed());
    let serving = health::serve_metrics(metrics, Arc::clone(&context), stop.clone());
    spawn(&mut tasks, serving.map(|ended| ended.context("metrics")).boxed());

    until_one_ends(tasks, &stop).await
}

/// Any part that ends early ends all.
async fn until_one_ends(
    mut tasks: JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let first = tasks.join_next().await;
    let told = stop.is_cancelled();
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    match first {
        Some(Ok(Ok(()))) | None if told => Ok(()),
        Some(Ok(Ok(()))) | None => anyhow::bail!("a part of the controller ended by itself"),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(error.into()),
    }
}

type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, ReconcileError>>;

/// Feeds a queue of references through a reconciler; never two passes over one object at a time.
async fn drive<K>(
    refs: UnboundedReceiver<ObjectRef<K>>,
    store: Store<K>,
    concurrency: u16,
    context: Arc<Context>,
    reconcile: Reconcile<K>,
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let queue =
        futures::stream::unfold(refs, |mut refs| async move { refs.recv().await.map(|next| (next, refs)) })
            .map(Ok::<_, Infallible>);
    let on_error = |object: Arc<K>, error: &ReconcileError, context: Arc<Context>| {
        context.metrics.errors.inc();
        tracing::warn!(object = %object.name_any(), %error, "reconcile failed, trying again");
        Action::requeue(context.failed(&ObjectRef::from_obj(&*object).to_string()))
    };
    let config = ApplierConfig::default().concurrency(concurrency);
    let known = Arc::clone(&context);
    applier(reconcile, on_error, context, store, queue, config)
        .for_each(|outcome| {
            match outcome {
                Ok((object, _)) => known.succeeded(&object.to_string()),
                Err(error) => tracing::debug!(%error, "reconcile"),
            }
            std::future::ready(())
        })
        .await;
    Ok(())
}

/// Issuers of one kind.
async fn watch_issuers<K>(
    mut watch: Watch<K>,
    mut writer: Writer<K>,
    context: Arc<Context>,
) -> anyhow::Result<()>
where
    K: IssuerKind + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    Issuer: for<'a> From<&'a K>,
{
    while let Some(seen) = watch.next().await {
        let event = match seen {
            Seen::Event(event) => event,
            Seen::Unreadable(unreadable) => {
                remove_from(&mut writer, &unreadable);
                let signer = K::signer(&unreadable.metadata);
                context.wake_requests_of(|named| *named == signer);
                continue;
            }
            Seen::Gone(unreadable) => {
                remove_from(&mut writer, &unreadable);
                let _ = context.sweep_queue.send(());
                continue;
            }
        };
        writer.apply_watcher_event(&event);
        if watch.handled() {
            // A sweep may have waited for it.
            let _ = context.sweep_queue.send(());
        }
        match &event {
            watcher::Event::Apply(issuer) => {
                let issuer = Issuer::from(issuer);
                context.call(&issuer);
                context.wake_requests(Some(&issuer));
            }
            watcher::Event::Delete(_) => {
                let _ = context.sweep_queue.send(());
            }
            watcher::Event::InitDone => {
                // Objects that went while nobody watched show only by their absence.
                K::synced(&context.synced).store(true, Ordering::Release);
                let _ = context.sweep_queue.send(());
                context.call_all();
                context.wake_requests(None);
            }
            watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }
    anyhow::bail!("a watch of issuers ended")
}

/// Tells whoever looks at an object that it cannot be read: its owner does not see the log.
async fn announce_unreadable(
    mut announced: Receiver<Box<Unreadable>>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    while let Some(unreadable) = announced.recv().await {
        let message = format!("{unreadable}; it is left out until it is corrected");
        if !unreadable.name().is_empty() {
            context.note(&unreadable.reference(), true, reasons::OBJECT_UNREADABLE, "Watch", &message).await;
        }
    }
    anyhow::bail!("the queue of unreadable objects ended")
}

/// What differs between the kinds of issuers.
trait IssuerKind {
    /// Which listing tells that issuers of the kind are known.
    fn synced(synced: &Synced) -> &AtomicBool;

    /// The signer name of an issuer of the kind.
    fn signer(metadata: &ObjectMeta) -> SignerName;
}

impl IssuerKind for TCSIssuer {
    fn synced(synced: &Synced) -> &AtomicBool {
        &synced.issuers
    }

    fn signer(metadata: &ObjectMeta) -> SignerName {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        SignerName::Namespaced { namespace: text(&metadata.namespace), name: text(&metadata.name) }
    }
}

impl IssuerKind for TCSClusterIssuer {
    fn synced(synced: &Synced) -> &AtomicBool {
        &synced.cluster_issuers
    }

    fn signer(metadata: &ObjectMeta) -> SignerName {
        SignerName::Cluster { name: metadata.name.clone().unwrap_or_default() }
    }
}

/// Keeps open requests for our signers only: others' and answered ones cost no memory.
async fn watch_requests(
    mut watch: Watch<KubernetesCsr>,
    mut writer: Writer<KubernetesCsr>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    while let Some(seen) = watch.next().await {
        let event = match seen {
            Seen::Event(event) => event,
            Seen::Unreadable(unreadable) | Seen::Gone(unreadable) => {
                context.stops_waiting(unreadable.metadata.uid.as_deref().unwrap_or_default());
                remove_from(&mut writer, &unreadable);
                continue;
            }
        };
        match event {
            watcher::Event::Apply(request) if triage(&request) == Step::Leave => {
                context.stops_waiting(&request.uid().unwrap_or_default());
                writer.apply_watcher_event(&watcher::Event::Delete(request));
            }
            watcher::Event::InitApply(request) if triage(&request) == Step::Leave => {}
            watcher::Event::Apply(request) => {
                let reference = ObjectRef::from_obj(&request);
                writer.apply_watcher_event(&watcher::Event::Apply(request));
                let _ = context.request_queue.send(reference);
            }
            watcher::Event::Delete(request) => {
                context.stops_waiting(&request.uid().unwrap_or_default());
                writer.apply_watcher_event(&watcher::Event::Delete(request));
            }
            event => {
                let done = matches!(event, watcher::Event::InitDone);
                writer.apply_watcher_event(&event);
                if done {
                    context.synced.requests.store(true, Ordering::Release);
                    context.wake_requests(None);
                }
            }
        }
    }
    anyhow::bail!("the watch of certificate requests ended")
}

/// An object of an issuer's name, changed or gone, calls the issuer; its labels may be what was altered.
async fn watch_attestations(mut watch: Watch<QuoteAttestation>, context: Arc<Context>) -> anyhow::Result<()> {
    while let Some(seen) = watch.next().await {
        let name = match seen {
            Seen::Event(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => object.name_any(),
            Seen::Unreadable(object) | Seen::Gone(object) => object.name().to_owned(),
            Seen::Event(watcher::Event::InitDone) => {
                context.call_all();
                continue;
            }
            Seen::Event(watcher::Event::Init | watcher::Event::InitApply(_)) => continue,
        };
        let issuers = context.all_issuers();
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.attestation_name() == name) {
            context.call(issuer);
        }
    }
    anyhow::bail!("the watch of QuoteAttestations ended")
}

/// Metadata only: the content is read once, when a delivery names the Secret.
async fn watch_secrets(
    mut watch: Watch<PartialObjectMeta<Secret>>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    while let Some(seen) = watch.next().await {
        let uid = match seen {
            Seen::Event(watcher::Event::Apply(secret) | watcher::Event::Delete(secret)) => {
                secret.labels().get(tcs_api::labels::ISSUER_UID).cloned()
            }
            Seen::Unreadable(secret) | Seen::Gone(secret) => {
                secret.metadata.labels.and_then(|labels| labels.get(tcs_api::labels::ISSUER_UID).cloned())
            }
            Seen::Event(watcher::Event::InitDone) => None,
            Seen::Event(watcher::Event::Init | watcher::Event::InitApply(_)) => continue,
        };
        // Any issuer that waits for a key may have been promised this Secret; there are few of those. What is sealed of an issuer's
        // key is that issuer's matter.
        let concerned =
            |issuer: &Issuer| issuer.awaits_key() || uid.as_ref().is_some_and(|uid| *uid == issuer.uid());
        for issuer in context.all_issuers().iter().filter(|issuer| concerned(issuer)) {
            context.call(issuer);
        }
    }
    anyhow::bail!("the watch of Secrets ended")
}

/// An enclave that came, went or was replaced concerns every issuer.
async fn watch_enclave(mut link: EnclaveLink, context: Arc<Context>) -> anyhow::Result<()> {
    loop {
        let connected = link.connected();
        context.metrics.enclave_up.set(i64::from(connected.is_some()));
        if let Some(connected) = connected {
            context.metrics.simulated.set(i64::from(connected.identity.simulated));
            let _ = context.sweep_queue.send(());
        }
        if context.synced.all_issuers() {
            context.call_all();
            // Those that found no enclave: nothing changes about an issuer that stays Ready.
            context.wake_requests(None);
        }
        link.changed().await;
    }
}

/// Admission policies that are in force again, or no longer, concern everything.
async fn watch_admission(mut gate: AdmissionGate, context: Arc<Context>) -> anyhow::Result<()> {
    loop {
        gate.changed().await;
        context.metrics.admission_policies_ok.set(i64::from(gate.refusal().is_none()));
        let _ = context.sweep_queue.send(());
        context.call_all();
        context.wake_requests(None);
    }
}

async fn sweep_on(mut queue: UnboundedReceiver<()>, context: Arc<Context>) -> anyhow::Result<()> {
    let mut pause = issuers::RETRY;
    while queue.recv().await.is_some() {
        while queue.try_recv().is_ok() {}
        if !context.synced.all_issuers() {
            continue; // an empty cache would make everything look deleted; the first listing asks again
        }
        let Err(error) = sweep::sweep(&context).await else {
            pause = issuers::RETRY;
            continue;
        };
        tracing::warn!(%error, "the sweep failed, trying again");
        let again = context.sweep_queue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = again.send(());
        });
        pause = pause.saturating_mul(2).min(LONGEST_SWEEP_PAUSE);
    }
    anyhow::bail!("the sweep's queue ended")
}
