//! The watched objects that cannot be decoded.

use crate::runtime::guarded::Unreadable;
use crate::runtime::metrics::{KindLabel, Metrics};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::Sender;

/// The objects of all watched kinds that cannot be decoded.
pub struct UnreadableObjects {
    kinds: Mutex<BTreeMap<String, BTreeMap<ObjectName, Record>>>,
    count: Family<KindLabel, Gauge>,
    announce: Sender<Box<Unreadable>>,
}

/// What is kept of one object. It is small, because there may be many objects.
struct Record {
    uid: Option<String>,
    version: Option<String>,
    text: String,
}

impl UnreadableObjects {
    /// No objects yet. The metrics count the objects of each kind. Each version of an object is sent to
    /// `announce`, so that its owner is told. While that channel is full, only the log names the object.
    #[must_use]
    pub fn new(metrics: &Metrics, announce: Sender<Box<Unreadable>>) -> Self {
        Self { kinds: Mutex::default(), count: metrics.unreadable.clone(), announce }
    }

    /// Why an object cannot be decoded, as a sentence that names it; `None` if it can or does not exist.
    #[must_use]
    pub fn why(&self, kind: &str, namespace: Option<&str>, name: &str) -> Option<String> {
        let namespace = namespace.unwrap_or_default().to_owned();
        let name = ObjectName { namespace, name: name.to_owned() };
        Some(self.lock().get(kind)?.get(&name)?.text.clone())
    }

    /// The UIDs of all objects of these kinds: of those that could be decoded, which `readable` returns, and
    /// of the others. No object moves from one group to the other during the call.
    ///
    /// # Errors
    ///
    /// A sentence about an object whose UID cannot be read: without it nobody knows which objects do not
    /// exist.
    pub fn existing(
        &self,
        kinds: &[&str],
        readable: impl FnOnce() -> HashSet<String>,
    ) -> Result<HashSet<String>, String> {
        let kinds_known = self.lock();
        let mut uids = readable();
        for (name, unreadable) in kinds.iter().filter_map(|kind| kinds_known.get(*kind)).flatten() {
            match &unreadable.uid {
                Some(uid) if !uid.is_empty() && !name.name.is_empty() => drop(uids.insert(uid.clone())),
                _ => return Err(format!("an object has no UID that can be read: {}", unreadable.text)),
            }
        }
        Ok(uids)
    }

    /// Adds an object. Each version of it is logged and announced once.
    pub(super) fn add(&self, object: &Unreadable) {
        let (uid, version) = (object.metadata.uid.clone(), object.metadata.resource_version.clone());
        let record = Record { uid, version, text: object.to_string() };
        let mut is_new = true;
        self.change(&object.kind, |all| {
            let before = all.insert(ObjectName::of(&object.metadata), record);
            is_new = before.is_none_or(|before| before.version != object.metadata.resource_version);
        });
        if is_new {
            tracing::warn!(
                uid = object.metadata.uid.as_deref().unwrap_or_default(),
                version = object.metadata.resource_version.as_deref().unwrap_or_default(),
                "{object}; it is ignored until it changes"
            );
            let _ = self.announce.try_send(Box::new(object.clone()));
        }
    }

    /// Keeps only some objects of a kind. Returns whether any was dropped.
    pub(super) fn retain(&self, kind: &str, keep: impl Fn(&ObjectName) -> bool) -> bool {
        let mut dropped = false;
        self.change(kind, |known| {
            let before = known.len();
            known.retain(|name, _| keep(name));
            dropped = known.len() < before;
        });
        dropped
    }

    fn change(&self, kind: &str, change: impl FnOnce(&mut BTreeMap<ObjectName, Record>)) {
        let mut kinds = self.lock();
        let known = kinds.entry(kind.to_owned()).or_default();
        change(known);
        let count = i64::try_from(known.len()).unwrap_or(i64::MAX);
        self.count.get_or_create(&KindLabel { kind: kind.to_owned() }).set(count);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<ObjectName, Record>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Namespace and name of an object. Each is empty if there is none or it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    namespace: String,
    name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = self.namespace() {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

impl ObjectName {
    /// The name in this metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace, if there is one.
    pub fn namespace(&self) -> Option<&str> {
        Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty())
    }
}
