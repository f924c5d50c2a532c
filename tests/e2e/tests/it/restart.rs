//! Restarts of controller and enclave while a key is delivered and afterwards. These tests disturb others, so
//! they share a cluster of their own and run one after the other.

use crate::support::ca::Ca;
use crate::support::csr::{Csr, issue};
use crate::support::delivery::KMRA;
use crate::support::disturbed::Disturbed;
use crate::support::encoding::encode;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE};
use kube::ResourceExt as _;
use serde_json::json;

/// The key owner delivers a key with the certificate of another one, which is refused.
fn refuse_a_delivery(issuer: &Issuer<'_>) {
    let (ca, other) = (Ca::p256(issuer.cluster), Ca::p256(issuer.cluster));
    issuer.write_delivery(Some(&issuer.wrap(&ca.key)), Some(&other.certificate_text()));
    issuer.announce_delivery(KMRA);
    issuer.await_reason("KeyRejected");
}

#[test]
fn w_r1_a_restart_of_the_controller_keeps_offers_and_refusals() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "offered");
    let before = issuer.await_attestation();
    issuer.await_reason("AwaitingKey");
    cluster.restart_controller();
    let after = issuer.await_attestation();
    assert_eq!((before.uid(), &before.spec), (after.uid(), &after.spec));

    // A new controller does not try a refused delivery again.
    refuse_a_delivery(&issuer);
    let refused = issuer.status().refused_delivery;
    assert!(refused.is_some());
    cluster.restart_controller();
    assert_eq!(issuer.status().refused_delivery, refused);
    assert_eq!(issuer.reason(), "KeyRejected");
}

#[test]
fn an_attestation_that_is_deleted_or_altered_comes_back_with_the_same_offer() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "altered");
    let before = issuer.await_attestation();
    refuse_a_delivery(&issuer);
    let target = ["quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &issuer.attestation_name()];
    cluster.kubectl(&[&["delete"], &target[..]].concat());
    cluster.wait_for("the QuoteAttestation to come back", || {
        issuer.attestation().filter(|now| now.uid() != before.uid())
    });
    assert_eq!(issuer.await_attestation().spec, before.spec);
    let alteration =
        json!({"spec": {"quote": encode(b"c3dhcHBlZA=="), "publicKey": encode(b"theirs")}}).to_string();
    cluster.kubectl(&[&["patch"], &target[..], &["--type=merge", "-p", &alteration]].concat());
    cluster.wait_until("the QuoteAttestation to be restored", || {
        issuer.attestation().is_some_and(|now| now.spec == before.spec)
    });
}

#[test]
fn w_r1_a_restart_of_the_enclave_makes_a_new_offer() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "new-offer");
    let before = issuer.await_attestation();
    refuse_a_delivery(&issuer);
    cluster.crash(ENCLAVE);
    let after = issuer.await_offer_other_than(&before);
    assert_ne!(before.uid(), after.uid(), "a new offer is a new object");
    issuer.await_reason("AwaitingKey");
    issuer.deliver_until_ready(&Ca::p256(&cluster));
}

#[test]
fn w_r1_a_delivery_survives_a_crash_of_the_controller_at_every_step() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "delivered");
    let ca = Ca::p256(&cluster);
    let wrapped = issuer.wrap(&ca.key);
    cluster.crash(CONTROLLER);
    issuer.write_delivery(Some(&wrapped), Some(&ca.certificate_text()));
    cluster.crash(CONTROLLER);
    issuer.announce_delivery(KMRA);
    cluster.crash(CONTROLLER);
    issuer.await_reason("Ready");
}

#[test]
fn x05_w_d10_restarts_lose_nothing_of_a_ready_issuer() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "ready");
    issuer.deliver_until_ready(&Ca::p256(&cluster));
    let (ca, secret) = (issuer.ca(), issuer.ca_secret().unwrap());
    cluster.restart_controller();
    issue(&issuer);
    let same = issuer.ca_secret().unwrap();
    assert_eq!((secret.uid(), &secret.data), (same.uid(), &same.data));

    // The sealed key is restored, and the issuer goes on under the same CA.
    issuer.await_sealed_secret();
    cluster.crash(ENCLAVE);
    issue(&issuer);
    assert_eq!((issuer.reason().as_str(), issuer.ca()), ("Ready", ca));
    assert!(issuer.attestation().is_none());
}

#[test]
fn w_r1_w_d10_a_lost_key_is_reported_and_the_published_certificate_stays() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "lost");
    let ca = Ca::p256(&cluster);
    issuer.deliver_until_ready(&ca);
    let (fingerprint, published) = (issuer.ca(), issuer.ca_secret().unwrap().data);
    issuer.await_sealed_secret();
    issuer.damage_sealed_key_and_restart();
    let message = issuer.await_reason("KeyLost");
    assert!(message.contains(&fingerprint), "{message}");
    assert!(message.contains("SealedBlobInvalid"), "{message}");
    issuer.await_attestation();
    issuer.await_event("KeyLost");
    let waiting = Csr::approved(&issuer);
    waiting.await_event("WaitingForIssuerReady");
    assert_eq!(issuer.ca_secret().unwrap().data, published);

    // The same key, delivered for the new offer, brings the same CA back, and it is sealed again.
    issuer.deliver_until_ready(&ca);
    assert_eq!(issuer.ca(), fingerprint);
    waiting.certificate();
    cluster.crash(ENCLAVE);
    issue(&issuer);
}

#[test]
fn an_issuer_that_is_deleted_while_the_service_is_down_leaves_nothing() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::delivered(&cluster, "doomed");
    issuer.await_attestation();
    cluster.stop_service();
    issuer.delete();
    cluster.start_service();
    issuer.await_no_attestation();
}
