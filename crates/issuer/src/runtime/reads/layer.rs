//! Sees how every list and watch is answered, and which other requests the service may not make.
//!
//! It is a layer of the client, because kube's watcher reports only errors: it does not say when it reads
//! again. The client of the watches does not try again by itself, so that each attempt is seen here.

use super::Reads;
use super::read::Read;
use axum::body::{Bytes, to_bytes};
use axum::http::Response;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
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
/// The longest pause that the API server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The longest answer that is read to find out which right is missing.
const MAX_ANSWER: usize = 64 << 10;

/// Adds an [`Observer`] to a client.
pub struct ObserverLayer(Reads);

impl ObserverLayer {
    /// A layer that reports to `reads`.
    pub fn new(reads: Reads) -> Self {
        Self(reads)
    }
}

impl<S> Layer<S> for ObserverLayer {
    type Service = Observer<S>;

    fn layer(&self, inner: S) -> Observer<S> {
        Observer { inner, reads: self.0.clone() }
    }
}

/// A client whose lists and watches are observed.
pub struct Observer<S> {
    inner: S,
    reads: Reads,
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
        let read = Read::of(request.method(), request.uri());
        // Nothing is known of a request that is no list and no watch, as long as no right is missing: one is
        // sent for each certificate.
        let right = self.reads.lacks_rights().then(|| Read::right(request.method(), request.uri())).flatten();
        let (sent, reads) = (self.inner.call(request), self.reads.clone());
        Box::pin(async move {
            let Some(read) = read else { return other(sent.await?, right, &reads).await };
            let answer = timeout(HEADERS_LIMIT, sent).await.unwrap_or_else(|_| Err(no_headers().into()));
            reads.observe(read, answer.as_ref().map(Response::status));
            if let Some(pause) = answer.as_ref().ok().and_then(requested_pause) {
                sleep(pause).await;
            }
            answer
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
/// the answer says which: a refusal by an admission policy has the same status.
async fn other(
    answer: Response<Box<DynBody>>,
    right: Option<Read>,
    reads: &Reads,
) -> Result<Response<Box<DynBody>>, BoxError> {
    if answer.status() != StatusCode::FORBIDDEN {
        if let Some(right) = right.filter(|_| answer.status().is_success()) {
            reads.granted(right);
        }
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    let bytes = to_bytes(axum::body::Body::new(body), MAX_ANSWER).await?;
    if let Some(missing) = std::str::from_utf8(&bytes).ok().and_then(Read::missing) {
        reads.observe(missing, Ok(head.status));
    }
    Ok(Response::from_parts(head, Box::new(Answer(Some(bytes)))))
}

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
