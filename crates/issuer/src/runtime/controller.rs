//! Feeds a queue through a reconciler.

use crate::context::Context;
use crate::error::ReconcileError;
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// A function that reconciles one object.
pub type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, ReconcileError>>;

/// Reconciles the objects of a queue, up to `concurrency` at a time and each object by one task at a time.
pub async fn run<K>(
    queue: UnboundedReceiver<ObjectRef<K>>,
    store: Store<K>,
    concurrency: u16,
    context: Arc<Context>,
    reconcile: Reconcile<K>,
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let queue = futures::stream::unfold(queue, |mut queue| async move {
        queue.recv().await.map(|next| (Ok::<_, Infallible>(next), queue))
    });
    let on_error = |object: Arc<K>, error: &ReconcileError, context: Arc<Context>| {
        context.metrics.errors.inc();
        tracing::warn!(object = %object.name_any(), %error, "reconcile failed, trying again");
        Action::requeue(context.backoff.failed(&ObjectRef::from_obj(&*object).to_string()))
    };
    let config = Config::default().concurrency(concurrency);
    let on_success = Arc::clone(&context);
    applier(reconcile, on_error, context, store, queue, config)
        .for_each(|outcome| {
            match outcome {
                Ok((object, _)) => on_success.backoff.succeeded(&object.to_string()),
                Err(error) => tracing::debug!(%error, "reconcile"),
            }
            std::future::ready(())
        })
        .await;
    Ok(())
}
