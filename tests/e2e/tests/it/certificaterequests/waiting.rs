//! Requests whose answer is not immediate.

use crate::support::ca::Ca;
use crate::support::certificate_request::{CertificateRequest, NewRequest, install_crd, shared_with_crd};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::ENCLAVE;
use serde_json::json;
use tcs_testkit::process::Signal;

#[test]
fn a05_a_slow_answer_sets_initializing_first() {
    let cluster = Disturbed::lock();
    install_crd(&cluster);
    let issuer = Issuer::self_signed(&cluster, "a05", None);
    issuer.await_reason("Ready");
    CertificateRequest::approved(&issuer).certificate();
    let request = CertificateRequest::create(&issuer);
    cluster.signal(ENCLAVE, Signal::STOP);
    let request = request.approve();
    let ready = request.await_ready("Initializing");
    cluster.signal(ENCLAVE, Signal::CONT);
    assert_eq!(ready["status"], "Unknown");
    assert_eq!(ready["message"], "tcs-issuer has started reconciling this CertificateRequest");
    issuer.accepts(&[&request.certificate_file()]);
    assert_eq!(request.versions_since_written().len(), 2, "no write but the first and the result");
}

#[test]
fn a06_a13_waits_for_issuer_without_busy_retry() {
    let cluster = shared_with_crd();
    let namespace = cluster.new_namespace();
    let working = Issuer::self_signed_ready(cluster, "a06-other");
    let reference = json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a06"});
    let request = NewRequest::of(&reference, &namespace, &request(cluster, &[])).create(cluster).approve();
    let missing = request.await_ready("Pending");
    assert_eq!(missing["status"], "False");
    let message = format!("Signing still in progress. Reason: there is no TCSIssuer {namespace}/a06");
    assert_eq!(missing["message"], message.as_str());
    assert_eq!(request.await_event("WaitingForIssuerExist").type_.as_deref(), Some("Normal"));
    CertificateRequest::approved(&working).certificate();
    assert_eq!(request.versions_since_written().len(), 1, "it is written once");

    let issuer = Issuer::create(cluster, &issuer_object(&namespace, "a06"));
    issuer.await_reason("AwaitingKey");
    assert_eq!(request.condition("Ready"), missing, "an issuer that cannot sign changes nothing");
    let early = CertificateRequest::approved(&issuer);
    early.await_event("WaitingForIssuerReady");
    let waiting = early.await_ready("Pending");
    assert!(waiting["message"].as_str().unwrap().ends_with("a06 is not Ready"), "{waiting}");
    issuer.deliver_until_ready(&Ca::p256(cluster));
    for request in [&request, &early] {
        issuer.accepts(&[&request.certificate_file()]);
    }
    assert_eq!(early.versions_since_written().len(), 2, "why it waits, and the result");
    assert_eq!(early.events("WaitingForIssuerReady").len(), 1);
}

#[test]
fn a13_a_new_reason_to_wait_is_no_transition() {
    let cluster = Disturbed::lock();
    install_crd(&cluster);
    let namespace = cluster.new_namespace();
    let reference = json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a13"});
    let request = NewRequest::of(&reference, &namespace, &request(&cluster, &[])).create(&cluster).approve();
    request.await_ready("Pending");
    // As if it had waited for long.
    let mut conditions = request.status()["conditions"].as_array().cloned().unwrap();
    for condition in &mut conditions {
        condition["lastTransitionTime"] = "2026-01-01T00:00:00Z".into();
    }
    request.patch_status(&json!({"status": {"conditions": conditions}}));
    Issuer::create(&cluster, &issuer_object(&namespace, "a13")).await_reason("AwaitingKey");
    cluster.restart_controller();
    cluster.wait_until("the other reason", || {
        request.condition("Ready")["message"].as_str().unwrap_or_default().ends_with("a13 is not Ready")
    });
    assert_eq!(request.condition("Ready")["lastTransitionTime"], "2026-01-01T00:00:00Z");
}

#[test]
fn a11_an_issuers_fault_marks_the_issuer_and_the_request_waits() {
    let cluster = Disturbed::lock();
    install_crd(&cluster);
    let issuer = Issuer::self_signed(&cluster, "a11", None);
    issuer.await_reason("Ready");
    CertificateRequest::approved(&issuer).certificate();
    let ca = issuer.ca();
    issuer.damage_sealed_key_and_restart();
    let request = CertificateRequest::approved(&issuer);
    let waiting = request.await_ready("Pending");
    assert_eq!(waiting["status"], "False");
    issuer.await_reason("KeyLost");
    assert!(request.status()["failureTime"].is_null());
    assert!(request.events("PermanentError").is_empty());
    issuer.allow_new_ca(&ca);
    issuer.await_ca_other_than(&ca);
    issuer.accepts(&[&request.certificate_file()]);
}
