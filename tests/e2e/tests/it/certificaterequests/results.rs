//! What is written when a request has its result.

use crate::support::ca::Ca;
use crate::support::certificate_request::{CertificateRequest, NewRequest, shared_with_crd};
use crate::support::encoding::field;
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::wait::unique;

#[test]
fn a07_success_is_one_status_write() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a07");
    CertificateRequest::approved(&issuer).certificate();
    let request = CertificateRequest::approved(&issuer);
    issuer.accepts(&[&request.certificate_file()]);
    let versions = request.versions_since_written();
    assert_eq!(versions.len(), 1, "{versions:?}");
    let ready = request.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&"True".into(), &"Issued".into()));
    assert_eq!(ready["message"], "Succeeded signing the CertificateRequest");
    assert!(ready["lastTransitionTime"].is_string());
    assert!(request.status()["failureTime"].is_null());
    let event = request.await_event("Issued");
    assert_eq!(event.type_.as_deref(), Some("Normal"));
}

#[test]
fn a10_a12_permanent_error_is_final_and_written_at_once() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a10");
    let pem = request(issuer.cluster, &["-addext", "keyUsage=cRLSign"]);
    let request = NewRequest::new(&issuer, "", &pem).create(issuer.cluster).approve();
    assert_eq!(request.invalid(), "UsageForbidden");
    let ready = request.condition("Ready");
    assert_eq!(ready["status"], "False");
    let message = ready["message"].as_str().unwrap();
    assert!(
        message.starts_with("Failed permanently to sign CertificateRequest: UsageForbidden: "),
        "{message}"
    );
    assert!(request.status()["failureTime"].is_string() && request.field("certificate").is_none());
    let event = request.await_event("PermanentError");
    assert_eq!((event.type_.as_deref(), event.message.as_deref()), (Some("Warning"), Some(message)));
    CertificateRequest::approved(&issuer).certificate();
    assert_eq!(request.versions_since_written().len(), 1, "all of it at once, and nothing later");
}

#[test]
fn a14_status_by_server_side_apply() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a14");
    let cluster = issuer.cluster;
    let request = CertificateRequest::approved(&issuer);
    request.certificate();
    let managers = request.object_with_managers();
    let ours = managers.as_array().unwrap().iter().filter(|one| one["manager"] == "tcs-issuer");
    let ours: Vec<_> = ours.collect();
    assert_eq!(ours.len(), 1, "{managers}");
    assert_eq!((&ours[0]["operation"], &ours[0]["subresource"]), (&"Apply".into(), &"status".into()));

    // What a late worker would write, to an object that was changed, replaced or deleted.
    let name = unique("anew");
    let pem = crate::support::openssl::request(cluster, &[]);
    let create = || NewRequest::new(&issuer, "", &pem).named(&name).create(cluster);
    let uid =
        |request: &CertificateRequest<'_>| request.object()["metadata"]["uid"].as_str().unwrap().to_owned();
    let first = create();
    let (old_uid, old_version) = (uid(&first), first.version());
    first.patch(&serde_json::json!({"metadata": {"labels": {"changed": "true"}}}));
    let error = first.try_apply_status(&old_uid, &old_version).unwrap_err();
    assert!(error.contains("Conflict") || error.contains("has been modified"), "changed: {error}");
    first.delete();
    let error = first.try_apply_status(&old_uid, &old_version).unwrap_err();
    assert!(error.contains("NotFound"), "deleted: {error}");
    let second = create();
    let error = second.try_apply_status(&old_uid, &old_version).unwrap_err();
    assert!(error.contains("Conflict") || error.contains("has been modified"), "replaced: {error}");
    let unchanged = second.status();
    assert!(unchanged.is_null(), "{unchanged}");
    second.try_apply_status(&uid(&second), &second.version()).unwrap();
}

#[test]
fn a19_status_ca_is_the_trust_anchor_once() {
    let cluster = shared_with_crd();
    let own = Issuer::self_signed_ready(cluster, "a19-own");
    let chain = Issuer::delivered(cluster, "a19-chain");
    let (ca, [.., root]) = Ca::below_two(cluster);
    chain.deliver_until_ready(&ca);
    for (issuer, anchor) in [(&own, None), (&chain, Some(root.pem()))] {
        let request = CertificateRequest::approved(issuer);
        request.certificate();
        let published = issuer.ca_secret().unwrap();
        let published = std::str::from_utf8(field(&published, "ca.crt")).unwrap().to_owned();
        let ca = request.field("ca").unwrap();
        assert_eq!(ca, published);
        assert_eq!(ca.matches("BEGIN CERTIFICATE").count(), 1);
        let der = |pem: &str| pem_rfc7468::decode_vec(pem.replace('\r', "").trim_end().as_bytes()).unwrap().1;
        assert!(anchor.is_none_or(|anchor| der(&anchor) == der(&ca)));
    }
}
