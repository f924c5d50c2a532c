//! The probes and the metrics, over plain HTTP.

use crate::context::Context;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}
