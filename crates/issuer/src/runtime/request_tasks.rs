//! Serves one request API: its watch and its workers.

use crate::context::Context;
use crate::context::queues::OpenRequests;
use crate::requests::table::RequestTable;
use crate::requests::table::budget::Budget;
use crate::requests::{RequestKind, Triage, workers};
use crate::runtime::tasks::TaskGroups;
use crate::runtime::unreadable::ObjectName;
use crate::runtime::watch::{GuardedEvent, Watch};
use kube::runtime::watcher::Event;
use std::collections::HashSet;
use std::sync::Arc;

/// Requests that are reconciled at the same time. Most of the time they wait for the API server, which stores
/// together what is written at the same time, so that fewer would leave it idle.
const WORKERS: usize = 32;

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
    /// They take their memory from this budget.
    pub fn of<K: RequestKind>(budget: &Budget) -> Self {
        let table = Arc::new(RequestTable::<K>::new(budget.beside()));
        let requests = Arc::clone(&table);
        let start = move |tasks: &mut TaskGroups, context: &Arc<Context>| {
            context.metrics.requests.serve(K::API);
            let unreadable = Arc::clone(&context.caches.unreadable);
            let watch = Watch::new(K::api(context.client.clone()), unreadable);
            tasks.services.spawn(watch_requests(watch, Arc::clone(&table)));
            for _ in 0..WORKERS {
                tasks.workers.spawn(workers::work(Arc::clone(&table), Arc::clone(context)));
            }
            tasks.services.spawn(async move {
                table.wake_delayed().await;
                Ok(())
            });
        };
        Self { requests, start: Box::new(start) }
    }

    /// Starts its tasks.
    pub fn start(self, tasks: &mut TaskGroups, context: &Arc<Context>) {
        (self.start)(tasks, context);
    }
}

/// Keeps the table of open requests for the service's signers. Requests for other signers and those that
/// need no signature are not stored.
async fn watch_requests<K: RequestKind>(
    mut watch: Watch<K>,
    table: Arc<RequestTable<K>>,
) -> anyhow::Result<()> {
    let mut listed = HashSet::new();
    while let Some(event) = watch.next().await {
        let event = match event {
            GuardedEvent::Event(event) => event,
            GuardedEvent::Unreadable(unreadable) | GuardedEvent::Deleted(unreadable) => {
                table.remove(&ObjectName::of(&unreadable.metadata));
                continue;
            }
            // There are no objects of a kind that does not exist.
            GuardedEvent::UnknownKind => {
                table.retain(&HashSet::new());
                table.listed.set();
                continue;
            }
        };
        match event {
            Event::Apply(request) if request.triage() == Triage::Ignore => {
                table.remove(&ObjectName::of(request.meta()));
            }
            Event::InitApply(request) if request.triage() == Triage::Ignore => {}
            Event::Apply(request) => table.apply(request),
            Event::Delete(request) => table.remove(&ObjectName::of(request.meta())),
            Event::InitApply(request) => {
                listed.insert(ObjectName::of(request.meta()));
                table.apply(request);
            }
            Event::Init => listed.clear(),
            Event::InitDone => {
                table.retain(&std::mem::take(&mut listed));
                table.listed.set();
            }
        }
    }
    anyhow::bail!("the watch of {} ended", K::kind(&()))
}
