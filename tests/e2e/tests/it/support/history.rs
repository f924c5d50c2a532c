//! Every version of the requests of a burst that was ever stored.
//!
//! A watch shows them all, as long as it can continue where it ended. An API server that was started again
//! has forgotten what it had not sent before. etcd keeps all versions until it is compacted, which the API
//! server does every five minutes, and the API server lists the state of any version that is kept: so the gap
//! is filled from there.

use futures::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::{ListParams, VersionMatch, WatchEvent, WatchParams};
use kube::{Api, Resource, ResourceExt as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;

/// Pause before the API server is asked again.
pub const POLL: Duration = Duration::from_millis(20);

pub type Requests = Api<CertificateSigningRequest>;

/// A kind of requests for certificates.
pub trait Recorded: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static {
    /// The certificate, PEM, if there is one.
    fn certificate(&self) -> Option<String>;
    /// Why it failed for good, if it did.
    fn failed(&self) -> Option<String>;
}

/// Records the versions of requests whose names have one prefix.
pub struct Recorder<K>(Arc<Shared<K>>);

struct Shared<K> {
    api: Api<K>,
    prefix: String,
    state: Mutex<State>,
}

impl<K> Clone for Recorder<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Default)]
struct State {
    histories: HashMap<String, History>,
    /// Names and versions before which others may be missing.
    after_gaps: Vec<(String, u64)>,
    certified: usize,
}

/// The versions of one request by their number.
#[derive(Clone, Default)]
pub struct History(BTreeMap<u64, Version>);

/// What a version says about the result.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    uid: String,
    certificate: Option<String>,
    failed: Option<String>,
}

impl<K: Recorded> Recorder<K> {
    /// Begins before the requests are made. [`Recorder::run`] records.
    pub fn new(api: Api<K>, prefix: &str) -> Self {
        Self(Arc::new(Shared { api, prefix: prefix.to_owned(), state: Mutex::default() }))
    }

    /// How many of the requests have a certificate.
    pub fn certified(&self) -> usize {
        self.0.lock().certified
    }

    /// Watches from a version on, for ever.
    pub async fn run(self, mut version: String) {
        let shared = &self.0;
        loop {
            let parameters = WatchParams::default();
            if let Ok(events) = shared.api.watch(&parameters, &version).await {
                let mut events = std::pin::pin!(events);
                while let Some(Ok(event)) = events.next().await {
                    match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.resource_version().unwrap();
                            shared.lock().add(&shared.prefix, &object);
                        }
                        WatchEvent::Error(status) if status.code == 410 => {
                            let Ok(list) = shared.api.list(&ListParams::default()).await else { break };
                            version = list.metadata.resource_version.unwrap();
                            shared.lock().add_after_gap(&shared.prefix, &list.items);
                        }
                        WatchEvent::Error(_) => break,
                        WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
                    }
                }
            }
            sleep(POLL).await;
        }
    }

    /// All versions of all requests.
    pub async fn histories(&self) -> anyhow::Result<HashMap<String, History>> {
        let (mut histories, after_gaps) = {
            let state = self.0.lock();
            (state.histories.clone(), state.after_gaps.clone())
        };
        if !after_gaps.is_empty() {
            eprintln!("after a gap, {} requests have another version", after_gaps.len());
        }
        for (name, version) in after_gaps {
            self.0.fill_gap(&name, version, histories.get_mut(&name).unwrap()).await?;
        }
        Ok(histories)
    }
}

impl<K: Recorded> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the versions of a request before one of them, back to one that is known or to the first.
    async fn fill_gap(&self, name: &str, mut from: u64, history: &mut History) -> anyhow::Result<()> {
        loop {
            let only = ListParams::default().fields(&format!("metadata.name={name}"));
            let before = only.at(&(from - 1).to_string()).matching(VersionMatch::Exact);
            let Some(object) = self.api.list(&before).await?.items.pop() else { return Ok(()) };
            let (version, known) = Version::of(&object);
            if history.0.insert(version, known).is_some() {
                return Ok(());
            }
            from = version;
        }
    }
}

impl State {
    fn add(&mut self, prefix: &str, object: &impl Recorded) -> bool {
        let name = object.name_any();
        if !name.starts_with(prefix) {
            return false;
        }
        let history = self.histories.entry(name).or_default();
        let was_certified = history.is_certified();
        let (number, version) = Version::of(object);
        let is_new = history.0.insert(number, version).is_none();
        self.certified += usize::from(history.is_certified() && !was_certified);
        is_new
    }

    fn add_after_gap(&mut self, prefix: &str, objects: &[impl Recorded]) {
        for object in objects {
            if self.add(prefix, object) {
                self.after_gaps.push((object.name_any(), Version::of(object).0));
            }
        }
    }
}

impl History {
    fn is_certified(&self) -> bool {
        self.0.values().any(|version| version.certificate.is_some())
    }

    /// How many certificates the request had, one after the other.
    pub fn certificates(&self) -> usize {
        let certificates: HashSet<_> = self.0.values().filter_map(|one| one.certificate.as_ref()).collect();
        certificates.len()
    }

    /// The certificate that the request has had since it had one. Panics if it never had one, if it had
    /// another one before, if it failed, or if it was deleted and made anew.
    pub fn only_certificate(&self, name: &str) -> String {
        let versions: Vec<_> = self.0.values().collect();
        assert!(versions.iter().all(|version| version.uid == versions[0].uid), "{name}: {versions:?}");
        assert!(versions.iter().all(|version| version.failed.is_none()), "{name}: {versions:?}");
        let mut certificates: Vec<_> = versions.iter().map(|version| &version.certificate).collect();
        certificates.dedup();
        let [None, Some(certificate)] = certificates.as_slice() else {
            panic!("{name} had these certificates, one after the other: {certificates:?}");
        };
        certificate.clone()
    }
}

impl Version {
    fn of(object: &impl Recorded) -> (u64, Self) {
        let version =
            Self { uid: object.uid().unwrap(), certificate: object.certificate(), failed: object.failed() };
        (object.resource_version().unwrap().parse().unwrap(), version)
    }
}

impl Recorded for CertificateSigningRequest {
    fn certificate(&self) -> Option<String> {
        let ByteString(pem) = self.status.as_ref()?.certificate.clone()?;
        Some(String::from_utf8(pem).unwrap())
    }

    fn failed(&self) -> Option<String> {
        let mut conditions = self.status.as_ref()?.conditions.iter().flatten();
        let failed = conditions.find(|condition| condition.type_ == "Failed")?;
        Some(failed.reason.clone().unwrap_or_default())
    }
}

/// No API server stores such versions, so no test on one shows that they would be noticed.
#[test]
fn case_9_5_a_history_with_another_certificate_a_failure_or_a_namesake_is_noticed() {
    let version = |uid: &str, certificate: Option<&str>, failed: Option<&str>| {
        let (certificate, failed) = (certificate.map(str::to_owned), failed.map(str::to_owned));
        Version { uid: uid.to_owned(), certificate, failed }
    };
    let one = |versions: &[Version]| {
        let history = History((1..).zip(versions.iter().cloned()).collect());
        std::panic::catch_unwind(|| history.only_certificate("r")).ok()
    };
    let (open, signed) = (version("u", None, None), version("u", Some("a"), None));
    let again = version("u", Some("b"), None);
    assert_eq!(one(&[open.clone(), open.clone(), signed.clone(), signed.clone()]).as_deref(), Some("a"));
    for wrong in [
        vec![open.clone()],
        vec![open.clone(), again.clone(), signed.clone()],
        vec![open.clone(), signed.clone(), open.clone(), signed.clone()],
        vec![open.clone(), version("u", Some("a"), Some("RequestForCa"))],
        vec![version("v", None, None), signed.clone()],
    ] {
        assert_eq!(one(&wrong), None, "{wrong:?}");
    }
}
