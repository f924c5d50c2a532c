//! The clients of the API server.

use crate::clock::ServerClock;
use crate::runtime::lease::fence::FenceLayer;
use crate::runtime::lease::leadership::Leadership;
use crate::runtime::most_recent::most_recent;
use crate::runtime::rights::Rights;
use crate::runtime::rights::layer::ObserverLayer;
use axum::body::Bytes;
use axum::http::Response;
use http_body::{Body, Frame};
use kube::client::{ClientBuilder, DynBody};
use kube::{Client, Config};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower::util::{MapRequestLayer, MapResponseLayer};

/// The clients of the API server.
pub struct Clients {
    /// For everything but the Lease. It writes only while the controller leads.
    pub client: Client,
    /// For the Lease only. It has connections of its own, so that nothing delays a renewal.
    pub lease: Client,
    /// What the answers of the API server say about the rights of `client`.
    pub rights: Rights,
    /// The clock that reads the date of every response.
    pub clock: ServerClock,
}

/// Clients with the configuration of the environment: kubeconfig or ServiceAccount.
///
/// Responses are made valid UTF-8, as JSON must be (RFC 8259, section 8.1). In `metadata.managedFields` of
/// built-in kinds the API server keeps field names byte by byte as a client sent them, and kube refuses a
/// whole list for one byte that is not UTF-8.
pub async fn clients(leadership: &Leadership) -> Result<Clients, kube::Error> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    clients_of(config, leadership)
}

fn clients_of(mut config: Config, leadership: &Leadership) -> Result<Clients, kube::Error> {
    let (clock, rights) = (ServerClock::default(), Rights::default());
    let observer = clock.clone();
    let layer = MapResponseLayer::new(move |response: Response<Box<DynBody>>| {
        observer.observe(response.headers());
        response.map(ValidUtf8::of)
    });
    let layered = |config: Config| -> Result<Client, kube::Error> {
        let client = ClientBuilder::try_from(config)?
            .with_layer(&FenceLayer::new(leadership.clone()))
            .with_layer(&ObserverLayer::new(rights.clone()))
            .with_layer(&layer)
            .with_layer(&MapRequestLayer::new(most_recent));
        Ok(client.build())
    };
    // A client that tries again by itself hides for minutes that the API server answers 429 or 503. Whoever
    // sends a request tries again: a watch, a reconcile, or the next renewal.
    config.default_retry = false;
    let client = layered(config.clone())?;
    let valid = MapResponseLayer::new(|response: Response<Box<DynBody>>| response.map(ValidUtf8::of));
    let lease = ClientBuilder::try_from(config)?.with_layer(&valid).build();
    Ok(Clients { client, lease, rights, clock })
}

/// A body in which U+FFFD replaces bytes that are not UTF-8.
struct ValidUtf8<B> {
    body: B,
    /// An incomplete character at the end of the last frame: at most three bytes.
    partial: Vec<u8>,
}

impl<B> ValidUtf8<B> {
    fn of(body: B) -> Self {
        Self { body, partial: Vec::new() }
    }

    fn valid(&mut self, data: Bytes) -> Bytes {
        if self.partial.is_empty() && std::str::from_utf8(&data).is_ok() {
            return data;
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&data);
        let mut valid = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            valid.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let is_partial = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if chunks.peek().is_none() && is_partial {
                self.partial = invalid.to_vec();
            } else if !invalid.is_empty() {
                valid.push(char::REPLACEMENT_CHARACTER);
            }
        }
        valid.into()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ValidUtf8<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None if self.partial.is_empty() => return Poll::Ready(None),
            None => {
                self.partial.clear();
                let last = Bytes::from_static("\u{fffd}".as_bytes());
                return Poll::Ready(Some(Ok(Frame::data(last))));
            }
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => Frame::data(self.valid(data)),
            Err(frame) => frame,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.partial.is_empty() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::IntoFuture as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    struct Frames(VecDeque<Bytes>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
        }
    }

    async fn read(frames: &[&[u8]]) -> Vec<u8> {
        let frames = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
        let mut body = ValidUtf8::of(Frames(frames));
        let mut read = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            read.extend(frame.unwrap().into_data().unwrap());
        }
        assert!(body.is_end_stream() || body.partial.is_empty());
        read
    }

    #[tokio::test]
    async fn review_h1_responses_are_valid_utf_8_wherever_they_are_split() {
        let whole = "a\u{e4}\u{20ac}\u{1d11e}z".as_bytes();
        let broken = b"{\"f:\xff\xfe\":\"\xe2\x82\",\"\xf0\x9f\"}\xe2\x82";
        for text in [whole, broken.as_slice()] {
            let expected = String::from_utf8_lossy(text).into_owned();
            for cut in 0..=text.len() {
                for second in cut..=text.len() {
                    let frames = [&text[..cut], &text[cut..second], &text[second..]];
                    assert_eq!(String::from_utf8(read(&frames).await).unwrap(), expected, "{cut} {second}");
                }
            }
        }
    }

    /// Otherwise nobody would notice for minutes that the API server is overloaded.
    #[tokio::test]
    async fn case_9_7_each_attempt_of_a_watch_is_seen() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::default());
        let count = Arc::clone(&asked);
        let overloaded = move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(axum::http::StatusCode::SERVICE_UNAVAILABLE)
        };
        let server = axum::serve(listener, axum::Router::new().fallback(overloaded)).into_future();
        let config = Config::new(url.parse().unwrap());
        let Clients { client, rights, .. } = clients_of(config, &Leadership::default()).unwrap();
        let secrets: kube::Api<Secret> = kube::Api::all(client);
        let parameters = kube::api::ListParams::default();
        let listed = async {
            tokio::select! {
                listed = secrets.list(&parameters) => listed.map(drop),
                _ = server => unreachable!(),
            }
        };
        tokio::time::timeout(Duration::from_mins(1), listed).await.unwrap().unwrap_err();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(rights.failing().iter().filter(|(_, fails)| *fails).count(), 1);
    }
}
