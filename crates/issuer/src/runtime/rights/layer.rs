//! Sees how every list and watch is answered, and which other requests the service may not make.
//!
//! It is a layer of the client, because kube's watcher reports only errors: it does not say when it reads
//! again. The client does not try again by itself, so that each attempt is seen here.

use super::Rights;
use super::right::Right;
use axum::body::{Bytes, to_bytes};
use axum::http::Response;
use http::header::RETRY_AFTER;
use http::{Method, Request, StatusCode, Uri};
use http_body::{Body, Frame};
use kube::client::DynBody;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, Service};

/// How long the headers of the answer to a list or a watch may take. An API server that accepts connections
/// and answers nothing would otherwise not be noticed: a watch is open for minutes.
const HEADERS_LIMIT: Duration = Duration::from_secs(30);
/// The longest pause that the API server can ask for. Whoever sent the request has a pause of their own
/// before the next attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest answer that is read to find out which right is missing.
const MAX_ANSWER: usize = 64 << 10;

/// Adds an [`Observer`] to a client.
pub struct ObserverLayer(Rights);

impl ObserverLayer {
    /// A layer that reports to `rights`.
    pub fn new(rights: Rights) -> Self {
        Self(rights)
    }
}

impl<S> Layer<S> for ObserverLayer {
    type Service = Observer<S>;

    fn layer(&self, inner: S) -> Observer<S> {
        Observer { inner, rights: self.0.clone() }
    }
}

/// A client whose lists and watches are observed.
pub struct Observer<S> {
    inner: S,
    rights: Rights,
}

impl<S, B> Service<Request<B>> for Observer<S>
where
    S: Service<Request<B>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let reads = Right::to_list_or_watch(request.method(), request.uri());
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let (sent, rights) = (self.inner.call(request), self.rights.clone());
        Box::pin(async move {
            let answer = match reads {
                Some(right) => {
                    let answer =
                        timeout(HEADERS_LIMIT, sent).await.unwrap_or_else(|_| Err(no_headers().into()));
                    rights.observe(right, answer.as_ref().map(Response::status));
                    answer?
                }
                None => other(sent.await?, &method, &uri, &rights).await?,
            };
            if let Some(pause) = requested_pause(&answer) {
                sleep(pause).await;
            }
            Ok(answer)
        })
    }
}

fn no_headers() -> String {
    format!("nothing within {} seconds", HEADERS_LIMIT.as_secs())
}

/// For how long the API server asks to wait.
fn requested_pause<R>(answer: &Response<R>) -> Option<Duration> {
    let is_overloaded =
        matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let header = answer.headers().get(RETRY_AFTER).filter(|_| is_overloaded)?;
    let seconds = header.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// The answer to a request that is no list and no watch. If the service lacks the right to it, the text of
/// the answer says which: a refusal by an admission policy has the same status. Such a text may contain what
/// strangers wrote, so the right has to be one that this request needs.
async fn other(
    answer: Response<Box<DynBody>>,
    method: &Method,
    uri: &Uri,
    rights: &Rights,
) -> Result<Response<Box<DynBody>>, BoxError> {
    if answer.status() != StatusCode::FORBIDDEN {
        // One request is sent for each certificate: usually nothing is to be found out.
        if rights.lacks_rights()
            && answer.status().is_success()
            && let Some(right) = Right::to_one_object(method, uri)
        {
            rights.granted(right);
        }
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let Ok(bytes) = to_bytes(axum::body::Body::new(body), MAX_ANSWER).await else {
        return Ok(Response::from_parts(head, Box::new(Answer(Some(Bytes::from_static(TOO_LONG))))));
    };
    let right = Right::to_one_object(method, uri);
    let implied = right.as_ref().and_then(Right::implied);
    if let Some(missing) = std::str::from_utf8(&bytes).ok().and_then(Right::missing)
        && [right, implied].into_iter().flatten().any(|needed| needed == missing)
    {
        rights.observe(missing, Ok(head.status));
    }
    Ok(Response::from_parts(head, Box::new(Answer(Some(bytes)))))
}

/// Stands for an answer that is too long, or that was not sent to its end.
const TOO_LONG: &[u8] = br#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"the API server answered 403 with a text that is too long"}"#;

/// An answer that was read already.
pub(super) struct Answer(pub Option<Bytes>);

impl Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
