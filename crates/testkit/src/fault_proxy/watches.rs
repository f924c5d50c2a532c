//! The watches that are running, which can be made to expire.

use super::status::status_object;
use axum::body::{Body, BodyDataStream, Bytes};
use futures::{StreamExt as _, stream};
use http::{StatusCode, Uri};
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// In the query of a watch.
pub(super) const QUERY: &str = "watch=true";

/// Whether a request begins or continues a watch.
pub(super) fn is_watch(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains(QUERY))
}

/// The running watches.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<Watch>>);

struct Watch {
    path: String,
    expired: CancellationToken,
    /// The client has gone.
    ended: CancellationToken,
}

/// The answer to a watch on its way to the client.
struct Expiring {
    chunks: BodyDataStream,
    expired: CancellationToken,
    /// No event is partly sent.
    at_line_end: bool,
    has_expired: bool,
    _ended: tokio_util::sync::DropGuard,
}

impl Watches {
    /// The body of the answer to a watch.
    pub(super) fn body(&self, path: String, body: Body) -> Body {
        let (expired, ended) = (CancellationToken::new(), CancellationToken::new());
        let events = Expiring {
            chunks: body.into_data_stream(),
            expired: expired.clone(),
            at_line_end: true,
            has_expired: false,
            _ended: ended.clone().drop_guard(),
        };
        let mut watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watch| !watch.ended.is_cancelled());
        watches.push(Watch { path, expired, ended });
        Body::from_stream(stream::unfold(events, Expiring::next))
    }

    /// Ends those whose path contains a text. Returns how many there were.
    pub(super) fn expire(&self, path: &str) -> usize {
        let watches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = watches.iter().filter(|watch| !watch.ended.is_cancelled() && watch.path.contains(path));
        open.inspect(|watch| watch.expired.cancel()).count()
    }
}

impl Expiring {
    async fn next(mut self) -> Option<(Result<Bytes, axum::Error>, Self)> {
        if self.has_expired {
            return None;
        }
        tokio::select! {
            biased;
            () = self.expired.cancelled(), if self.at_line_end => {
                self.has_expired = true;
                Some((Ok(error_event().into()), self))
            }
            chunk = self.chunks.next() => {
                let chunk = chunk?;
                if let Ok(bytes) = &chunk {
                    self.at_line_end = bytes.ends_with(b"\n");
                }
                Some((chunk, self))
            }
        }
    }
}

/// The last event of a watch of a state that the API server has forgotten.
fn error_event() -> String {
    let event = serde_json::json!({"type": "ERROR", "object": status_object(StatusCode::GONE)});
    format!("{event}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn a_watch_expires_between_two_events() {
        let (upstream, mut received) = unbounded_channel::<&'static str>();
        let chunks = stream::poll_fn(move |context| received.poll_recv(context));
        let body = Body::from_stream(chunks.map(Ok::<_, std::convert::Infallible>));
        let watches = Watches::default();
        let mut read = watches.body("/apis/a".to_owned(), body).into_data_stream();
        upstream.send("{\"first\":").unwrap();
        assert_eq!(read.next().await.unwrap().unwrap(), "{\"first\":");
        assert_eq!((watches.expire("/apis/b"), watches.expire("/apis/a")), (0, 1));
        assert!(read.next().now_or_never().is_none(), "the event is not complete");
        upstream.send("1}\n").unwrap();
        assert_eq!(read.next().await.unwrap().unwrap(), "1}\n");
        let error: serde_json::Value = serde_json::from_slice(&read.next().await.unwrap().unwrap()).unwrap();
        assert_eq!((&error["type"], &error["object"]["code"]), (&"ERROR".into(), &410.into()));
        assert!(read.next().await.is_none());
        drop(read);
        assert_eq!(watches.expire("/apis/a"), 0, "it has ended");
    }
}
