//! No write leaves this process after its leadership has ended.
//!
//! It is a layer of the client, so that no code path can forget it. A request that was sent before is settled
//! by the API server: by the resource version or UID that it carries.

use super::leadership::Leadership;
use http::{Method, Request, Uri};
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

/// Adds a [`Fence`] to a client.
pub struct FenceLayer(Leadership);

impl FenceLayer {
    /// A layer that refuses writes while `leadership` has ended, or has not begun.
    pub fn new(leadership: Leadership) -> Self {
        Self(leadership)
    }
}

impl<S> Layer<S> for FenceLayer {
    type Service = Fence<S>;

    fn layer(&self, inner: S) -> Fence<S> {
        Fence { inner, leadership: self.0.clone() }
    }
}

/// A client that writes only while this controller leads. Dry runs write nothing, so they are permitted.
pub struct Fence<S> {
    inner: S,
    leadership: Leadership,
}

impl<S, B> Service<Request<B>> for Fence<S>
where
    S: Service<Request<B>, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !writes(request.method(), request.uri()) {
            return Box::pin(self.inner.call(request));
        }
        if let Err(ended) = self.leadership.check() {
            return Box::pin(ready(Err(ended.into())));
        }
        // Until it is sent it waits for a token, for a connection and, after an answer like 429, for the next
        // try.
        let (sent, leadership) = (self.inner.call(request), self.leadership.clone());
        Box::pin(async move { leadership.only_while_leading(sent).await? })
    }
}

/// Whether a request can change anything.
fn writes(method: &Method, uri: &Uri) -> bool {
    let is_dry_run = || uri.query().is_some_and(|query| query.split('&').any(|one| one == "dryRun=All"));
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && !is_dry_run()
}

#[cfg(test)]
mod tests {
    use super::super::boot_time::BootTime;
    use super::super::leadership::NotLeading;
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::time::Duration;
    use tower::{ServiceExt as _, service_fn};

    /// How many requests reached the API server.
    type Sent = Arc<AtomicU32>;

    async fn call(leadership: &Leadership, sent: &Sent, method: &Method, uri: &str) -> Result<(), BoxError> {
        let sent = Arc::clone(sent);
        let server = service_fn(move |_: Request<()>| {
            sent.fetch_add(1, Ordering::Relaxed);
            ready(Ok::<_, BoxError>(()))
        });
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        FenceLayer::new(leadership.clone()).layer(server).oneshot(request).await
    }

    fn in_ten_seconds() -> BootTime {
        BootTime::now().after(Duration::from_secs(10))
    }

    #[tokio::test]
    async fn nothing_is_written_before_the_leadership_or_after_its_deadline() {
        let (leadership, sent) = (Leadership::default(), Sent::default());
        let uri = "https://k/apis/certificates.k8s.io/v1/certificatesigningrequests/a/status?x=y";
        let written = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for ended in [None, Some(BootTime::now())] {
            if let Some(deadline) = ended {
                leadership.extend(deadline);
            }
            for method in &written {
                let refused = call(&leadership, &sent, method, uri).await.unwrap_err();
                assert!(refused.is::<NotLeading>(), "{method}: {refused}");
            }
            assert_eq!(sent.swap(0, Ordering::Relaxed), 0);
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                call(&leadership, &sent, &method, uri).await.unwrap();
            }
            call(&leadership, &sent, &Method::POST, "https://k/api/v1/secrets?a=b&dryRun=All").await.unwrap();
            assert_eq!(sent.swap(0, Ordering::Relaxed), 4);
        }
        leadership.extend(in_ten_seconds());
        for method in &written {
            call(&leadership, &sent, method, uri).await.unwrap();
        }
        assert_eq!(sent.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn a_write_that_waits_for_its_turn_is_not_sent_after_the_deadline() {
        let leadership = Leadership::default();
        leadership.extend(in_ten_seconds());
        let (was_sent, ends) = (Arc::new(AtomicBool::default()), leadership.clone());
        let sent = Arc::clone(&was_sent);
        // As a client that waits for a connection, or until it may try again.
        let server = service_fn(move |_: Request<()>| {
            let (sent, ends) = (Arc::clone(&sent), ends.clone());
            async move {
                ends.end();
                tokio::task::yield_now().await;
                sent.store(true, Ordering::Relaxed);
                Ok::<_, BoxError>(())
            }
        });
        let request = Request::builder().method(Method::PUT).uri("https://k/x").body(()).unwrap();
        let refused = FenceLayer::new(leadership).layer(server).oneshot(request).await.unwrap_err();
        assert!(refused.is::<NotLeading>(), "{refused}");
        assert!(!was_sent.load(Ordering::Relaxed));
    }
}
