//! Watches the issuers of one kind.

use crate::context::Context;
use crate::context::cached::Cached;
use crate::context::caches::Listed;
use crate::issuer::Issuer;
use crate::issuer::kind::IssuerKind;
use crate::runtime::watch::{GuardedEvent, Watch, remove_from};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use std::sync::Arc;

/// Keeps the cache of issuers of one kind, and enqueues what a change concerns.
pub async fn watch_issuers<K>(
    mut watch: Watch<K>,
    mut writer: Writer<Cached<K>>,
    listed: Listed,
    context: Arc<Context>,
) -> anyhow::Result<()>
where
    K: IssuerKind,
    Issuer: From<Arc<K>>,
{
    while let Some(event) = watch.next().await {
        let event = match event {
            GuardedEvent::Event(event) => cached(event, &writer.as_reader()),
            GuardedEvent::Unreadable(unreadable) => {
                remove_from(&mut writer, &unreadable);
                let signer = K::signer(&unreadable.metadata);
                context.caches.index.remove(&signer);
                context.enqueue_requests(|named| *named == signer);
                continue;
            }
            // What is known stays known: the CRD of the service was removed by mistake, or is being replaced.
            GuardedEvent::UnknownKind => continue,
            GuardedEvent::Deleted(unreadable) => {
                remove_from(&mut writer, &unreadable);
                context.caches.index.remove(&K::signer(&unreadable.metadata));
                context.forget_issuer(&unreadable.metadata);
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
                let issuer = Issuer::from(issuer.shared());
                context.caches.index.set(&issuer);
                context.queues.enqueue(&issuer);
                context.enqueue_requests_for(&issuer);
            }
            Event::Delete(issuer) => {
                context.caches.index.remove(&K::signer(issuer.meta()));
                context.forget_issuer(issuer.meta());
            }
            Event::InitDone => {
                let all = writer.as_reader().state();
                let all: Vec<_> = all.iter().map(|issuer| Issuer::from(issuer.shared())).collect();
                context.caches.index.replace(&all, K::is_signer_of_kind);
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

/// The event about an object in the cache. An object that is listed again in the same version is the one that
/// is in the cache already.
fn cached<K>(event: Event<K>, cache: &Store<Cached<K>>) -> Event<Cached<K>>
where
    K: IssuerKind,
{
    let listed = |object: K| {
        let object = Cached::from(object);
        let known = cache.get(&ObjectRef::from_obj(&object));
        object.or_known(known.as_deref())
    };
    match event {
        Event::Apply(object) => Event::Apply(object.into()),
        Event::Delete(object) => Event::Delete(object.into()),
        Event::InitApply(object) => Event::InitApply(listed(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
