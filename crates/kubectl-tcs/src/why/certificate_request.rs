//! The facts about a `CertificateRequest` of cert-manager.

use super::cert_manager::{CertificateRequest, Condition, IssuerRef, RequestSpec, condition};
use super::events;
use super::facts::{Decision, Facts, IssuerFact, Kind, Requester};
use crate::cluster::{Cluster, decode, without_record};
use crate::error::Error;
use crate::time::parse_duration;
use serde_json::Value;
use tcs_api::GROUP;

/// What stands before the code in the message of a failure (`docs/signers.md`, "`CertificateRequest`s of
/// cert-manager").
const FAILED: &str = "Failed permanently to sign CertificateRequest: ";

/// The webhook looks for the resource of the kind in the group of the issuer.
const WITHOUT_KIND: &str = "spec.issuerRef names no kind: cert-manager's webhook takes that for Issuer, and lets nobody approve the \
                            request; write kind TCSIssuer into spec.issuerRef of the Certificate";

/// Reads a request and everything that belongs to it.
pub async fn gather(cluster: &Cluster, name: &str) -> Result<Facts, Error> {
    let namespace = cluster.namespace();
    let found = cluster.get::<CertificateRequest>(Some(namespace), name).await;
    let object = found.map_err(Error::of_cert_manager)?.ok_or_else(|| Error::CertManagerNotFound {
        kind: "CertificateRequest",
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })?;
    let request = read(name, object)?;
    Ok(facts_of(cluster, namespace, &request).await)
}

/// Decodes a request.
pub fn read(name: &str, object: Value) -> Result<CertificateRequest, Error> {
    decode(&format!("CertificateRequest {name}"), without_record(object))
}

/// Reads everything that belongs to a request.
pub async fn facts_of(cluster: &Cluster, namespace: &str, request: &CertificateRequest) -> Facts {
    let uid = request.metadata.uid.clone().unwrap_or_default();
    let name = request.metadata.name.clone().unwrap_or_default();
    let issuer = issuer(cluster, namespace, &request.spec.issuer_ref).await;
    let kind = Kind::CertificateRequest.name();
    let events = events::about(cluster, kind, Some(namespace), &name, &uid).await;
    Facts { issuer, events, ..of_object(namespace, request) }
}

/// The issuer that a reference means.
pub async fn issuer(cluster: &Cluster, namespace: &str, reference: &IssuerRef) -> IssuerFact {
    match reference.issuer(namespace) {
        Some(id) => IssuerFact::of(cluster, id).await,
        None if reference.group.as_deref().is_some_and(|group| group.eq_ignore_ascii_case(GROUP)) => {
            IssuerFact::Misspelled
        }
        None => IssuerFact::OtherSigner,
    }
}

/// A condition as it is told.
pub fn decision(condition: &Condition) -> Decision {
    Decision {
        type_: condition.type_.clone(),
        reason: condition.reason.clone().unwrap_or_default(),
        message: condition.message.clone().unwrap_or_default(),
        time: condition.last_transition_time.clone(),
        manager: None,
    }
}

/// What the object itself says.
fn of_object(namespace: &str, request: &CertificateRequest) -> Facts {
    let RequestSpec { issuer_ref, usages, duration, username, uid, groups, extra } = &request.spec;
    let status = request.status.clone().unwrap_or_default();
    let conditions = status.conditions.as_ref();
    let is_true = |type_: &str| condition(conditions, type_).filter(|found| found.status == "True");
    let ready = condition(conditions, "Ready").filter(|ready| ready.status != "True");
    let has = |wanted: &str| ready.filter(|ready| ready.reason.as_deref() == Some(wanted));
    let invalid = is_true("InvalidRequest").and_then(|invalid| invalid.reason.as_deref());
    let certificate = status.certificate.map(|pem| String::from_utf8_lossy(&pem.0).into_owned());
    let seconds =
        |text: &String| parse_duration(text).ok().and_then(|time| i64::try_from(time.as_secs()).ok());
    Facts {
        kind: Kind::CertificateRequest,
        namespace: Some(namespace.to_owned()),
        name: request.metadata.name.clone().unwrap_or_default(),
        requester: Requester {
            username: username.clone().unwrap_or_default(),
            uid: uid.clone().unwrap_or_default(),
            groups: groups.clone().unwrap_or_default(),
            extra: extra.clone().unwrap_or_default(),
        },
        created: request.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()),
        signer: issuer_ref.text(),
        usages: usages.clone().unwrap_or_default(),
        // A lifetime that cannot be read is refused, and the message says so.
        lifetime_seconds: duration.as_ref().and_then(seconds),
        obstacle_to_approval: issuer_ref.kind.as_ref().is_none_or(String::is_empty).then_some(WITHOUT_KIND),
        // A denial counts, whatever else there is.
        approval: is_true("Denied").or_else(|| is_true("Approved")).map(decision),
        failure: has("Failed").map(|failed| failure(failed, invalid)),
        progress: has("Pending").or_else(|| has("Initializing")).map(decision),
        certificate: certificate.filter(|pem| !pem.is_empty()),
        issuer: IssuerFact::OtherSigner,
        events: Ok(Vec::new()),
    }
}

/// A failure with its code as the reason: that of the condition `InvalidRequest`, or else the one in the
/// message.
fn failure(failed: &Condition, invalid: Option<&str>) -> Decision {
    let told = decision(failed);
    let rest = told.message.strip_prefix(FAILED).and_then(|rest| rest.split_once(": "));
    let is_code = |code: &&str| !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = invalid.or_else(|| rest.map(|(code, _)| code)).filter(is_code).map(str::to_owned);
    let message = rest.map(|(_, message)| message.to_owned());
    Decision {
        reason: code.unwrap_or(told.reason),
        message: message.unwrap_or(told.message),
        type_: "Failed".to_owned(),
        ..told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(status: &Value) -> Facts {
        let object = json!({
            "metadata": {"name": "web-1", "uid": "u", "managedFields": [{"time": 5}]},
            "spec": {
                "request": "", "issuerRef": {"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "ca"},
                "duration": "2160h0m0s", "username": "alice",
            },
            "status": status,
        });
        of_object("sandbox", &read("web-1", object).unwrap())
    }

    fn conditions(conditions: &[(&str, &str, &str, &str)]) -> Value {
        let conditions = conditions.iter().map(|(type_, status, reason, message)| {
            json!({"type": type_, "status": status, "reason": reason, "message": message})
        });
        json!({"conditions": conditions.collect::<Vec<_>>()})
    }

    #[test]
    fn a_denial_counts_before_an_approval_and_both_only_if_they_are_true() {
        let told = facts(&conditions(&[("Approved", "True", "A", ""), ("Denied", "True", "D", "no")]));
        assert_eq!(told.approval.unwrap().reason, "D");
        assert!(facts(&conditions(&[("Approved", "False", "A", "")])).approval.is_none());
        assert!(facts(&Value::Null).approval.is_none());
    }

    #[test]
    fn the_code_of_a_failure_is_that_of_the_service() {
        let message = "Failed permanently to sign CertificateRequest: UsageForbidden: not this usage";
        let failed = ("Ready", "False", "Failed", message);
        let told = facts(&conditions(&[failed])).failure.unwrap();
        assert_eq!((told.reason.as_str(), told.message.as_str()), ("UsageForbidden", "not this usage"));
        let invalid = ("InvalidRequest", "True", "PolicyRefused", "x");
        assert_eq!(facts(&conditions(&[failed, invalid])).failure.unwrap().reason, "PolicyRefused");
        let other = facts(&conditions(&[("Ready", "False", "Failed", "by hand: no")])).failure.unwrap();
        assert_eq!((other.reason.as_str(), other.message.as_str()), ("Failed", "by hand: no"));
    }

    #[test]
    fn what_is_not_final_is_progress() {
        let waiting = facts(&conditions(&[("Ready", "False", "Pending", "no issuer")]));
        assert_eq!(waiting.progress.unwrap().message, "no issuer");
        assert!(waiting.failure.is_none() && waiting.obstacle_to_approval.is_none());
        assert_eq!(
            (waiting.lifetime_seconds, waiting.signer.as_str()),
            (Some(7_776_000), "TCSIssuer.tcs.intel.com/ca")
        );
        let issued = facts(&json!({
            "certificate": "eA==", "conditions": [{"type": "Ready", "status": "True", "reason": "Issued"}],
        }));
        assert_eq!(issued.certificate.as_deref(), Some("x"));
        assert!(issued.progress.is_none());
    }
}
