//! Renewal of CAs.

use super::fixture::*;
use super::*;
use std::sync::Arc;
use tcs_api::annotations;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::CaSpec;
use tcs_enclave_rpc::CaInfo;

fn annotate(fixture: &mut Fixture, value: &str) {
    let annotations = fixture.issuer.metadata.annotations.get_or_insert_default();
    annotations.insert(annotations::RENEW.into(), value.into());
}

/// Replaces the CA with another one, which has another trust anchor.
fn replace_ca(fixture: &mut Fixture, fingerprint: u8) {
    let next = CaInfo {
        fingerprint: vec![fingerprint; 32].into(),
        anchors: vec![vec![fingerprint].into()],
        not_after: now().as_second() + 2 * YEAR,
        ..fixture.ca.clone().unwrap()
    };
    (fixture.ca, fixture.next) = (Some(next), NextCa::NotRequested);
}

fn bundle(plan: &Plan) -> String {
    let data = plan.ca_secret.as_ref().unwrap().data.as_ref().unwrap();
    String::from_utf8(data["ca.crt"].0.clone()).unwrap()
}

#[test]
fn a_ca_is_due_thirty_days_before_its_end_or_when_a_third_of_its_lifetime_is_left() {
    let day = 86_400;
    assert!(!Fixture::settled(7, true, 30 * day + 1).decide().requests_next());
    assert!(Fixture::settled(7, true, 30 * day).decide().requests_next());
    let mut short = Fixture::settled(7, true, YEAR);
    let held = short.ca.as_mut().unwrap();
    (held.not_before, held.not_after) = (now().as_second() - 2 * day, now().as_second() + day + 1);
    assert!(!short.decide().requests_next());
    short.ca.as_mut().unwrap().not_after -= 1;
    assert!(short.decide().requests_next());
}

#[test]
fn a_self_signed_ca_keeps_its_key_unless_the_spec_says_otherwise() {
    let mut fixture = Fixture::settled(7, true, 86_400);
    let request = fixture.decide().renew().unwrap();
    assert_eq!((request.new_key, request.lifetime), (None, 365 * 86_400));
    fixture.issuer.spec.ca = Some(CaSpec {
        rotation_policy: Some("Always".into()),
        key_algorithm: Some("Ed25519".into()),
        lifetime_days: Some(10),
        ..CaSpec::default()
    });
    let request = fixture.decide().renew().unwrap();
    assert_eq!((request.new_key.as_deref(), request.lifetime), (Some("Ed25519"), 10 * 86_400));
}

#[test]
fn the_previous_certificate_stays_in_the_bundle_until_it_expires() {
    let mut fixture = Fixture::settled(7, true, 86_400);
    let old = fixture.ca.clone().unwrap();
    replace_ca(&mut fixture, 8);
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::READY);
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 2);
    assert!(bundle(&plan).starts_with("-----BEGIN CERTIFICATE-----\nCA=="), "the present one first");
    let event = plan.events.iter().find(|event| event.reason == "CAReplaced").unwrap();
    assert!(!event.warning && event.message.contains("stays in ca.crt"), "{}", event.message);
    assert!(plan.seal, "the sealed key is the previous CA's");
    fixture.status = plan.status;
    let previous = &fixture.status.previous_cas;
    assert_eq!((previous.len(), previous[0].fingerprint.as_str()), (1, "07".repeat(32).as_str()));

    fixture.sealed =
        Some(SealedKey::of(fixture.ca.as_ref().unwrap(), &Issuer::from(Arc::new(fixture.issuer.clone()))));
    let at = |second: i64| {
        let later = fixture.plan_at(Timestamp::from_second(second).unwrap());
        (bundle(&later).matches("BEGIN CERTIFICATE").count(), later.status.previous_cas.len())
    };
    assert_eq!(at(old.not_after), (2, 1));
    assert_eq!(at(old.not_after + 1), (1, 0));
}

#[test]
fn an_anchor_that_both_share_is_published_once() {
    let mut fixture = Fixture::settled(7, false, 86_400);
    replace_ca(&mut fixture, 8);
    fixture.ca.as_mut().unwrap().anchors = vec![vec![1].into()];
    let plan = fixture.plan();
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 1);
    assert!(plan.status.previous_cas.is_empty());
}

#[test]
fn each_value_of_the_annotation_asks_once() {
    let mut fixture = Fixture::settled(7, true, YEAR);
    annotate(&mut fixture, "2026-11-25");
    assert!(fixture.decide().requests_next());
    replace_ca(&mut fixture, 8);
    fixture.status = fixture.plan().status;
    assert!(!fixture.decide().requests_next(), "it was handled");
    annotate(&mut fixture, "again");
    assert!(fixture.decide().requests_next());
    // An annotation that existed when the first CA was made requests nothing.
    let mut first = Fixture::holding(7);
    first.issuer.spec.self_sign = true;
    first.ca.as_mut().unwrap().not_after = now().as_second() + YEAR;
    annotate(&mut first, "now");
    first.status = first.plan().status;
    assert!(!first.decide().requests_next());
}

#[test]
fn a_ca_that_is_not_published_yet_is_not_renewed() {
    let mut fixture = Fixture::settled(7, true, 86_400);
    replace_ca(&mut fixture, 8);
    fixture.ca.as_mut().unwrap().not_after = now().as_second() + 60;
    assert!(!fixture.decide().requests_next(), "whatever its end and the annotation are");
    annotate(&mut fixture, "now");
    assert!(!fixture.decide().requests_next());
}

#[test]
fn annotations_do_not_fill_the_bundle() {
    let mut fixture = Fixture::settled(1, true, YEAR);
    for number in 2..20u8 {
        annotate(&mut fixture, &number.to_string());
        if fixture.decide().requests_next() {
            replace_ca(&mut fixture, number);
            fixture.status = fixture.plan().status;
        }
    }
    assert_eq!(fixture.status.previous_cas.len(), 8);
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::READY);
    assert!(ready_condition(&plan.status).unwrap().message.contains("not renewed"));
    assert!(plan.events.iter().any(|event| event.reason == reasons::RENEWAL_FAILED));
    fixture.status = plan.status;
    assert!(fixture.plan().events.is_empty(), "reported once");
    // A CA that is about to expire is renewed, however many CAs are in the bundle.
    let end = fixture.ca.as_ref().unwrap().not_after;
    fixture.status.previous_cas.iter_mut().for_each(|ca| ca.not_after = "2099-01-01T00:00:00Z".into());
    assert!(fixture.decide_at(Timestamp::from_second(end - 60).unwrap()).requests_next());
}

#[test]
fn a_renewal_that_the_enclave_refuses_is_reported_while_the_issuer_signs() {
    for self_sign in [true, false] {
        let mut fixture = Fixture::settled(7, self_sign, 86_400);
        fixture.next = NextCa::Refused(refusal(RefusalCode::LifetimeInvalid, "why"));
        let plan = fixture.plan();
        assert!(plan.ca_secret.is_some());
        assert_eq!(reason(&plan), reasons::READY);
        assert!(ready_condition(&plan.status).unwrap().message.contains("LifetimeInvalid: why"));
        let event = plan.events.iter().find(|event| event.reason == reasons::RENEWAL_FAILED).unwrap();
        assert!(event.warning);
        fixture.status = plan.status;
        assert!(fixture.plan().events.is_empty(), "reported once");
    }
}

fn renewing() -> Fixture {
    let mut fixture = Fixture::settled(7, false, 86_400);
    assert!(fixture.decide().is_offer_next());
    fixture.next = NextCa::Offer(offer(3));
    fixture
}

#[test]
fn the_next_key_of_a_delivered_ca_is_requested_while_the_issuer_signs() {
    let mut fixture = renewing();
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::RENEWING);
    assert!(is_ready(&plan.status) && plan.ca_secret.is_some());
    let AttestationStep::Create(made) = &plan.attestation else { panic!() };
    assert_eq!(made.spec.signer_names, [SIGNER]);
    assert_eq!(plan.attestation_conditions[0].type_.as_deref(), Some("Init"));
    assert_eq!(plan.status.offer.as_ref().unwrap().id, "03".repeat(16));
    assert_eq!(plan.events.len(), 1);
    assert!(!plan.events[0].warning && plan.events[0].reason == "Renewing");
    fixture.status = plan.status;
    fixture.attestation = Some(published(&fixture.issuer, &offer(3)));
    let again = fixture.plan();
    assert!(again.events.is_empty());
    assert_eq!((again.status, again.attestation), (fixture.status.clone(), AttestationStep::Keep));

    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(3)), "next-key", "KMRA"));
    fixture.secret = Some(secret("1"));
    assert!(fixture.decide().delivery().is_some());
    replace_ca(&mut fixture, 8);
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::READY);
    assert_eq!(plan.attestation, AttestationStep::Delete);
    assert!(plan.status.offer.is_none());
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn w_r2_a_refused_next_key_is_reported_once_while_the_present_ca_signs() {
    let mut fixture = renewing();
    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(3)), "next-key", "KMRA"));
    fixture.secret = Some(secret("1"));
    fixture.refusal = Some(refusal(RefusalCode::KeyMismatch, "other key"));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::RENEWING);
    assert!(is_ready(&plan.status));
    assert_eq!(plan.attestation_conditions.last().unwrap().reason.as_deref(), Some("KeyMismatch"));
    assert_eq!(plan.events.len(), 1);
    let event = &plan.events[0];
    assert!(event.warning && event.reason == "KeyRejected" && event.about == About::IssuerAndAttestation);
    fixture.status = plan.status;
    fixture.refusal = None;
    let again = fixture.plan();
    assert!(again.events.is_empty());
    assert_eq!(again.status, fixture.status, "x03");
    fixture.secret = Some(secret("2"));
    assert!(fixture.decide().delivery().is_some());
}

#[test]
fn a_renewal_that_is_no_longer_requested_ends() {
    let mut fixture = Fixture::settled(7, false, YEAR);
    annotate(&mut fixture, "now");
    assert!(fixture.decide().is_offer_next());
    fixture.next = NextCa::Offer(offer(3));
    fixture.status = fixture.plan().status;
    assert_eq!(
        fixture.plan().status.offer.as_ref().map(|offer| offer.id.len()),
        Some(32),
        "it is still requested"
    );
    fixture.attestation = Some(published(&fixture.issuer, &offer(3)));
    fixture.issuer.metadata.annotations = None;
    fixture.next = NextCa::NotRequested;
    let plan = fixture.plan();
    assert_eq!((reason(&plan), &plan.attestation), (reasons::READY, &AttestationStep::Delete));
    assert!(plan.status.offer.is_none());
}

#[test]
fn a_ca_that_expired_while_it_was_held_can_still_be_replaced() {
    let mut delivered = Fixture::settled(7, false, 1);
    let end = delivered.ca.as_ref().unwrap().not_after;
    let later = Timestamp::from_second(end).unwrap();
    assert!(delivered.decide_at(later).is_offer_next());
    delivered.next = NextCa::Offer(offer(3));
    let plan = delivered.plan_at(later);
    assert_eq!(reason(&plan), reasons::CA_EXPIRED);
    assert!(!is_ready(&plan.status) && matches!(plan.attestation, AttestationStep::Create(_)));
    assert!(Fixture::settled(7, true, 1).decide_at(later).renew().is_some());
}

/// The API server accepts no more of them, and a status that could not be written would not record the new
/// CA.
#[test]
fn the_status_records_no_more_previous_cas_than_the_api_allows() {
    let mut fixture = Fixture::settled(1, true, YEAR);
    for number in 2..30u8 {
        replace_ca(&mut fixture, number);
        fixture.status = fixture.plan().status;
    }
    assert_eq!(fixture.status.previous_cas.len(), 16);
    assert_eq!(fixture.status.previous_cas[0].fingerprint, "1c".repeat(32), "the newest stay");
}
