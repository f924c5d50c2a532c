//! Serves one request API: its cache, its watch and its reconciler.

use crate::context::Context;
use crate::context::caches::Listed;
use crate::context::queues::OpenRequests;
use crate::requests::queue::RequestQueue;
use crate::requests::{RequestKind, Triage, reconcile};
use crate::runtime::controller;
use crate::runtime::tasks::TaskGroups;
use crate::runtime::watch::{GuardedEvent, Watch, remove_from};
use futures::FutureExt as _;
use kube::ResourceExt as _;
use kube::runtime::reflector;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc::unbounded_channel;

/// Requests that are reconciled at the same time. The enclave signs them, with one worker per core.
const CONCURRENCY: u16 = 16;

/// Starts the tasks of a request API.
type Start = Box<dyn FnOnce(&mut TaskGroups, &Arc<Context>) + Send>;

/// The tasks that serve one request API.
pub struct RequestTasks {
    /// Its open requests.
    pub requests: Arc<dyn OpenRequests>,
    start: Start,
}

impl RequestTasks {
    /// The tasks for requests of this kind.
    pub fn of<K: RequestKind>() -> Self {
        let (store, writer) = reflector::store();
        let (queue, queued) = unbounded_channel();
        let requests = Arc::new(RequestQueue::<K> { store, queue, listed: Listed::default() });
        let watched = Arc::clone(&requests);
        let start = move |tasks: &mut TaskGroups, context: &Arc<Context>| {
            let unreadable = Arc::clone(&context.caches.unreadable);
            let watch = Watch::new(K::api(context.client.clone()), unreadable);
            let store = watched.store.clone();
            tasks.services.spawn(watch_requests(watch, writer, watched, Arc::clone(context)));
            tasks.workers.spawn(controller::run(
                queued,
                store,
                CONCURRENCY,
                Arc::clone(context),
                |request, context| reconcile::reconcile(request, context).boxed(),
            ));
        };
        Self { requests, start: Box::new(start) }
    }

    /// Starts its tasks.
    pub fn start(self, tasks: &mut TaskGroups, context: &Arc<Context>) {
        (self.start)(tasks, context);
    }
}

/// Keeps the cache of open requests for the service's signers. Requests for other signers and those that need
/// no signature are not stored.
async fn watch_requests<K: RequestKind>(
    mut watch: Watch<K>,
    mut writer: Writer<K>,
    requests: Arc<RequestQueue<K>>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    let mut open = HashSet::new();
    while let Some(event) = watch.next().await {
        let event = match event {
            GuardedEvent::Event(event) => event,
            GuardedEvent::Unreadable(unreadable) | GuardedEvent::Deleted(unreadable) => {
                context.waits.close(unreadable.metadata.uid.as_deref().unwrap_or_default());
                remove_from(&mut writer, &unreadable);
                continue;
            }
        };
        match event {
            Event::Apply(request) if request.triage() == Triage::Ignore => {
                context.waits.close(&request.uid().unwrap_or_default());
                writer.apply_watcher_event(&Event::Delete(request));
            }
            Event::InitApply(request) if request.triage() == Triage::Ignore => {}
            Event::Apply(request) => {
                context.waits.open(K::API, &request.uid().unwrap_or_default());
                let reference = ObjectRef::from_obj(&request);
                writer.apply_watcher_event(&Event::Apply(request));
                requests.enqueue_one(reference);
            }
            Event::Delete(request) => {
                context.waits.close(&request.uid().unwrap_or_default());
                writer.apply_watcher_event(&Event::Delete(request));
            }
            Event::InitApply(request) => {
                let uid = request.uid().unwrap_or_default();
                context.waits.open(K::API, &uid);
                open.insert(uid);
                writer.apply_watcher_event(&Event::InitApply(request));
            }
            Event::Init => {
                open.clear();
                writer.apply_watcher_event(&Event::Init);
            }
            Event::InitDone => {
                writer.apply_watcher_event(&Event::InitDone);
                context.waits.retain(K::API, &std::mem::take(&mut open));
                requests.listed.set();
                requests.enqueue(&|_| true);
            }
        }
    }
    anyhow::bail!("the watch of {} ended", K::kind(&()))
}
