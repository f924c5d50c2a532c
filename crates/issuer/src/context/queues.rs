//! The queues into the reconcilers.

use super::cached::Cached;
use crate::issuer::Issuer;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeMap;
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::RequestApi;
use tokio::sync::mpsc::UnboundedSender;

/// The queues into the reconcilers of issuers and into the garbage collection.
pub struct Queues {
    /// Issuers to reconcile.
    pub issuers: UnboundedSender<ObjectRef<Cached<TCSIssuer>>>,
    /// Cluster issuers to reconcile.
    pub cluster_issuers: UnboundedSender<ObjectRef<Cached<TCSClusterIssuer>>>,
    /// Each message requests one garbage collection.
    pub garbage_collection: UnboundedSender<()>,
}

impl Queues {
    /// Enqueues an issuer. A closed queue means that the program is ending.
    pub fn enqueue(&self, issuer: &Issuer) {
        self.enqueue_signer(&issuer.signer());
    }

    /// Enqueues the issuer of a signer name.
    pub fn enqueue_signer(&self, signer: &SignerName) {
        match signer {
            SignerName::Namespaced { namespace, name } => {
                let _ = self.issuers.send(ObjectRef::new(name).within(namespace));
            }
            SignerName::Cluster { name } => {
                let _ = self.cluster_issuers.send(ObjectRef::new(name));
            }
        }
    }

    /// Requests a garbage collection.
    pub fn enqueue_garbage_collection(&self) {
        let _ = self.garbage_collection.send(());
    }
}

/// The open requests of an API, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenCounts {
    /// All open requests.
    pub open: u64,
    /// Those of them that are read again for each attempt, because they found no room in memory.
    pub not_held: u64,
    /// How long the oldest of them is open, since this controller first saw it.
    pub oldest: Duration,
    /// Those of them that wait, by the reason that was announced.
    pub waiting: BTreeMap<&'static str, u64>,
}

/// The open requests of one request API.
pub trait OpenRequests: Send + Sync {
    /// The request API.
    fn api(&self) -> RequestApi;

    /// How many requests are open, and how many of them wait for what.
    fn counts(&self) -> OpenCounts;

    /// Whether the first list of the requests is complete.
    fn are_listed(&self) -> bool;

    /// Enqueues the open requests whose signer name is one of these.
    fn enqueue(&self, is_one: &dyn Fn(&SignerName) -> bool);
}
