//! What the service writes into the status of a `CertificateRequest`: its own fields and conditions only, by
//! server-side apply (`docs/conformance.md`, A02 and A14). Pure.

use super::object::{CertificateRequest, Condition};
use crate::requests::status_write::StatusWrite;
use crate::requests::{Certificate, Failure, Progress};
use crate::time;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Resource as _;
use serde_json::{Map, Value, json};
use tcs_api::{SERVICE_ACCOUNT, reasons};

/// Maximum length of a message, in characters.
const MAX_MESSAGE: usize = 2048;

/// What is written with a certificate (`docs/conformance.md`, A07 and A19).
pub fn issued(
    request: &CertificateRequest,
    certificate: Certificate,
    now: Timestamp,
) -> serde_json::Result<StatusWrite> {
    let message = "Succeeded signing the CertificateRequest";
    let mut status = Map::new();
    status.insert("conditions".into(), json!([ready(request, "True", "Issued", message, now)]));
    let bytes = |pem: String| serde_json::to_value(ByteString(pem.into_bytes()));
    status.insert("certificate".into(), bytes(certificate.pem)?);
    if let Some(ca) = certificate.ca {
        status.insert("ca".into(), bytes(ca)?);
    }
    apply(request, &status)
}

/// What is written if the request fails for good (`docs/conformance.md`, A03 and A10).
pub fn failed(
    request: &CertificateRequest,
    failure: &Failure,
    now: Timestamp,
) -> serde_json::Result<StatusWrite> {
    let (reason, message) = if failure.reason == reasons::DENIED {
        ("Denied", failure.message.clone())
    } else {
        ("Failed", failure_message(failure))
    };
    let mut conditions = vec![ready(request, "False", reason, &message, now)];
    if failure.is_invalid {
        let (reason, message) = (failure.reason, failure.in_full());
        conditions.push(condition(
            "InvalidRequest",
            "True",
            reason,
            &message,
            &time::rfc3339(now.as_second()),
        ));
    }
    let mut status = Map::new();
    status.insert("conditions".into(), conditions.into());
    status.insert("failureTime".into(), time::rfc3339(now.as_second()).into());
    apply(request, &status)
}

/// The message about a failure, which begins with its code.
pub fn failure_message(failure: &Failure) -> String {
    format!("Failed permanently to sign CertificateRequest: {}: {}", failure.reason, failure.in_full())
}

/// What is written while the request has no result. `None` if its status says so already
/// (`docs/conformance.md`, A05, A06, A08 and X03).
pub fn in_progress(
    request: &CertificateRequest,
    progress: Progress<'_>,
    now: Timestamp,
) -> serde_json::Result<Option<StatusWrite>> {
    let present = request.status.ready.as_ref();
    let (status, reason, message) = match progress {
        Progress::Started if present.is_some() => return Ok(None),
        Progress::Started => {
            let message = format!("{SERVICE_ACCOUNT} has started reconciling this CertificateRequest");
            ("Unknown", "Initializing", message)
        }
        Progress::Waiting(why) => ("False", "Pending", format!("Signing still in progress. Reason: {why}")),
        Progress::Retrying(why) => {
            ("False", "Pending", format!("Failed to sign CertificateRequest, will retry: {why}"))
        }
    };
    let message = shortened(&message);
    let is_same = |present: &Condition| {
        present.status == status
            && present.reason.as_deref() == Some(reason)
            && present.message.as_ref() == Some(&message)
    };
    if present.is_some_and(is_same) {
        return Ok(None);
    }
    let mut fields = Map::new();
    fields.insert("conditions".into(), json!([ready(request, status, reason, &message, now)]));
    apply(request, &fields).map(Some)
}

/// The condition `Ready`. The time of its transition is that of its status (`docs/conformance.md`, A13).
fn ready(request: &CertificateRequest, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    let present = request.status.ready.as_ref().filter(|present| present.status == status);
    let since = present.and_then(|present| present.last_transition_time.clone());
    // What cannot be read could be refused if it were written.
    let since = since.filter(|since| since.parse::<Timestamp>().is_ok());
    let since = since.unwrap_or_else(|| time::rfc3339(now.as_second()));
    condition("Ready", status, reason, message, &since)
}

fn condition(type_: &str, status: &str, reason: &str, message: &str, since: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": shortened(message),
        "lastTransitionTime": since,
    })
}

fn shortened(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

/// The resource version makes the API server refuse the document (409) for every other version, and so for
/// every other object of this name: no two objects of a kind share one. It does not compare the UID in a
/// document for `/status`, which is there for whoever reads its audit log.
fn apply(request: &CertificateRequest, status: &Map<String, Value>) -> serde_json::Result<StatusWrite> {
    let metadata = &request.metadata;
    StatusWrite::apply(&json!({
        "apiVersion": CertificateRequest::api_version(&()),
        "kind": CertificateRequest::kind(&()),
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "status": status,
    }))
}
