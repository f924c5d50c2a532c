//! Passes a request on to the API server, and its answer back.

use super::shared::Shared;
use super::watches;
use crate::control_plane::ControlPlane;
use anyhow::Result;
use axum::body::Body;
use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A client without credentials of its own: those in the requests are passed on.
pub(super) async fn client(cluster: &ControlPlane) -> Result<Client> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(cluster.admin_kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.auth_info = AuthInfo::default();
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Passes a request on. If the API server cannot be reached, the connection ends.
pub(super) async fn forward(request: Request<Incoming>, shared: &Shared) -> Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await?;
    let watched = watches::is_watch(&head.uri).then(|| head.uri.path().to_owned());
    own_headers(&mut head.headers);
    let request = Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let (mut head, body) = shared.upstream.send(request).await?.into_parts();
    own_headers(&mut head.headers);
    let body = match watched {
        Some(path) if head.status.is_success() => shared.watches.body(path, Body::new(body)),
        _ => Body::new(body),
    };
    Ok(Response::from_parts(head, body))
}

/// Removes the headers that are about one connection (RFC 9110, section 7.6.1), or that the next one makes
/// anew.
fn own_headers(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::HOST] {
        headers.remove(name);
    }
}
