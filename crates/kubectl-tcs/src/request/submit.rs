//! Sends a request, and makes sure that what the API server stored is what was sent.

use crate::cluster::{Cluster, decode};
use crate::error::Error;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use serde_json::Value;

/// Creates the request; the object as the API server stored it.
pub async fn create(
    cluster: &Cluster,
    request: &CertificateSigningRequest,
) -> Result<CertificateSigningRequest, Error> {
    match cluster.create::<CertificateSigningRequest>(None, request).await {
        Ok(created) => read(request, created),
        // The client repeats a request to an API server that was overloaded, and the first one may have been
        // carried out.
        Err(error @ Error::Rejected { .. }) if error.has_reason("AlreadyExists") => {
            let name = request.metadata.name.clone().unwrap_or_default();
            let unknown = |why: Error| Error::ObjectUnreadable {
                object: described(request),
                cause: format!("it exists, and whether it is this request could not be found out: {why}"),
            };
            let found = cluster.get::<CertificateSigningRequest>(None, &name).await.map_err(unknown)?;
            let found = found.map(|found| read(request, found)).transpose()?;
            // Nobody else can sign a request for this key.
            found.filter(|found| found.spec.request == request.spec.request).ok_or(error)
        }
        Err(error) => Err(error),
    }
}

fn described(request: &CertificateSigningRequest) -> String {
    format!("CertificateSigningRequest {}", request.metadata.name.as_deref().unwrap_or_default())
}

/// Decodes a request. Nothing in the record of changes is used.
fn read(sent: &CertificateSigningRequest, object: Value) -> Result<CertificateSigningRequest, Error> {
    decode(&described(sent), crate::cluster::without_record(object))
}

/// Reads a request again; `None` if it was deleted, or created anew under the same name.
pub async fn read_again(
    cluster: &Cluster,
    created: &CertificateSigningRequest,
) -> Result<Option<CertificateSigningRequest>, Error> {
    let name = created.metadata.name.as_deref().unwrap_or_default();
    let found = cluster.get::<CertificateSigningRequest>(None, name).await?;
    let found = found.map(|found| read(created, found)).transpose()?;
    Ok(found.filter(|found| found.metadata.uid == created.metadata.uid))
}

/// Fails if a request is not what was sent. An admission webhook can change it, for example.
pub fn check_unchanged(
    sent: &CertificateSigningRequest,
    found: &CertificateSigningRequest,
) -> Result<(), Error> {
    let (one, other) = (&sent.spec, &found.spec);
    let fields = [
        ("metadata.name", sent.metadata.name == found.metadata.name),
        ("spec.request", one.request == other.request),
        ("spec.signerName", one.signer_name == other.signer_name),
        ("spec.usages", one.usages == other.usages),
        ("spec.expirationSeconds", one.expiration_seconds == other.expiration_seconds),
    ];
    match fields.into_iter().find(|(_, is_same)| !is_same) {
        Some((field, _)) => {
            let name = sent.metadata.name.clone().unwrap_or_default();
            Err(Error::RequestAltered { name, field })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_that_was_changed_on_its_way_is_found() {
        let sent = json!({
            "metadata": {"name": "web"},
            "spec": {"request": "AQ==", "signerName": "x/y", "usages": ["server auth"], "expirationSeconds": 600},
        });
        let request =
            |object: &Value| serde_json::from_value::<CertificateSigningRequest>(object.clone()).unwrap();
        let mut stored = sent.clone();
        stored["metadata"]["uid"] = json!("1");
        stored["spec"]["username"] = json!("alice");
        assert!(check_unchanged(&request(&sent), &request(&stored)).is_ok());
        for (member, field, value) in [
            ("metadata", "name", json!("other")),
            ("spec", "request", json!("Ag==")),
            ("spec", "signerName", json!("x/z")),
            ("spec", "usages", json!(["client auth"])),
            ("spec", "usages", json!(null)),
            ("spec", "expirationSeconds", json!(601)),
            ("spec", "expirationSeconds", json!(null)),
        ] {
            let mut altered = stored.clone();
            altered[member][field] = value;
            let error = check_unchanged(&request(&sent), &request(&altered)).unwrap_err();
            assert_eq!(error.code(), "RequestAltered");
            assert!(error.to_string().contains(&format!("{member}.{field}")), "{error}");
        }
    }
}
