//! Reconciles the open requests of one request API.

use super::RequestKind;
use super::read_again::read_again;
use super::reconcile::reconcile;
use super::table::{Job, Next, RequestTable, Unread, Work};
use crate::context::Context;
use crate::error::ReconcileError;
use kube::Client;
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;

/// Reconciles one request after the other, from the moment at which this controller leads. When the
/// controller is asked to end, what has been begun is finished.
pub async fn work<K: RequestKind>(table: Arc<RequestTable<K>>, context: Arc<Context>) -> anyhow::Result<()> {
    let draining = &context.draining;
    if draining.run_until_cancelled(context.leadership.acquired()).await.is_none() {
        return Ok(());
    }
    while let Some(work) = draining.run_until_cancelled(table.next()).await {
        let job = match work {
            Work::Reconcile(job) => job,
            Work::Read(unread) => match read(unread, &table, &context.client).await {
                Ok(Some(job)) => job,
                Ok(None) => continue,
                Err(error) => {
                    context.metrics.errors.inc();
                    tracing::warn!(%error, "a request could not be read again, trying again");
                    continue;
                }
            },
        };
        let next = reconcile(&job, &table, &context).await.unwrap_or_else(|error| {
            context.metrics.errors.inc();
            let object = ObjectRef::from_obj(&**job.request);
            if error.is_told_once() {
                tracing::debug!(%object, %error, "reconcile failed, trying again");
            } else {
                tracing::warn!(%object, %error, "reconcile failed, trying again");
            }
            Next::Failed
        });
        table.finish(&job, next);
    }
    Ok(())
}

/// Reads a request that is not held. `Ok(None)` if it does not exist any more, or is another one of the same
/// name; the watch reports either.
async fn read<K: RequestKind>(
    unread: Unread,
    table: &RequestTable<K>,
    client: &Client,
) -> Result<Option<Job<K>>, ReconcileError> {
    let next = match read_again::<K>(client, &unread.name).await {
        Ok(Some(request)) if request.meta().uid == unread.uid => return Ok(Some(unread.into_job(request))),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    };
    table.finish(&unread, if next.is_ok() { Next::OnChange } else { Next::Failed });
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::csr::KubernetesCsr;
    use crate::requests::table::tests::large;
    use axum::http::{Request, Response};
    use futures::FutureExt as _;
    use kube::ResourceExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;
    use std::future::ready;

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
}
