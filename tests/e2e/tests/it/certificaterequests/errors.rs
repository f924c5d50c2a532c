//! Requests that cannot be signed because of an error.

use crate::support::ca::Ca;
use crate::support::certificate_request::{CertificateRequest, NewRequest, install_crd};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::{ENCLAVE, TestCluster};
use serde_json::json;
use tcs_testkit::process::Signal;

/// An approved request that the enclave has and does not answer: it is killed.
fn whose_enclave_ends<'a>(issuer: &Issuer<'a>) -> CertificateRequest<'a> {
    CertificateRequest::approved(issuer).certificate();
    let request = CertificateRequest::create(issuer);
    issuer.cluster.signal(ENCLAVE, Signal::STOP);
    let request = request.approve();
    request.await_ready("Initializing");
    issuer.cluster.crash(ENCLAVE);
    request
}

#[test]
fn a08_retryable_error_backs_off() {
    let cluster = Disturbed::lock();
    install_crd(&cluster);
    let issuer = Issuer::self_signed(&cluster, "a08", None);
    issuer.await_reason("Ready");
    let request = whose_enclave_ends(&issuer);
    let event = request.await_event("RetryableError");
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert!(event.message.unwrap().contains("the connection to the enclave failed"));
    issuer.accepts(&[&request.certificate_file()]);
    assert!(request.events("PermanentError").is_empty());
}

#[test]
fn a08_a09_a19_errors_end_a_request_that_is_too_old_and_waiting_does_not() {
    let arguments = ["--certificate-request-max-retry=0s", "--certificate-request-status-ca=false"];
    let cluster = TestCluster::with_arguments(&arguments);
    install_crd(&cluster);
    let namespace = cluster.new_namespace();
    let reference = json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a09"});
    let pem = request(&cluster, &[]);
    let waiting = NewRequest::of(&reference, &namespace, &pem).create(&cluster).approve();
    waiting.await_ready("Pending");

    let issuer = Issuer::self_signed(&cluster, "a08", None);
    issuer.await_reason("Ready");
    let failed = whose_enclave_ends(&issuer);
    let ready = failed.await_ready("Failed");
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("RetriesExhausted") && message.contains("the enclave"), "{message}");
    assert!(failed.status()["failureTime"].is_string());
    assert!(failed.condition("InvalidRequest").is_null(), "the request itself is right");
    assert_eq!(failed.await_event("PermanentError").type_.as_deref(), Some("Warning"));

    let issuer = Issuer::create(&cluster, &issuer_object(&namespace, "a09"));
    issuer.deliver_until_ready(&Ca::p256(&cluster));
    issuer.accepts(&[&waiting.certificate_file()]);
    assert_eq!(waiting.field("ca"), None, "it is switched off");
}
