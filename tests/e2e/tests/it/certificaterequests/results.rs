//! What is written when a request has its result.

use crate::support::certificate_request::{CertificateRequest, NewRequest, shared_with_crd};
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, request};

#[test]
fn a07_success_is_one_status_write() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a07");
    let request = CertificateRequest::create(&issuer);
    let created = request.object()["metadata"]["resourceVersion"].clone();
    let request = request.approve();
    let leaf = request.certificate_file();
    issuer.accepts(&[&leaf]);
    let ready = request.condition("Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&"True".into(), &"Issued".into()));
    assert_eq!(ready["message"], "Succeeded signing the CertificateRequest");
    let event = request.await_event("Issued");
    assert_eq!(event.type_.as_deref(), Some("Normal"));
    drop(created);
}
