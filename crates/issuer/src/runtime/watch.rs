//! The one way in which the controller watches a kind, and what it knows of objects that cannot be decoded.

use crate::metrics::{Kind, Metrics};
use crate::runtime::guarded::{Guarded, Unreadable};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// A pause besides the stream's own back-off, which begins anew with every success.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(50);

/// What a watch tells.
#[derive(Debug)]
pub enum Seen<K> {
    /// What kube's watcher tells, of objects that could be decoded.
    Event(watcher::Event<K>),
    /// The object exists, was made or changed, and cannot be decoded. Whatever is kept of an earlier version no longer holds.
    Unreadable(Box<Unreadable>),
    /// The object could not be decoded, and now it is gone.
    Gone(Box<Unreadable>),
}

/// A watch of one kind that no object can bring to a halt.
pub struct Watch<K> {
    events: BoxStream<'static, watcher::Result<watcher::Event<Guarded<K>>>>,
    unreadable: Arc<UnreadableObjects>,
    kind: String,
    listed: BTreeSet<Name>,
    forget: Forget,
}

/// What is no longer true of the unreadable objects as soon as the last event was handled. Until then an object that became
/// readable is known in two places, so that nobody ever finds it in none.
enum Forget {
    Nothing,
    One(Name),
    NotListed,
}

impl<K> Watch<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Watches what the `api` reaches. Unreadable objects are kept in `unreadable`.
    pub fn new(api: Api<Guarded<K>>, unreadable: Arc<UnreadableObjects>) -> Self {
        Self::of(watcher(api, watcher::Config::default()).default_backoff(), unreadable)
    }

    fn of(
        events: impl Stream<Item = watcher::Result<watcher::Event<Guarded<K>>>> + Send + 'static,
        unreadable: Arc<UnreadableObjects>,
    ) -> Self {
        let kind = K::kind(&()).into_owned();
        unreadable.retain(&kind, |_| true);
        Self { events: events.boxed(), unreadable, kind, listed: BTreeSet::new(), forget: Forget::Nothing }
    }

    /// What happened next; the event before counts as handled. `None` if the watch ended, which it does not by itself. Errors are
    /// logged and waited out.
    pub async fn next(&mut self) -> Option<Seen<K>> {
        self.handled();
        loop {
            match self.events.try_next().await {
                Ok(event) => {
                    if let Some(seen) = self.sort(event?) {
                        return Some(seen);
                    }
                }
                Err(error) => {
                    tracing::warn!(kind = self.kind, %error, "a watch failed, trying again");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    /// To be called when the last event is where it belongs, before anybody is told of it who asks whether an object can be read.
    /// Whether an object was unreadable before and no longer is.
    pub fn handled(&mut self) -> bool {
        let listed = &self.listed;
        match std::mem::replace(&mut self.forget, Forget::Nothing) {
            Forget::Nothing => false,
            Forget::One(name) => self.unreadable.retain(&self.kind, |known| *known != name),
            Forget::NotListed => self.unreadable.retain(&self.kind, |known| listed.contains(known)),
        }
    }

    fn sort(&mut self, event: watcher::Event<Guarded<K>>) -> Option<Seen<K>> {
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
                    self.listed.insert(Name::of(&unreadable.metadata));
                    return None;
                }
            },
            InitDone => {
                self.forget = Forget::NotListed;
                InitDone
            }
            Apply(object) => match object.read() {
                Ok(object) => {
                    self.forget = Forget::One(Name::of(object.meta()));
                    Apply(object)
                }
                Err(unreadable) => {
                    self.unreadable.add(&unreadable);
                    return Some(Seen::Unreadable(unreadable));
                }
            },
            Delete(object) => {
                self.forget = Forget::One(Name::of(object.meta()));
                match object.read() {
                    Ok(object) => Delete(object),
                    Err(unreadable) => return Some(Seen::Gone(unreadable)),
                }
            }
        };
        Some(Seen::Event(event))
    }
}

/// Takes what is kept of an object out of a store. Its earlier version must not be served on: the one that cannot be read
/// may allow less.
pub fn remove_from<K>(writer: &mut Writer<K>, unreadable: &Unreadable) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let mut reference = ObjectRef::new(unreadable.name());
    reference.namespace.clone_from(&unreadable.metadata.namespace);
    let kept = writer.as_reader().get(&reference)?;
    writer.apply_watcher_event(&watcher::Event::Delete((*kept).clone()));
    Some(kept)
}

/// The unreadable objects of all watched kinds.
pub struct UnreadableObjects {
    kinds: Mutex<BTreeMap<String, BTreeMap<Name, Known>>>,
    count: Family<Kind, Gauge>,
    announce: Sender<Box<Unreadable>>,
}

/// What is kept of one; little, because there may be many.
struct Known {
    uid: Option<String>,
    version: Option<String>,
    text: String,
}

impl UnreadableObjects {
    /// None yet; how many there are of each kind is kept in the metrics. Each version of one goes to `announce`, so that its owner is told;
    /// while that is full, to the log alone.
    #[must_use]
    pub fn new(metrics: &Metrics, announce: Sender<Box<Unreadable>>) -> Self {
        Self { kinds: Mutex::default(), count: metrics.unreadable.clone(), announce }
    }

    /// Why an object cannot be read, as a sentence that names it, if that is so.
    #[must_use]
    pub fn why(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<String> {
        let name = Name(namespace.unwrap_or_default().to_owned(), name.to_owned());
        Some(self.lock().get(kind)?.get(&name)?.text.clone())
    }

    /// The UIDs of all objects of these kinds: of those that could be decoded, which `readable` tells, and of the others. None becomes
    /// readable or unreadable meanwhile.
    ///
    /// Fails with a sentence about one of which no UID can be read: then nobody can say what does not exist.
    pub fn existing(
        &self,
        kinds: &[&str],
        readable: impl FnOnce() -> HashSet<String>,
    ) -> Result<HashSet<String>, String> {
        let known = self.lock();
        let mut uids = readable();
        for (name, unreadable) in kinds.iter().filter_map(|kind| known.get(*kind)).flatten() {
            match &unreadable.uid {
                Some(uid) if !uid.is_empty() && !name.1.is_empty() => drop(uids.insert(uid.clone())),
                _ => return Err(format!("an object has no UID that can be read: {}", unreadable.text)),
            }
        }
        Ok(uids)
    }

    /// Says so once for each version of the object.
    fn add(&self, object: &Unreadable) {
        let (uid, version) = (object.metadata.uid.clone(), object.metadata.resource_version.clone());
        let known = Known { uid, version, text: object.to_string() };
        let mut is_news = true;
        self.change(&object.kind, |all| {
            let before = all.insert(Name::of(&object.metadata), known);
            is_news = before.is_none_or(|before| before.version != object.metadata.resource_version);
        });
        if is_news {
            tracing::warn!(
                uid = object.metadata.uid.as_deref().unwrap_or_default(),
                version = object.metadata.resource_version.as_deref().unwrap_or_default(),
                "{object}; it is left out until it changes"
            );
            let _ = self.announce.try_send(Box::new(object.clone()));
        }
    }

    /// Whether any was dropped.
    fn retain(&self, kind: &str, keep: impl Fn(&Name) -> bool) -> bool {
        let mut dropped = false;
        self.change(kind, |known| {
            let before = known.len();
            known.retain(|name, _| keep(name));
            dropped = known.len() < before;
        });
        dropped
    }

    fn change(&self, kind: &str, change: impl FnOnce(&mut BTreeMap<Name, Known>)) {
        let mut kinds = self.lock();
        let known = kinds.entry(kind.to_owned()).or_default();
        change(known);
        let count = i64::try_from(known.len()).unwrap_or(i64::MAX);
        self.count.get_or_create(&Kind { kind: kind.to_owned() }).set(count);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<Name, Known>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Namespace and name, each empty if there is none or it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String, String);

impl Name {
    fn of(metadata: &ObjectMeta) -> Self {
        Self(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::ResourceExt as _;
    use kube::runtime::reflector;
    use serde_json::{Value, json};
    use tcs_api::v1alpha1::TCSIssuer;
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

    const KIND: &str = "TCSIssuer";

    fn object(name: &str, version: &str, secret: &Value) -> Guarded<TCSIssuer> {
        let object = json!({
            "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": version},
            "spec": {"secretName": secret},
        });
        serde_json::from_value(object).unwrap()
    }

    fn good(name: &str) -> Guarded<TCSIssuer> {
        object(name, "1", &json!("s"))
    }

    fn bad(name: &str) -> Guarded<TCSIssuer> {
        object(name, "2", &json!(5))
    }

    fn nameless() -> Guarded<TCSIssuer> {
        serde_json::from_value(json!({"metadata": 1})).unwrap()
    }

    /// A watch of these events, as one that applies them to a store.
    struct Followed {
        watch: Watch<TCSIssuer>,
        writer: Writer<TCSIssuer>,
        unreadable: Arc<UnreadableObjects>,
        metrics: Metrics,
    }

    impl Followed {
        fn new(events: Vec<watcher::Event<Guarded<TCSIssuer>>>) -> Self {
            let metrics = Metrics::default();
            // Nobody listens: what cannot be announced is in the log all the same.
            let (announce, _) = tokio::sync::mpsc::channel(1);
            let unreadable = Arc::new(UnreadableObjects::new(&metrics, announce));
            let events = futures::stream::iter(events.into_iter().map(Ok));
            let watch = Watch::of(events, Arc::clone(&unreadable));
            Self { watch, writer: reflector::store().1, unreadable, metrics }
        }

        /// The next that is told, in a word; the store is as after it.
        async fn step(&mut self) -> String {
            match self.watch.next().await {
                None => "end".into(),
                Some(Seen::Unreadable(bad)) => {
                    remove_from(&mut self.writer, &bad);
                    format!("unreadable {}", bad.name())
                }
                Some(Seen::Gone(bad)) => format!("gone {}", bad.name()),
                Some(Seen::Event(event)) => {
                    self.writer.apply_watcher_event(&event);
                    event.to_string()
                }
            }
        }

        async fn steps(&mut self, expected: &[&str]) {
            for step in expected {
                assert_eq!(self.step().await, *step);
            }
        }

        fn stored(&self) -> Vec<String> {
            let mut names: Vec<_> =
                self.writer.as_reader().state().iter().map(|object| object.name_any()).collect();
            names.sort();
            names
        }

        fn unreadable(&self) -> Vec<&'static str> {
            let names = ["a", "b", "c"];
            names.into_iter().filter(|name| self.unreadable.why(KIND, Some("ns"), name).is_some()).collect()
        }

        fn existing(&self) -> Result<Vec<String>, String> {
            let store = self.writer.as_reader();
            let readable = || store.state().iter().filter_map(|object| object.uid()).collect();
            let mut uids: Vec<_> = self.unreadable.existing(&[KIND], readable)?.into_iter().collect();
            uids.sort();
            Ok(uids)
        }
    }

    #[tokio::test]
    async fn review_h1_a_list_with_unreadable_objects_is_complete_without_them() {
        let again = [Init, InitApply(good("b")), InitApply(bad("c")), InitDone];
        let events = [Init, InitApply(good("a")), InitApply(bad("b")), InitApply(good("c")), InitDone];
        let mut followed = Followed::new(events.into_iter().chain(again).collect());
        followed.steps(&["Init", "InitApply(a)", "InitApply(c)", "InitDone"]).await;
        assert_eq!((followed.stored(), followed.unreadable()), (vec!["a".into(), "c".into()], vec!["b"]));
        assert_eq!(followed.existing().unwrap(), ["uid-a", "uid-b", "uid-c"]);
        assert!(followed.metrics.text().contains("tcs_unreadable_objects{kind=\"TCSIssuer\"} 1"));
        let why = followed.unreadable.why(KIND, Some("ns"), "b").unwrap();
        assert!(why.starts_with("TCSIssuer ns/b cannot be read: spec.secretName"), "{why}");

        // Listed again: of b one knows that it is there at every moment, and of a until the list is complete.
        for step in ["Init", "InitApply(b)", "InitDone"] {
            followed.steps(&[step]).await;
            let existing = followed.existing().unwrap();
            assert!(existing.iter().any(|uid| uid == "uid-b"), "{step}");
        }
        followed.steps(&["end"]).await;
        assert_eq!((followed.stored(), followed.unreadable()), (vec!["b".into()], vec!["c"]));
        assert_eq!(followed.existing().unwrap(), ["uid-b", "uid-c"]);
    }

    #[tokio::test]
    async fn review_h1_an_object_that_turns_unreadable_is_not_served_on_and_comes_back() {
        let events = vec![
            Init,
            InitDone,
            Apply(good("a")),
            Apply(bad("a")),
            Apply(good("a")),
            Apply(bad("b")),
            Delete(bad("b")),
        ];
        let mut followed = Followed::new(events);
        followed.steps(&["Init", "InitDone", "Apply(a)", "unreadable a"]).await;
        assert_eq!(
            (followed.stored(), followed.unreadable()),
            (vec![], vec!["a"]),
            "an old policy is not used"
        );
        assert_eq!(followed.existing().unwrap(), ["uid-a"]);
        followed.steps(&["Apply(a)"]).await;
        assert_eq!(followed.existing().unwrap(), ["uid-a"]);
        followed.steps(&["unreadable b"]).await;
        assert_eq!((followed.stored(), followed.unreadable()), (vec!["a".into()], vec!["b"]));
        followed.steps(&["gone b", "end"]).await;
        assert_eq!((followed.unreadable(), followed.existing().unwrap()), (vec![], vec!["uid-a".into()]));
        assert!(followed.metrics.text().contains("tcs_unreadable_objects{kind=\"TCSIssuer\"} 0"));
    }

    #[tokio::test]
    async fn review_h1_without_a_uid_nobody_says_what_exists() {
        let mut followed = Followed::new(vec![Init, InitApply(good("a")), InitApply(nameless()), InitDone]);
        followed.steps(&["Init", "InitApply(a)", "InitDone"]).await;
        let error = followed.existing().unwrap_err();
        assert!(error.contains("no UID that can be read: TCSIssuer "), "{error}");
        assert!(followed.unreadable.existing(&["TCSClusterIssuer"], HashSet::new).is_ok());
    }

    #[test]
    fn review_h1_an_unreadable_object_is_told_of_once_for_each_version() {
        let lines = crate::runtime::log::tests::Lines::default();
        let log = crate::runtime::log::subscriber("info", lines.writer()).unwrap();
        let (announce, mut announced) = tokio::sync::mpsc::channel(8);
        let unreadable = UnreadableObjects::new(&Metrics::default(), announce);
        tracing::subscriber::with_default(log, || {
            for version in ["2", "2", "3", "3"] {
                unreadable.add(&object("a", version, &json!("hush".repeat(2).len())).read().unwrap_err());
            }
        });
        let text = lines.text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.lines().all(|line| line.contains("ns/a cannot be read") && line.contains("uid-a")),
            "{text}"
        );
        let told: Vec<_> = std::iter::from_fn(|| announced.try_recv().ok()).collect();
        let references: Vec<_> = told.iter().map(|object| object.reference()).collect();
        assert_eq!(references.len(), 2);
        assert_eq!(references[0].kind.as_deref(), Some("TCSIssuer"));
        assert_eq!(
            (references[0].namespace.as_deref(), references[0].name.as_deref()),
            (Some("ns"), Some("a"))
        );
    }
}
