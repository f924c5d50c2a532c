//! Reconciles the open requests of one request API.

use super::RequestKind;
use super::read_again::read_again;
use super::reconcile::{Reconciled, reconcile, still_waits};
use super::table::{Job, Next, RequestTable, Unread, Work};
use crate::context::Context;
use crate::error::ReconcileError;
use crate::runtime::unreadable::ObjectName;
use kube::Client;
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
    let attempt = |work: Work<K>| {
        let (table, context) = (Arc::clone(&table), Arc::clone(&context));
        async move {
            let job = match work {
                Work::Reconcile(job) => job,
                Work::Read(unread) if still_waits(&unread, &context) => {
                    table.finish(&unread, Next::OnChange);
                    return None;
                }
                Work::Read(unread) => match read(unread, &table, &context.client).await {
                    Ok(read) => read?,
                    Err((name, error)) => {
                        tell::<K>(&name, &error, &context);
                        return None;
                    }
                },
            };
            let reconciled = reconcile(&job, &table, &context).await.unwrap_or_else(|error| {
                tell::<K>(&job.name, &error, &context);
                Reconciled::Done(Next::Failed)
            });
            Some((job, reconciled))
        }
    };
    take_jobs(&table, draining, attempt).await
}

/// Tells that a reconcile failed. It is tried again.
fn tell<K: RequestKind>(object: &ObjectName, error: &ReconcileError, context: &Context) {
    context.metrics.errors.inc();
    let kind = K::kind(&());
    if error.is_told_once() {
        tracing::debug!(%kind, %object, %error, "reconcile failed, trying again");
    } else {
        tracing::warn!(%kind, %object, %error, "reconcile failed, trying again");
    }
}

/// Takes work until `draining`. Reviews of access take as long as the authorizers of the API server take, so
/// a request that needs one is set aside, and others are not held up.
async fn take_jobs<K: RequestKind, F: Future<Output = Option<(Job<K>, Reconciled)>>>(
    table: &Arc<RequestTable<K>>,
    draining: &CancellationToken,
    attempt: impl Fn(Work<K>) -> F,
) -> anyhow::Result<()> {
    let mut set_aside = JoinSet::new();
    loop {
        let work = tokio::select! {
            biased;
            () = draining.cancelled() => return Ok(()),
            Some(resumed) = set_aside.join_next() => {
                resumed?;
                continue;
            }
            work = table.next() => work,
        };
        match attempt(work).await {
            None => {}
            Some((job, Reconciled::Done(next))) => table.finish(&job, next),
            Some((job, Reconciled::SetAside(deciding))) => {
                let (table, turn) = (Arc::clone(table), job.into_turn());
                set_aside.spawn(async move {
                    let decided = deciding.await;
                    table.resume(&turn, decided);
                });
            }
        }
    }
}

/// Reads a request that is not held. `Ok(None)` if it does not exist any more, or is another one of the same
/// name; the watch reports either. An error comes with the name.
async fn read<K: RequestKind>(
    unread: Unread,
    table: &RequestTable<K>,
    client: &Client,
) -> Result<Option<Job<K>>, (ObjectName, ReconcileError)> {
    match read_again::<K>(client, &unread.name).await {
        Ok(Some(request)) if request.meta().uid == unread.uid => Ok(Some(unread.into_job(request))),
        Ok(_) => {
            table.finish(&unread, Next::OnChange);
            Ok(None)
        }
        Err(error) => {
            table.finish(&unread, Next::Failed);
            Err((unread.name.clone(), error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::shared_reviews::{Decided, Decision};
    use crate::requests::csr::KubernetesCsr;
    use crate::requests::table::tests::large;
    use axum::http::{Request, Response};
    use futures::FutureExt as _;
    use kube::ResourceExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;
    use std::future::ready;
    use std::sync::Mutex;
    use std::time::Duration;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    /// An API server that answers each request for `a/b` so.
    fn server(status: u16, answer: Value) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/a%2Fb";
            assert_eq!((request.method().as_str(), request.uri().path()), ("GET", path));
            let body = Body::from(answer.to_string().into_bytes());
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()))
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn review_m2_a_request_that_is_not_held_is_read_and_nothing_else_takes_its_place() {
        let object = |uid: &str| {
            let mut object = serde_json::to_value(large("a/b", uid, "2")).unwrap();
            object["metadata"]["annotations"] = json!({});
            object
        };
        let status = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"});
        for (code, answer, expected) in [
            (200, object("u"), Ok(true)),
            (200, object("another"), Ok(false)),
            (404, status, Ok(false)),
            (500, json!({"kind": "Status", "status": "Failure", "code": 500}), Err(())),
        ] {
            let table = RequestTable::<KubernetesCsr>::without_room();
            table.apply(large("a/b", "u", "1"));
            let Some(Work::Read(unread)) = table.next().now_or_never() else { panic!("{answer}") };
            let job = read(unread, &table, &server(code, answer.clone())).await;
            assert_eq!(job.as_ref().map(Option::is_some).map_err(drop), expected, "{answer}");
            if let Ok(Some(job)) = job {
                assert_eq!(job.request.resource_version().as_deref(), Some("2"));
                table.close(&job);
            }
            // Whatever came of it, the turn has ended: a change gets the next one.
            table.apply(large("a/b", "u", "3"));
            assert!(matches!(table.next().now_or_never(), Some(Work::Read(_))), "{answer}");
        }
    }

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
        let attempt = async |work: Work<KubernetesCsr>| {
            let Work::Reconcile(job) = work else { panic!("it is not held") };
            let name = job.request.name_any();
            if name != "other" && job.decided.is_none() {
                let answered = Arc::clone(&answered);
                let deciding = async move {
                    answered.notified().await;
                    Decided::now(Ok(Decision::Allowed))
                };
                return Some((job, Reconciled::SetAside(deciding.boxed())));
            }
            done.lock().unwrap().push(name);
            progress.notify_one();
            Some((job, Reconciled::Done(Next::OnChange)))
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
