//! The connections of clients, and what happens to the requests that come over them.

use super::rules::{Active, Fault};
use super::shared::Shared;
use super::{forward, status::status};
use anyhow::Result;
use axum::body::Body;
use futures::future::pending;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Pause after a connection could not be accepted.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
            Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
        }
    }
}

/// Serves one connection until the client ends it or it is reset.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let cut = shared.connections.add();
    // What is closed without being told is reset: the client finds no end, but an error.
    if stream.set_zero_linger().is_err() || stream.set_nodelay(true).is_err() {
        return;
    }
    let answering = service_fn(|request| answer(request, Arc::clone(&shared), cut.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answering);
    let _ = cut.run_until_cancelled(connection).await;
    cut.cancel();
}

/// Answers one request. `cut` resets the connection.
async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    cut: CancellationToken,
) -> Result<Response<Body>> {
    let Some(active) = shared.rules.hit(request.method(), request.uri()) else {
        return forward::forward(request, &shared).await;
    };
    make(&active, request, &shared, &cut).await
}

/// Makes a fault.
async fn make(
    active: &Active,
    request: Request<Incoming>,
    shared: &Shared,
    cut: &CancellationToken,
) -> Result<Response<Body>> {
    match active.fault() {
        Fault::Cut => {}
        Fault::CutAnswer => {
            let answer = forward::forward(request, shared).await?;
            // The API server has done it all when its answer is complete.
            axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
        }
        Fault::Slow(pause) => {
            tokio::time::sleep(pause).await;
            return forward::forward(request, shared).await;
        }
        Fault::Hang => active.ended().await,
        Fault::Busy { seconds } => {
            let mut busy = status(StatusCode::TOO_MANY_REQUESTS)?;
            busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            return Ok(busy);
        }
        Fault::Status(code) => return status(StatusCode::from_u16(code)?),
    }
    cut.cancel();
    pending().await
}
