//! Sees how every list and watch is answered.
//!
//! It is a layer of the client, because kube's watcher reports only errors: it does not say when it reads
//! again.

use super::Reads;
use super::read::Read;
use axum::http::Response;
use http::Request;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

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

impl<S, B, R> Service<Request<B>> for Observer<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = BoxError>,
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
        let sent = self.inner.call(request);
        let Some(read) = read else { return Box::pin(sent) };
        let reads = self.reads.clone();
        Box::pin(async move {
            let answer = sent.await;
            reads.observe(read, answer.as_ref().map(Response::status));
            answer
        })
    }
}
