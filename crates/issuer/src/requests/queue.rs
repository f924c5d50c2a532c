//! The open requests of one request API.

use super::RequestKind;
use crate::context::caches::Listed;
use crate::context::queues::OpenRequests;
use kube::runtime::reflector::{ObjectRef, Store};
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::RequestApi;
use tokio::sync::mpsc::UnboundedSender;

/// The open requests of one request API, and the queue into their reconciler.
pub struct RequestQueue<K: RequestKind> {
    /// The open requests for the service's signers.
    pub store: Store<K>,
    /// Requests to reconcile.
    pub queue: UnboundedSender<ObjectRef<K>>,
    /// Whether `store` is complete.
    pub listed: Listed,
}

impl<K: RequestKind> RequestQueue<K> {
    /// Enqueues a request. A closed queue means that the program is ending.
    pub fn enqueue_one(&self, request: ObjectRef<K>) {
        let _ = self.queue.send(request);
    }
}

impl<K: RequestKind> OpenRequests for RequestQueue<K> {
    fn api(&self) -> RequestApi {
        K::API
    }

    fn are_listed(&self) -> bool {
        self.listed.is_set()
    }

    fn enqueue(&self, is_one: &dyn Fn(&SignerName) -> bool) {
        for request in self.store.state() {
            if request.signer().is_some_and(|signer| is_one(&signer)) {
                self.enqueue_one(ObjectRef::from_obj(&*request));
            }
        }
    }
}
