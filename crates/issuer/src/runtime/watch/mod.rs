//! A watch of one kind that no object can stop. The controller watches every kind in this way.

use crate::runtime::guarded::kept::Kept;
use crate::runtime::guarded::{Guarded, Unreadable};
use crate::runtime::unreadable::{ObjectName, UnreadableObjects};
use crate::runtime::watch_backoff::WatchBackoff;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Objects in one page of a list. An object may have more than 1 MiB, and a page is in memory as a whole.
/// Small pages are slow: the API server looks at all objects that are left for each of them.
const PAGE_SIZE: u32 = 16;

/// The longest name of an object that is watched, in bytes. Kubernetes bounds the names of most kinds by 253,
/// but not those of requests to sign certificates, and names are kept even of what is not held in memory.
const MAX_NAME: usize = 1024;
/// How many characters of a longer name are logged.
const LOGGED: usize = 64;

/// A pause in addition to the back-off of the stream, which starts again after every success.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// An event of a watch.
#[derive(Debug)]
pub enum GuardedEvent<K> {
    /// An event of kube's watcher about an object that could be decoded, or about the list.
    Event(watcher::Event<K>),
    /// The object was created or changed, and cannot be decoded. An earlier version of it must not be used
    /// any longer.
    Unreadable(Box<Unreadable>),
    /// An object that could not be decoded was deleted.
    Deleted(Box<Unreadable>),
    /// The API server does not know the kind, at least at present. The watch goes on.
    UnknownKind,
}

/// How the present objects are requested, at the start and whenever the API server no longer knows the state
/// from which a watch continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InitialList {
    /// As events of the watch, so that one object is in memory at a time. Its state is the most recent one
    /// ([`super::most_recent`]), and the watch continues without a gap.
    Streamed,
    /// In pages, if the API server does not offer the first: the feature `WatchList` is enabled by default
    /// in Kubernetes 1.32 and since 1.34.
    Paged,
}

type Events<K> = BoxStream<'static, watcher::Result<watcher::Event<Guarded<K>>>>;

/// A watch of one kind that no object can stop.
pub struct Watch<K> {
    events: Events<K>,
    /// Begins the watch again, with pages. Taken when that happens.
    paged: Option<Box<dyn FnOnce() -> Events<K> + Send>>,
    unreadable: Arc<UnreadableObjects>,
    kind: String,
    listed: BTreeSet<ObjectName>,
    outdated: Outdated,
}

/// Which unreadable objects are dropped once the last event is handled. Until then an object that became
/// readable is known in two places, so that nobody finds it in neither.
enum Outdated {
    None,
    One(ObjectName),
    NotListed,
}

impl<K> Watch<K>
where
    K: Resource<DynamicType = ()> + Kept + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Watches the objects that `api` reaches. Objects that cannot be decoded are kept in `unreadable`.
    pub fn new(api: Api<Guarded<K>>, unreadable: Arc<UnreadableObjects>) -> Self {
        let streamed = events(api.clone(), InitialList::Streamed);
        let paged = Box::new(move || events(api, InitialList::Paged));
        Self { paged: Some(paged), ..Self::of(streamed, unreadable) }
    }

    fn of(
        events: impl Stream<Item = watcher::Result<watcher::Event<Guarded<K>>>> + Send + 'static,
        unreadable: Arc<UnreadableObjects>,
    ) -> Self {
        let kind = K::kind(&()).into_owned();
        unreadable.retain(&kind, |_| true);
        let (listed, outdated) = (BTreeSet::new(), Outdated::None);
        Self { events: events.boxed(), paged: None, unreadable, kind, listed, outdated }
    }

    /// The next event; the previous one counts as handled. `None` if the watch ended, which does not happen
    /// by itself. After an error, which is logged, the watch continues.
    pub async fn next(&mut self) -> Option<GuardedEvent<K>> {
        self.handled();
        loop {
            match self.events.try_next().await {
                Ok(event) => {
                    let event = event?;
                    if let Some(event) = (!self.has_long_name(&event)).then(|| self.sort(event)).flatten() {
                        return Some(event);
                    }
                }
                Err(error) => {
                    if streaming_is_refused(&error)
                        && let Some(paged) = self.paged.take()
                    {
                        tracing::info!(
                            kind = self.kind,
                            "the API server does not stream lists: reading pages"
                        );
                        self.events = paged();
                        continue;
                    }
                    self.log(&error);
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                    if is_unknown_kind(&error) {
                        return Some(GuardedEvent::UnknownKind);
                    }
                }
            }
        }
    }

    /// Whether an event is about an object whose name is too long. It is as if there were no such object.
    fn has_long_name(&self, event: &watcher::Event<Guarded<K>>) -> bool {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let name = match event {
            Apply(object) | Delete(object) | InitApply(object) => object.meta().name.as_deref(),
            Init | InitDone => None,
        };
        let Some(name) = name.filter(|name| name.len() > MAX_NAME) else { return false };
        tracing::warn!(
            kind = self.kind,
            name = name.chars().take(LOGGED).collect::<String>(),
            length = name.len(),
            "an object is ignored, because its name is longer than {MAX_NAME} bytes"
        );
        true
    }

    /// An answer to the request for a watch or a list is told by [`super::rights`].
    fn log(&self, error: &watcher::Error) {
        use kube::Error::{Api, HyperError, Service};
        use watcher::Error::{InitialListFailed, WatchError, WatchStartFailed};
        let kind = &self.kind;
        match error {
            InitialListFailed(Api(_) | Service(_) | HyperError(_))
            | WatchStartFailed(Api(_) | Service(_) | HyperError(_)) => {
                tracing::debug!(kind, %error, "a watch failed, trying again");
            }
            // The API server no longer knows the state from which the watch continues.
            WatchError(status) if status.code == 410 => {
                tracing::debug!(kind, why = status.message, "everything is listed again");
            }
            WatchError(status) => {
                tracing::warn!(kind, why = status.message, "a watch failed, trying again");
            }
            error => tracing::warn!(kind, %error, "a watch failed, trying again"),
        }
    }

    /// Call this after the last event was stored, and before anything is notified that reads which objects
    /// cannot be decoded. Returns whether an object that was unreadable no longer is.
    pub fn handled(&mut self) -> bool {
        let listed = &self.listed;
        match std::mem::replace(&mut self.outdated, Outdated::None) {
            Outdated::None => false,
            Outdated::One(name) => self.unreadable.retain(&self.kind, |known| *known != name),
            Outdated::NotListed => self.unreadable.retain(&self.kind, |known| listed.contains(known)),
        }
    }

    fn sort(&mut self, event: watcher::Event<Guarded<K>>) -> Option<GuardedEvent<K>> {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let event = match event {
            Init => {
                self.listed.clear();
                Init
            }
            InitApply(object) => match object.read() {
                Ok(object) => InitApply(object),
                Err(unreadable) => {
                    self.unreadable.add(&unreadable);
                    self.listed.insert(ObjectName::of(&unreadable.metadata));
                    return None;
                }
            },
            InitDone => {
                self.outdated = Outdated::NotListed;
                InitDone
            }
            Apply(object) => match object.read() {
                Ok(object) => {
                    self.outdated = Outdated::One(ObjectName::of(object.meta()));
                    Apply(object)
                }
                Err(unreadable) => {
                    self.unreadable.add(&unreadable);
                    return Some(GuardedEvent::Unreadable(unreadable));
                }
            },
            Delete(object) => {
                self.outdated = Outdated::One(ObjectName::of(object.meta()));
                match object.read() {
                    Ok(object) => Delete(object),
                    Err(unreadable) => return Some(GuardedEvent::Deleted(unreadable)),
                }
            }
        };
        Some(GuardedEvent::Event(event))
    }
}

fn events<K>(api: Api<Guarded<K>>, list: InitialList) -> Events<K>
where
    K: Resource<DynamicType = ()> + Kept + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let config = watcher::Config::default();
    let config = match list {
        InitialList::Streamed => config.streaming_lists(),
        InitialList::Paged => config.page_size(PAGE_SIZE),
    };
    watcher(api, config).backoff(WatchBackoff::default()).boxed()
}

/// Whether an API server without the feature `WatchList` refused a watch: it says that `sendInitialEvents` is
/// not valid (422).
fn streaming_is_refused(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { return false };
    status.code == 422
}

/// Whether an API server does not serve the kind. Its answer is a text that is no `Status`.
fn is_unknown_kind(error: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    let (WatchStartFailed(kube::Error::Api(answer)) | InitialListFailed(kube::Error::Api(answer))) = error
    else {
        return false;
    };
    answer.code == 404
}

/// Removes the earlier version of an unreadable object from a store. It must not be used any longer, because
/// the current version may allow less.
pub fn remove_from<K>(writer: &mut Writer<K>, unreadable: &Unreadable)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let mut reference = ObjectRef::new(unreadable.name());
    reference.namespace.clone_from(&unreadable.metadata.namespace);
    if let Some(stored) = writer.as_reader().get(&reference) {
        writer.apply_watcher_event(&watcher::Event::Delete((*stored).clone()));
    }
}

#[cfg(test)]
mod tests;
