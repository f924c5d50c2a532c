//! The life of a Certificate: issued, renewed, issued again, deleted.

use crate::support::cert_manager::{NewCertificate, condition, revision_of, shared_issuer, stage};
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, lifetime};
use serde_json::json;

/// A namespace for the Certificates of one test, below the shared cluster issuer.
fn namespace() -> String {
    stage().cluster.new_namespace()
}

fn new(fields: &serde_json::Value) -> NewCertificate {
    NewCertificate::new(shared_issuer(), &namespace()).with(fields)
}

#[test]
fn a_certificate_becomes_a_secret_for_both_kinds_of_issuers() {
    let cluster = &stage().cluster;
    let issuer = Issuer::self_signed_ready(cluster, "namespaced");
    for (issuer, namespace) in [(&issuer, String::new()), (shared_issuer(), namespace())] {
        let certificate = NewCertificate::new(issuer, &namespace).create(cluster);
        let result = certificate.await_issued();
        issuer.accepts(&[&result.chain]);
        assert_eq!(openssl::fingerprint(&result.ca), issuer.ca(), "ca.crt is the trust anchor");
        assert!(result.text().contains("DNS:a.example"));
        let request = certificate.await_request("Ready", "Issued");
        assert_eq!(condition(&request, "Approved")["reason"], "cert-manager.io");
    }
}

#[test]
fn a_certificate_is_renewed_before_its_end() {
    // It is due at once, and again after each renewal.
    let certificate = new(&json!({"duration": "1h", "renewBefore": "59m58s"})).create(&stage().cluster);
    let first = certificate.await_issued();
    let second = certificate.await_revision(2);
    assert_ne!(openssl::fingerprint(&first.chain), openssl::fingerprint(&second.chain));
    assert_ne!(first.public_key(), second.public_key());
    assert_eq!(lifetime(&second.chain), 3600);
    certificate.delete();
}

#[test]
fn a_certificate_is_issued_again_when_its_spec_changes_or_somebody_asks() {
    let certificate = new(&json!({})).create(&stage().cluster);
    let first = certificate.await_issued();
    certificate.patch(&json!({"dnsNames": ["a.example", "b.example"]}));
    let second = certificate.await_revision(2);
    assert!(second.text().contains("DNS:a.example, DNS:b.example"), "{}", second.text());
    certificate.renew();
    let third = certificate.await_revision(3);
    assert_ne!(first.public_key(), third.public_key());
    // One earlier request is kept, by default none.
    let revisions: Vec<_> = certificate.requests().iter().map(revision_of).collect();
    stage().cluster.wait_until("earlier requests to go", || certificate.requests().len() == 1);
    assert_eq!(revisions.last(), Some(&3));
}

#[test]
fn a_private_key_is_kept_if_the_certificate_says_so() {
    let key = json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"});
    let certificate = new(&json!({"privateKey": key, "revisionHistoryLimit": 5})).create(&stage().cluster);
    let first = certificate.await_issued();
    certificate.renew();
    let second = certificate.await_revision(2);
    assert_eq!(first.public_key(), second.public_key());
    assert_ne!(openssl::fingerprint(&first.chain), openssl::fingerprint(&second.chain));
    let revisions: Vec<_> = certificate.requests().iter().map(revision_of).collect();
    assert_eq!(revisions, [1, 2], "the history is as long as the Certificate says");
}

#[test]
fn a_deleted_certificate_leaves_its_secret_and_no_request() {
    let cluster = &stage().cluster;
    let certificate = new(&json!({})).create(cluster);
    certificate.await_issued();
    certificate.delete();
    if cluster.stack.cluster.has_controller_manager() {
        cluster.wait_until("the requests to be collected", || certificate.requests().is_empty());
    }
    assert!(certificate.secret().is_some(), "cert-manager keeps Secrets, unless it is told otherwise");
    // A new Certificate for the same Secret is served.
    let again = NewCertificate::new(shared_issuer(), &certificate.namespace).named(&certificate.name);
    again.with(&json!({"dnsNames": ["c.example"]})).create(cluster).await_issued();
}

#[test]
fn a_ca_certificate_is_issued_where_the_issuer_allows_it_and_a_refusal_ends_in_the_certificate() {
    let cluster = &stage().cluster;
    let ca = json!({"isCA": true, "commonName": "Team CA", "duration": "720h"});
    let below = new(&ca).create(cluster).await_issued();
    let text = below.text();
    assert!(text.contains("CA:TRUE") && text.contains("Certificate Sign"), "{text}");
    assert_eq!(lifetime(&below.chain), 720 * 3600);

    let flat = Issuer::self_signed_ready(cluster, "flat");
    let certificate = NewCertificate::new(&flat, "").with(&ca).create(cluster);
    let issuing = certificate.await_failed();
    assert_eq!(issuing["reason"], "RequestForCa", "{issuing}");
    assert!(issuing["message"].as_str().unwrap().contains("a CA certificate is requested"), "{issuing}");
    let object = certificate.object();
    assert_eq!(object["status"]["failedIssuanceAttempts"], 1);
    assert!(object["status"]["lastFailureTime"].is_string());
    let request = certificate.await_request("Ready", "Failed");
    assert_eq!(condition(&request, "InvalidRequest")["reason"], "RequestForCa");
    assert!(certificate.secret().is_none());
    // cert-manager would have a CA that is restricted to names.
    let names = json!({"nameConstraints": {"critical": true, "permitted": {"dnsDomains": ["a.example"]}}});
    let restricted = new(&ca).with(&names).create(cluster);
    assert_eq!(restricted.await_failed()["reason"], "RequestForCa");
    // It is issued as soon as the cause is gone, without waiting for cert-manager's next attempt.
    certificate.patch(&json!({"isCA": false}));
    certificate.await_issued();
}

#[test]
fn a_certificate_that_waits_for_its_issuer_is_issued_when_the_issuer_is_ready() {
    let cluster = &stage().cluster;
    let later = Issuer { cluster, namespace: cluster.new_namespace(), name: "later".into() };
    let certificate = NewCertificate::new(&later, "").create(cluster);
    certificate.await_request("Ready", "Pending");
    let mut object = crate::support::objects::issuer_object(&later.namespace, "later");
    object.spec.self_sign = true;
    Issuer::create(cluster, &object);
    later.accepts(&[&certificate.await_issued().chain]);
}
