//! Waits for the certificate of a request.

use super::submit::read_again;
use crate::cluster::{Cluster, api_error};
use crate::error::Error;
use crate::time::shown_duration;
use crate::why::{Facts, State, facts_of, gather, verdict};
use futures::StreamExt as _;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watch_object};
use std::time::Duration;
use tokio::time::Instant;

/// How often a user looks who may not watch.
const INTERVAL: Duration = Duration::from_secs(2);

/// The certificate, PEM, once a watch shows it.
pub async fn certificate(
    cluster: &Cluster,
    created: &CertificateSigningRequest,
    limit: Duration,
) -> Result<Vec<u8>, Error> {
    // A limit beyond what the clock can hold is none.
    let deadline = Instant::now().checked_add(limit);
    let watching = wait(cluster, created);
    let seen = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, watching).await,
        None => Ok(watching.await),
    };
    match seen {
        Ok(result) => result,
        Err(_) => Err(too_late(cluster, created, limit).await),
    }
}

/// Waits by a watch or, for a user who may not watch, by looking again and again.
async fn wait(cluster: &Cluster, created: &CertificateSigningRequest) -> Result<Vec<u8>, Error> {
    match watch(cluster, created).await {
        Err(Error::Forbidden { .. }) => poll(cluster, created).await,
        seen => seen,
    }
}

async fn poll(cluster: &Cluster, created: &CertificateSigningRequest) -> Result<Vec<u8>, Error> {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let found = match read_again(cluster, created).await {
            Err(Error::Unreachable { .. } | Error::RequestTimeout { .. } | Error::Unavailable { .. }) => {
                continue;
            }
            found => found?,
        };
        let request =
            found.ok_or_else(|| Error::RequestDeleted(created.metadata.name.clone().unwrap_or_default()))?;
        if let Some(pem) = result(cluster, &request).await? {
            return Ok(pem);
        }
    }
}

/// The certificate of a request, if it is there; an error if the request was refused.
async fn result(cluster: &Cluster, request: &CertificateSigningRequest) -> Result<Option<Vec<u8>>, Error> {
    let pem = request.status.as_ref().and_then(|status| status.certificate.clone());
    if let Some(pem) = pem.filter(|pem| !pem.0.is_empty()) {
        return Ok(Some(pem.0));
    }
    if is_refused(request) {
        refusal(&facts_of(cluster, request, &[]).await?)?;
    }
    Ok(None)
}

async fn watch(cluster: &Cluster, created: &CertificateSigningRequest) -> Result<Vec<u8>, Error> {
    let name = created.metadata.name.clone().unwrap_or_default();
    let api = Api::<CertificateSigningRequest>::all(cluster.client());
    let mut changes = std::pin::pin!(watch_object(api, &name).default_backoff());
    while let Some(change) = changes.next().await {
        let request = match change {
            Ok(Some(request)) if request.metadata.uid == created.metadata.uid => request,
            Ok(_) => return Err(Error::RequestDeleted(name)),
            Err(error) => {
                fail_if_permanent(error)?;
                continue;
            }
        };
        if let Some(pem) = result(cluster, &request).await? {
            return Ok(pem);
        }
    }
    Err(Error::RequestDeleted(name))
}

/// Fails with what waiting does not cure: a missing right, or credentials that are not accepted.
fn fail_if_permanent(error: watcher::Error) -> Result<(), Error> {
    let action = "watch the CertificateSigningRequest";
    let cause = match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => cause,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        watcher::Error::NoResourceVersion => return Ok(()),
    };
    match api_error(action, cause) {
        error @ (Error::Forbidden { .. } | Error::Kubeconfig(_)) => Err(error),
        _ => Ok(()),
    }
}

fn is_refused(request: &CertificateSigningRequest) -> bool {
    let conditions = request.status.as_ref().and_then(|status| status.conditions.as_deref());
    let refuses = |type_: &str| matches!(type_, "Denied" | "Failed");
    conditions.unwrap_or_default().iter().any(|condition| refuses(&condition.type_))
}

/// Fails if the request was denied or has failed.
fn refusal(facts: &Facts) -> Result<(), Error> {
    let told = verdict(facts);
    let (condition, decision) = match told.state {
        State::Failed => ("Failed", facts.failure.clone()),
        State::Denied => ("Denied", facts.approval.clone()),
        _ => return Ok(()),
    };
    let Some(decision) = decision else { return Ok(()) };
    Err(Error::RequestRefused {
        name: facts.name.clone(),
        condition,
        reason: decision.reason,
        message: decision.message,
        next: told.next,
    })
}

/// Why the certificate is not there yet.
async fn too_late(cluster: &Cluster, created: &CertificateSigningRequest, limit: Duration) -> Error {
    let name = created.metadata.name.clone().unwrap_or_default();
    let (why, next) = match gather(cluster, &name).await {
        Ok(facts) => {
            let told = verdict(&facts);
            (format!("{}: {}", told.state.name(), told.text), told.next)
        }
        Err(error) => (error.to_string(), vec![error.advice()]),
    };
    Error::Deadline { name, waited: shown_duration(limit), why, next }
}
