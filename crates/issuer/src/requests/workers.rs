//! Reconciles the open requests of one request API.

use super::RequestKind;
use super::reconcile::{Reconciled, reconcile};
use super::table::{Job, Next, RequestTable};
use crate::context::Context;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Reconciles one request after the other, from the moment at which this controller leads. When the
/// controller is asked to end, what has been begun is finished.
pub async fn work<K: RequestKind>(table: Arc<RequestTable<K>>, context: Arc<Context>) -> anyhow::Result<()> {
    let draining = &context.draining;
    if draining.run_until_cancelled(context.leadership.acquired()).await.is_none() {
        return Ok(());
    }
    let attempt = |job: Job<K>| {
        let (table, context) = (Arc::clone(&table), Arc::clone(&context));
        async move {
            let reconciled = reconcile(&job, &table, &context).await.unwrap_or_else(|error| {
                context.metrics.errors.inc();
                let object = ObjectRef::from_obj(&*job.request);
                tracing::warn!(%object, %error, "reconcile failed, trying again");
                Reconciled::Done(Next::Failed)
            });
            (job, reconciled)
        }
    };
    take_jobs(&table, draining, attempt).await
}

/// Takes jobs until `draining`. Reviews of access take as long as the authorizers of the API server take, so
/// a request that needs one is set aside, and others are not held up.
async fn take_jobs<K: RequestKind, F: Future<Output = (Job<K>, Reconciled)>>(
    table: &Arc<RequestTable<K>>,
    draining: &CancellationToken,
    attempt: impl Fn(Job<K>) -> F,
) -> anyhow::Result<()> {
    let mut set_aside = JoinSet::new();
    loop {
        let job = tokio::select! {
            biased;
            () = draining.cancelled() => return Ok(()),
            Some(resumed) = set_aside.join_next() => {
                resumed?;
                continue;
            }
            job = table.next() => job,
        };
        match attempt(job).await {
            (job, Reconciled::Done(next)) => table.finish(&job, next),
            (job, Reconciled::SetAside(deciding)) => {
                let table = Arc::clone(table);
                set_aside.spawn(async move {
                    let decided = deciding.await;
                    table.resume(&job, decided);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::shared_reviews::Decision;
    use crate::requests::csr::KubernetesCsr;
    use futures::FutureExt as _;
    use kube::ResourceExt as _;
    use serde_json::json;
    use std::sync::Mutex;
    use std::time::Duration;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    fn request(name: &str) -> KubernetesCsr {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "spec": {"request": "", "signerName": "tcsissuer.tcs.intel.com/a.b"},
        }))
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_that_hangs_holds_no_other_request() {
        let table = Arc::new(RequestTable::default());
        let (draining, answered) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (done, progress) = (Mutex::new(Vec::new()), Notify::new());
        let attempt = async |job: Job<KubernetesCsr>| {
            let name = job.request.name_any();
            if name != "other" && job.decided.is_none() {
                let answered = Arc::clone(&answered);
                let deciding = async move {
                    answered.notified().await;
                    Ok(Decision::Allowed)
                };
                return (job, Reconciled::SetAside(deciding.boxed()));
            }
            done.lock().unwrap().push(name);
            progress.notify_one();
            (job, Reconciled::Done(Next::OnChange))
        };
        let working = take_jobs(&table, &draining, attempt);
        let watching = async {
            for name in ["a", "b", "other"] {
                table.apply(request(name));
            }
            progress.notified().await;
            assert_eq!(*done.lock().unwrap(), ["other"]);
            for name in ["a", "b"] {
                answered.notify_one();
                progress.notified().await;
                assert_eq!(done.lock().unwrap().last().unwrap(), name);
            }
            draining.cancel();
        };
        let both = async { tokio::join!(working, watching) };
        let (worked, ()) = timeout(Duration::from_mins(1), both).await.expect("one worker is enough");
        worked.unwrap();
    }
}
