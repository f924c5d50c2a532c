//! Watches the issuers of one kind.

use crate::context::Context;
use crate::context::caches::Listed;
use crate::issuer::Issuer;
use crate::issuer::kind::IssuerKind;
use crate::runtime::watch::{GuardedEvent, Watch, remove_from};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// Keeps the cache of issuers of one kind, and enqueues what a change concerns.
pub async fn watch_issuers<K>(
    mut watch: Watch<K>,
    mut writer: Writer<K>,
    listed: Listed,
    context: Arc<Context>,
) -> anyhow::Result<()>
where
    K: IssuerKind + Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    Issuer: for<'a> From<&'a K>,
{
    while let Some(event) = watch.next().await {
        let event = match event {
            GuardedEvent::Event(event) => event,
            GuardedEvent::Unreadable(unreadable) => {
                remove_from(&mut writer, &unreadable);
                let signer = K::signer(&unreadable.metadata);
                context.enqueue_requests(|named| *named == signer);
                continue;
            }
            GuardedEvent::Deleted(unreadable) => {
                remove_from(&mut writer, &unreadable);
                context.queues.enqueue_garbage_collection();
                continue;
            }
        };
        writer.apply_watcher_event(&event);
        if watch.handled() {
            // The last garbage collection may have deleted nothing because of the unreadable object.
            context.queues.enqueue_garbage_collection();
        }
        match &event {
            Event::Apply(issuer) => {
                let issuer = Issuer::from(issuer);
                context.queues.enqueue(&issuer);
                context.enqueue_requests_for(&issuer);
            }
            Event::Delete(_) => context.queues.enqueue_garbage_collection(),
            Event::InitDone => {
                // Issuers that were deleted while nobody watched are missing in the list.
                listed.set();
                context.queues.enqueue_garbage_collection();
                context.enqueue_all_issuers();
                context.enqueue_all_requests();
            }
            Event::Init | Event::InitApply(_) => {}
        }
    }
    anyhow::bail!("a watch of issuers ended")
}
