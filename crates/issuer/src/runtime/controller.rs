//! Feeds a queue through a reconciler.

use crate::context::Context;
use crate::context::backoff::Backoff;
use crate::error::ReconcileError;
use crate::runtime::standby::{Leading, discard_until_leading};
use futures::future::BoxFuture;
use futures::stream::StreamExt as _;
use kube::Resource;
use kube::runtime::controller::{Action, Config, Error, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// A function that reconciles one object.
pub type Reconcile<K> = fn(Arc<K>, Arc<Context>) -> BoxFuture<'static, Result<Action, ReconcileError>>;

/// Reconciles the objects of a queue, up to `concurrency` at a time and each object by one task at a time.
///
/// Nothing is reconciled before this controller leads. Then everything in the store is. When the controller
/// is asked to end, what is being reconciled is finished.
pub async fn run<K>(
    mut queue: UnboundedReceiver<ObjectRef<K>>,
    store: Store<K>,
    concurrency: u16,
    context: Arc<Context>,
    reconcile: Reconcile<K>,
) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let Some(Leading) = discard_until_leading(&mut queue, &context).await else { return Ok(()) };
    // Without this a controller that has listed nothing yet could not end before its time limit.
    let listed = context.draining.run_until_cancelled(store.wait_until_ready()).await;
    if listed.is_none() {
        return Ok(());
    }
    let known = store.state().into_iter().map(|object| ObjectRef::from_obj(&*object));
    let known = futures::stream::iter(known.collect::<Vec<_>>());
    let enqueued = futures::stream::poll_fn(move |context| queue.poll_recv(context));
    let queue =
        known.chain(enqueued).map(Ok::<_, Infallible>).take_until(context.draining.clone().cancelled_owned());
    let on_error = |object: Arc<K>, error: &ReconcileError, context: Arc<Context>| {
        context.metrics.errors.inc();
        let object = ObjectRef::from_obj(&*object).to_string();
        if error.is_told_once() {
            tracing::debug!(object, %error, "reconcile failed, trying again");
        } else {
            tracing::warn!(object, %error, "reconcile failed, trying again");
        }
        Action::requeue(context.backoff.failed(&object))
    };
    let config = Config::default().concurrency(concurrency);
    let noting = Arc::clone(&context);
    applier(reconcile, on_error, context, store, queue, config)
        .for_each(|outcome| {
            note(&outcome, &noting.backoff);
            std::future::ready(())
        })
        .await;
    Ok(())
}

/// Forgets the failures of an object that was reconciled, or that vanished.
fn note<K>(outcome: &Result<(ObjectRef<K>, Action), Error<ReconcileError, Infallible>>, backoff: &Backoff)
where
    K: Resource<DynamicType = ()>,
{
    match outcome {
        Ok((object, _)) => backoff.succeeded(&object.to_string()),
        Err(error) => {
            tracing::debug!(%error, "reconcile");
            // A failed reconcile is made again, so that this is noticed within the longest pause.
            if let Error::ObjectNotFound(vanished) = error {
                backoff.succeeded(&vanished.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};

    /// Whether the next failure of an object counts as its first.
    fn is_forgotten(backoff: &Backoff, object: &str) -> bool {
        backoff.failed(object) == Duration::from_secs(1)
    }

    #[test]
    fn review_l7_failures_of_objects_that_vanished_are_forgotten() {
        let backoff = Backoff::default();
        let object = ObjectRef::<TCSIssuer>::new("a").within("ns");
        let cluster = ObjectRef::<TCSClusterIssuer>::new("a");
        backoff.failed(&object.to_string());
        backoff.failed(&cluster.to_string());
        note::<TCSIssuer>(&Err(Error::ObjectNotFound(Box::new(object.clone().erase()))), &backoff);
        assert!(is_forgotten(&backoff, &object.to_string()));
        assert!(!is_forgotten(&backoff, &cluster.to_string()), "the other kind's stays");
        note(&Ok((cluster.clone(), Action::await_change())), &backoff);
        assert!(is_forgotten(&backoff, &cluster.to_string()));
    }
}
