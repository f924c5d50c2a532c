//! Serves the probes and the metrics over plain HTTP.

use super::scrape;
use crate::context::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Maximum number of connections to a port at a time.
const MAX_CONNECTIONS: usize = 64;
/// Maximum size of a request, and of what is written at a time, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may exist, including the response.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the same metrics are served.
const SCRAPE_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Serves three paths:
///
/// - `/healthz`: the process is alive.
/// - `/readyz`: the API server lets the service read what it must read, the caches are filled, the Lease can
///   be read (and written, if this controller leads), an enclave answers, nothing that it makes is overdue,
///   and the admission policies are in force. A controller that could take over is as ready as the one that
///   leads (`docs/ha.md`).
/// - `/enclavez`: the enclave does not hang. It is the liveness probe of the enclave's container, which has
///   no HTTP server (`docs/monitoring.md`, "Probes").
pub async fn serve_probes(
    listener: TcpListener,
    context: Arc<Context>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let enclave = context.enclave.clone();
    let hangs = move || std::future::ready(probe_answer(enclave.hangs().unwrap_or_default().to_owned()));
    let ready = move || std::future::ready(probe_answer(context.not_ready_because().join("\n")));
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/enclavez", get(hangs));
    serve(listener, router, stop).await
}

/// What a probe is told about what is wrong.
fn probe_answer(wrong: String) -> (StatusCode, String) {
    if wrong.is_empty() {
        (StatusCode::OK, "ok".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong)
    }
}

/// Serves `/metrics`.
pub async fn serve_metrics(
    listener: TcpListener,
    context: Arc<Context>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let latest = Arc::new(Latest::default());
    let metrics = move || {
        let (latest, context) = (Arc::clone(&latest), Arc::clone(&context));
        async move {
            let text = latest.get(|| scrape::text(&context)).await;
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
        }
    };
    serve(listener, Router::new().route("/metrics", get(metrics)), stop).await
}

/// The metrics as they were computed last. They are computed from all objects, so whoever asks more often
/// gets the same text again.
#[derive(Default)]
struct Latest(Mutex<Option<(Instant, Bytes)>>);

impl Latest {
    async fn get(&self, compute: impl FnOnce() -> String) -> Bytes {
        let mut latest = self.0.lock().await;
        let (_, text) = match latest.take() {
            Some(present) if present.0.elapsed() < SCRAPE_PAUSE => latest.insert(present),
            _ => latest.insert((Instant::now(), compute().into())),
        };
        text.clone()
    }
}

/// Serves a router until `stop`. Everyone who reaches the port can connect, so what clients can occupy is
/// bounded: the size and the time of a request, and the number of connections, of which the oldest is closed
/// for a new one.
async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    let mut connections: VecDeque<AbortOnDropHandle<()>> = VecDeque::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= MAX_CONNECTIONS {
            connections.pop_front();
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_TIMEOUT)
            .max_buf_size(MAX_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        connections.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
        })));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[tokio::test(start_paused = true)]
    async fn who_asks_often_gets_the_same_metrics_again() {
        let latest = Latest::default();
        assert_eq!(latest.get(|| "first".into()).await, "first");
        assert_eq!(latest.get(|| panic!("they are computed again")).await, "first");
        tokio::time::advance(SCRAPE_PAUSE).await;
        assert_eq!(latest.get(|| "second".into()).await, "second");
    }

    async fn served() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/healthz", get(|| async { "ok" }));
        tokio::spawn(serve(listener, router, stop.clone()));
        (address, stop)
    }

    async fn get_healthz(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_oldest_connection_is_closed_for_a_new_one() {
        let (address, stop) = served().await;
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 40 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
            held.push(stream);
            assert!(get_healthz(address).await.ends_with("ok"));
        }
        // The first connections were closed for later ones.
        let mut rest = Vec::new();
        assert_eq!(held[0].read_to_end(&mut rest).await.unwrap_or(0), 0);
        stop.cancel();
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_is_refused() {
        let (address, _stop) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let long = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(MAX_BYTES * 2));
        // The server may close the connection before everything is written.
        let _ = stream.write_all(long.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
        assert!(get_healthz(address).await.ends_with("ok"));
    }
}
