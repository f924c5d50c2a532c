//! The facts about a `CertificateSigningRequest`.

use super::events;
use super::facts::{Decision, Facts, IssuerFact, Kind, Requester};
use crate::cluster::{Cluster, decode};
use crate::error::Error;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;
use tcs_api::GROUP;
use tcs_api::signer::SignerName;

const KIND: &str = "CertificateSigningRequest";

/// Reads a request and everything that belongs to it.
pub async fn gather(cluster: &Cluster, name: &str) -> Result<Facts, Error> {
    let found = cluster.get::<CertificateSigningRequest>(None, name).await?;
    let object = found.ok_or_else(|| Error::RequestNotFound(name.to_owned()))?;
    let (request, managers) = read(name, object)?;
    facts_of(cluster, &request, &managers).await
}

/// Reads everything that belongs to a request.
pub async fn facts_of(
    cluster: &Cluster,
    request: &CertificateSigningRequest,
    managers: &[ManagedFieldsEntry],
) -> Result<Facts, Error> {
    let spec = &request.spec;
    let name = request.metadata.name.clone().unwrap_or_default();
    let uid = request.metadata.uid.clone().unwrap_or_default();
    let status = request.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let decision = |type_: &str| {
        let condition = conditions.iter().find(|condition| condition.type_ == type_)?;
        Some(decision_of(condition, managers))
    };
    let certificate = status.certificate.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
    Ok(Facts {
        kind: Kind::Csr,
        namespace: None,
        requester: Requester {
            username: spec.username.clone().unwrap_or_default(),
            uid: spec.uid.clone().unwrap_or_default(),
            groups: spec.groups.clone().unwrap_or_default(),
            extra: spec.extra.clone().unwrap_or_default(),
        },
        created: request.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string()),
        signer: spec.signer_name.clone(),
        usages: spec.usages.clone().unwrap_or_default(),
        lifetime_seconds: spec.expiration_seconds.map(i64::from),
        obstacle_to_approval: None,
        // A denial counts, whatever else there is.
        approval: decision("Denied").or_else(|| decision("Approved")),
        failure: decision("Failed"),
        progress: None,
        certificate: certificate.filter(|text| !text.is_empty()),
        issuer: issuer(cluster, &spec.signer_name).await,
        events: events::about(cluster, KIND, None, &name, &uid).await,
        name,
    })
}

/// The request without the record of changes, and what can be read of that record.
fn read(
    name: &str,
    mut object: Value,
) -> Result<(CertificateSigningRequest, Vec<ManagedFieldsEntry>), Error> {
    let fields = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
    let entries = fields.map(Value::take).unwrap_or_default();
    let entries = entries.as_array().cloned().unwrap_or_default();
    let entries = entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect();
    Ok((decode(&format!("{KIND} {name}"), object)?, entries))
}

fn decision_of(condition: &CertificateSigningRequestCondition, managers: &[ManagedFieldsEntry]) -> Decision {
    let subresource = if condition.type_ == "Failed" { "status" } else { "approval" };
    let entry = managers.iter().rfind(|entry| entry.subresource.as_deref() == Some(subresource));
    let time = condition.last_update_time.as_ref().or(condition.last_transition_time.as_ref());
    let recorded = entry.and_then(|entry| entry.time.as_ref());
    Decision {
        type_: condition.type_.clone(),
        reason: condition.reason.clone().unwrap_or_default(),
        message: condition.message.clone().unwrap_or_default(),
        time: time.or(recorded).map(|time| time.0.to_string()),
        manager: entry.and_then(|entry| entry.manager.clone()),
    }
}

async fn issuer(cluster: &Cluster, signer_name: &str) -> IssuerFact {
    let Some(id) = SignerName::parse(signer_name) else {
        let domain = signer_name.split_once('/').map_or(signer_name, |(domain, _)| domain);
        let is_ours = domain.to_ascii_lowercase().ends_with(GROUP);
        return if is_ours { IssuerFact::Misspelled } else { IssuerFact::OtherSigner };
    };
    IssuerFact::of(cluster, id).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_program_that_approved_is_known_and_broken_records_do_no_harm() {
        let object = json!({
            "metadata": {"name": "a", "managedFields": [
                {"manager": "first", "subresource": "approval", "time": "2026-01-01T00:00:00Z"},
                {"manager": "broken", "subresource": "approval", "time": "never"},
                {"manager": "kubectl", "subresource": "approval", "time": "2026-01-02T00:00:00Z"},
                {"manager": "other", "subresource": "status"},
            ]},
            "spec": {"request": "", "signerName": "x/y"},
            "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "R"}]},
        });
        let (request, managers) = read("a", object).unwrap();
        let conditions = request.status.unwrap().conditions.unwrap();
        let decision = decision_of(&conditions[0], &managers);
        assert_eq!(decision.manager.as_deref(), Some("kubectl"));
        assert_eq!(decision.time.as_deref(), Some("2026-01-02T00:00:00Z"));
    }

    #[test]
    fn a_request_that_cannot_be_decoded_is_named() {
        let error = read("odd", json!({"metadata": {}, "spec": 5})).unwrap_err();
        assert_eq!(error.code(), "ObjectUnreadable");
        assert!(error.to_string().contains("CertificateSigningRequest odd"), "{error}");
    }
}
