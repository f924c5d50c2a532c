//! The probes and the metrics, over plain HTTP.

use crate::context::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Most connections to a port at a time.
const MOST_CONNECTIONS: usize = 64;
/// Most bytes of a request, and of what is written at a time.
const MOST_BYTES: usize = 16 * 1024;
/// How long a client may take to send its request.
const LONGEST_REQUEST: Duration = Duration::from_secs(5);
/// How long a connection may last, answer included.
const LONGEST_CONNECTION: Duration = Duration::from_secs(30);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Parses a bind address; `:8081` means all IPv4 addresses.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("'{text}' is not an address such as :8081 or 127.0.0.1:8081"))
}

/// Serves `/healthz` (the process works) and `/readyz` (it can do its job: caches are filled and an enclave answers).
pub async fn serve_probes(
    listener: TcpListener,
    context: Arc<Context>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let ready = move || {
        let context = Arc::clone(&context);
        async move {
            let missing = context.not_ready_because();
            if missing.is_empty() {
                (StatusCode::OK, "ok".to_owned())
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n"))
            }
        }
    };
    let router = Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready));
    serve(listener, router, stop).await
}

/// Serves `/metrics`.
pub async fn serve_metrics(
    listener: TcpListener,
    context: Arc<Context>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    const FORM: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let metrics = move || {
        let text = context.metrics.text();
        async move { ([(header::CONTENT_TYPE, FORM)], text).into_response() }
    };
    serve(listener, Router::new().route("/metrics", get(metrics)), stop).await
}

/// Serves a router until told to stop. Whoever reaches the port can connect, so what clients hold is bounded: the bytes and the time for a
/// request, and the connections, of which the oldest gives way to a new one.
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
        if connections.len() >= MOST_CONNECTIONS {
            connections.pop_front();
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(LONGEST_REQUEST)
            .max_buf_size(MOST_BYTES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        connections.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
            let _ = tokio::time::timeout(LONGEST_CONNECTION, connection).await;
        })));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    async fn served() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/healthz", get(|| async { "ok" }));
        tokio::spawn(serve(listener, router, stop.clone()));
        (address, stop)
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn clients_that_hold_connections_give_way_to_new_ones() {
        let (address, stop) = served().await;
        let mut held = Vec::new();
        for _ in 0..MOST_CONNECTIONS + 40 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
            held.push(stream);
            assert!(ask(address).await.ends_with("ok"));
        }
        // The first were ended for those that came later.
        let mut rest = Vec::new();
        assert_eq!(held[0].read_to_end(&mut rest).await.unwrap_or(0), 0);
        stop.cancel();
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_is_refused() {
        let (address, _stop) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let long = format!("GET /healthz HTTP/1.1\r\nX: {}", "x".repeat(MOST_BYTES * 2));
        // It may close its end before everything is written.
        let _ = stream.write_all(long.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
        assert!(ask(address).await.ends_with("ok"));
    }
}
