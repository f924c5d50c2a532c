//! Issuers whose CA key the enclave holds.

use super::fixture::*;
use super::*;
use kube::ResourceExt as _;
use std::sync::Arc;

#[test]
fn ready_publishes_the_certificate_and_removes_the_attestation() {
    let mut fixture = Fixture::holding(7);
    fixture.attestation = Some(published(&fixture.issuer, &offer(1)));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::READY);
    assert_eq!(plan.attestation, AttestationStep::Delete);
    assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, "07".repeat(32));
    assert_eq!(plan.status.ca.as_ref().unwrap().not_after, "1970-01-12T13:46:40Z");
    let secret = plan.ca_secret.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/tls"));
    let data = secret.data.unwrap();
    assert_eq!(data["tls.key"].0, b"");
    assert!(data["tls.crt"].0.starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert!(data["ca.crt"].0.starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, fixture.issuer.uid().unwrap());
}

#[test]
fn w_r1_a_lost_key_is_reported_and_a_new_offer_is_published() {
    let mut fixture = Fixture::holding(7);
    fixture.status = fixture.plan().status;
    fixture.ca = None;
    fixture.offer = Some(offer(4));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::KEY_LOST);
    assert!(plan.events[0].warning && plan.events[0].message.contains(&"07".repeat(32)));
    assert!(matches!(plan.attestation, AttestationStep::Create(_)));
    assert!(plan.ca_secret.is_none(), "W-D10: the published certificate stays as it is");
    assert!(plan.status.ca.is_some());
}

#[test]
fn another_ca_after_a_lost_one_is_announced_with_both_fingerprints() {
    let mut fixture = Fixture::holding(7);
    fixture.status = fixture.plan().status;
    fixture.ca = Some(ca(8));
    let plan = fixture.plan();
    let event = plan.events.iter().find(|event| event.reason == "CAReplaced").unwrap();
    assert!(event.message.contains(&"07".repeat(32)) && event.message.contains(&"08".repeat(32)));
}

/// What is published stays as it is, and the status keeps what is known about the key.
#[test]
fn a_refused_ca_certificate_secret_makes_the_issuer_not_ready() {
    let mut fixture = Fixture::holding(7);
    fixture.refused_write = Some(RefusedWrite::CaCertificate("forbidden".into()));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::SECRET_CONFLICT);
    assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, "07".repeat(32));
    assert!(plan.events.iter().all(|event| event.reason == reasons::SECRET_CONFLICT));
    assert!(!plan.seal && plan.ca_secret.is_none(), "nothing is written again in this reconcile");
}

#[test]
fn a_ca_whose_sealed_key_cannot_be_stored_is_not_published() {
    let mut fixture = Fixture::holding(7);
    fixture.attestation = Some(published(&fixture.issuer, &offer(1)));
    let stored = fixture.plan();
    assert!(stored.seal && stored.ca_secret.is_some());
    assert_eq!(stored.attestation, AttestationStep::Delete);
    fixture.refused_write = Some(RefusedWrite::SealedKey("forbidden".into()));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::SEALED_KEY_NOT_KEPT);
    assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, "07".repeat(32));
    assert!(plan.requeue.is_some(), "it is tried again");
    assert!(plan.ca_secret.is_none(), "a CA that a restart would lose is not published");
    assert_eq!(
        plan.attestation,
        AttestationStep::Keep,
        "the key owner is not told that the delivery is complete"
    );

    // At a renewal the previous CA stays published, because a restart restores it.
    let mut renewed = Fixture::holding(8);
    renewed.status = stored.status;
    let before = renewed.status.clone();
    assert_ne!(renewed.plan().status.ca, before.ca);
    renewed.refused_write = fixture.refused_write;
    let plan = renewed.plan();
    assert_eq!((plan.status.ca, plan.status.previous_cas), (before.ca, before.previous_cas));
    assert!(plan.events.iter().all(|event| event.reason == reasons::SEALED_KEY_NOT_KEPT));
}

#[test]
fn a_held_key_is_sealed_once() {
    let mut fixture = Fixture::holding(7);
    assert!(fixture.plan().seal);
    let mut labels = Issuer::from(Arc::new(fixture.issuer.clone())).all_labels();
    labels.insert("others".into(), "own".into());
    let stored = |byte: &str, generation| {
        Some(SealedKey { fingerprint: byte.repeat(32), generation, labels: labels.clone() })
    };
    fixture.sealed = stored("07", 5);
    assert!(!fixture.plan().seal);
    fixture.issuer.spec.labels.insert("team".into(), "mesh".into());
    assert!(fixture.plan().seal, "the labels of the spec are set on every object");
    fixture.issuer.spec.labels.clear();
    fixture.sealed = stored("08", 5);
    assert!(fixture.plan().seal, "the stored key is another CA's");
    fixture.sealed = stored("07", 4);
    assert!(
        fixture.plan().seal,
        "the same CA was delivered again: the stored blob may not be the one to restore"
    );
}

#[test]
fn an_expired_ca_is_not_ready() {
    let mut fixture = Fixture::holding(7);
    fixture.ca.as_mut().unwrap().not_after = 1000;
    assert_eq!(reason(&fixture.plan()), reasons::CA_EXPIRED);
}

#[test]
fn case_p35_an_issuer_whose_policy_the_enclave_cannot_read_is_not_ready() {
    let mut fixture = Fixture::holding(7);
    fixture.policy_refusal =
        Some(refusal(RefusalCode::PolicyMalformed, "the policy cannot be read: IP ranges"));
    let plan = fixture.plan();
    let ready = ready_condition(&plan.status).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", reasons::POLICY_MALFORMED));
    assert!(
        ready.message.contains("spec.policy") && ready.message.contains("IP ranges"),
        "{}",
        ready.message
    );
    assert!(plan.ca_secret.is_some() && plan.status.ca.is_some(), "its CA is published all the same");
    let events: Vec<_> = plan.events.iter().map(|event| (event.warning, event.reason.as_str())).collect();
    assert!(events.contains(&(true, reasons::POLICY_MALFORMED)), "{events:?}");
    assert!(!events.iter().any(|(_, reason)| *reason == reasons::READY), "{events:?}");
    // It is told once, and heals.
    fixture.status = plan.status;
    assert!(fixture.plan().events.iter().all(|event| event.reason != reasons::POLICY_MALFORMED));
    let policy_refusal = fixture.policy_refusal.take();
    assert_eq!(reason(&fixture.plan()), reasons::READY);
    // An issuer that waits for its key says so.
    let waiting = Fixture { policy_refusal, ..Fixture::offering(1) };
    assert_eq!(reason(&waiting.plan()), reasons::AWAITING_KEY);
}
