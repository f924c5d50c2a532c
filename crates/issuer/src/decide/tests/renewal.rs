use super::scene::*;
use crate::decide::*;
use tcs_api::annotations;
use tcs_api::v1alpha1::CaSpec;

const YEAR: i64 = 365 * 86_400;

/// A CA of a year that is published, `left` seconds before its end.
fn settled(fingerprint: u8, self_sign: bool, left: i64) -> Scene {
    let mut scene = Scene::holding(fingerprint);
    scene.issuer.spec.self_sign = self_sign;
    let held = scene.ca.as_mut().unwrap();
    (held.not_before, held.not_after) = (now().as_second() + left - YEAR, now().as_second() + left);
    scene.sealed = Some(SealedKey::of(&held.clone(), &Issuer::from(&scene.issuer)));
    scene.status = scene.decide().status;
    scene
}

fn annotate(scene: &mut Scene, value: &str) {
    let annotations = scene.issuer.metadata.annotations.get_or_insert_default();
    annotations.insert(annotations::RENEW.into(), value.into());
}

/// Another CA, with another anchor.
fn follow(scene: &mut Scene, fingerprint: u8) {
    let next = CaInfo {
        fingerprint: vec![fingerprint; 32].into(),
        anchors: vec![vec![fingerprint].into()],
        not_after: now().as_second() + 2 * YEAR,
        ..scene.ca.clone().unwrap()
    };
    (scene.ca, scene.next) = (Some(next), Next::NotAsked);
}

fn bundle(plan: &Plan) -> String {
    let data = plan.ca_secret.as_ref().unwrap().data.as_ref().unwrap();
    String::from_utf8(data["ca.crt"].0.clone()).unwrap()
}

#[test]
fn a_ca_is_due_thirty_days_before_its_end_or_when_a_third_of_its_life_is_left() {
    let day = 86_400;
    assert!(settled(7, true, 30 * day + 1).decide().next.is_none());
    assert!(settled(7, true, 30 * day).decide().next.is_some());
    let mut short = settled(7, true, YEAR);
    let held = short.ca.as_mut().unwrap();
    (held.not_before, held.not_after) = (now().as_second() - 2 * day, now().as_second() + day + 1);
    assert!(short.decide().next.is_none());
    short.ca.as_mut().unwrap().not_after -= 1;
    assert!(short.decide().next.is_some());
}

#[test]
fn a_self_signed_ca_keeps_its_key_unless_the_spec_says_otherwise() {
    let mut scene = settled(7, true, 86_400);
    let Some(NextStep::Renew(ask)) = scene.decide().next else { panic!() };
    assert_eq!((ask.new_key, ask.lifetime), (None, 365 * 86_400));
    scene.issuer.spec.ca = Some(CaSpec {
        rotation_policy: Some("Always".into()),
        key_algorithm: Some("Ed25519".into()),
        lifetime_days: Some(10),
        ..CaSpec::default()
    });
    let Some(NextStep::Renew(ask)) = scene.decide().next else { panic!() };
    assert_eq!((ask.new_key.as_deref(), ask.lifetime), (Some("Ed25519"), 10 * 86_400));
}

#[test]
fn the_certificate_before_stays_in_the_bundle_until_it_ends() {
    let mut scene = settled(7, true, 86_400);
    let old = scene.ca.clone().unwrap();
    follow(&mut scene, 8);
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::READY);
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 2);
    assert!(bundle(&plan).starts_with("-----BEGIN CERTIFICATE-----\nCA=="), "the present one first");
    let note = plan.notes.iter().find(|note| note.reason == "CAReplaced").unwrap();
    assert!(!note.warning && note.message.contains("stays in ca.crt"), "{}", note.message);
    assert!(plan.seal, "what was sealed is of the CA before");
    scene.status = plan.status;
    let kept = &scene.status.previous_cas;
    assert_eq!((kept.len(), kept[0].fingerprint.as_str()), (1, "07".repeat(32).as_str()));

    scene.sealed = Some(SealedKey::of(scene.ca.as_ref().unwrap(), &Issuer::from(&scene.issuer)));
    let at = |second: i64| {
        let later = scene.decide_at(Timestamp::from_second(second).unwrap());
        (bundle(&later).matches("BEGIN CERTIFICATE").count(), later.status.previous_cas.len())
    };
    assert_eq!(at(old.not_after), (2, 1));
    assert_eq!(at(old.not_after + 1), (1, 0));
}

#[test]
fn an_anchor_that_both_share_is_published_once() {
    let mut scene = settled(7, false, 86_400);
    follow(&mut scene, 8);
    scene.ca.as_mut().unwrap().anchors = vec![vec![1].into()];
    let plan = scene.decide();
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 1);
    assert!(plan.status.previous_cas.is_empty());
}

#[test]
fn each_value_of_the_annotation_asks_once() {
    let mut scene = settled(7, true, YEAR);
    annotate(&mut scene, "2026-11-25");
    assert!(scene.decide().next.is_some());
    follow(&mut scene, 8);
    scene.status = scene.decide().status;
    assert!(scene.decide().next.is_none(), "answered");
    annotate(&mut scene, "again");
    assert!(scene.decide().next.is_some());
    // One that stood there when the first CA was made asks for nothing.
    let mut first = Scene::holding(7);
    first.issuer.spec.self_sign = true;
    first.ca.as_mut().unwrap().not_after = now().as_second() + YEAR;
    annotate(&mut first, "now");
    first.status = first.decide().status;
    assert!(first.decide().next.is_none());
}

#[test]
fn a_ca_that_is_not_published_yet_is_not_renewed() {
    let mut scene = settled(7, true, 86_400);
    follow(&mut scene, 8);
    scene.ca.as_mut().unwrap().not_after = now().as_second() + 60;
    assert!(scene.decide().next.is_none(), "whatever its end and the annotation say");
    annotate(&mut scene, "now");
    assert!(scene.decide().next.is_none());
}

#[test]
fn annotations_do_not_fill_the_bundle() {
    let mut scene = settled(1, true, YEAR);
    for number in 2..20u8 {
        annotate(&mut scene, &number.to_string());
        if scene.decide().next.is_some() {
            follow(&mut scene, number);
            scene.status = scene.decide().status;
        }
    }
    assert_eq!(scene.status.previous_cas.len(), 8);
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::READY);
    assert!(ready_condition(&plan.status).unwrap().message.contains("not renewed"));
    assert!(plan.notes.iter().any(|note| note.reason == reasons::RENEWAL_FAILED));
    scene.status = plan.status;
    assert!(scene.decide().notes.is_empty(), "said once");
    // Time is no annotation: a CA that ends is renewed whatever is in the bundle.
    let end = scene.ca.as_ref().unwrap().not_after;
    scene.status.previous_cas.iter_mut().for_each(|ca| ca.not_after = "2099-01-01T00:00:00Z".into());
    assert!(scene.decide_at(Timestamp::from_second(end - 60).unwrap()).next.is_some());
}

#[test]
fn a_renewal_that_the_enclave_refuses_leaves_the_issuer_signing_and_says_why() {
    for self_sign in [true, false] {
        let mut scene = settled(7, self_sign, 86_400);
        scene.next = Next::Refused(Refusal { code: RefusalCode::LifetimeInvalid, message: "why".into() });
        let plan = scene.decide();
        assert!(plan.next.is_none() && plan.ca_secret.is_some());
        assert_eq!(reason(&plan), reasons::READY);
        assert!(ready_condition(&plan.status).unwrap().message.contains("LifetimeInvalid: why"));
        let note = plan.notes.iter().find(|note| note.reason == reasons::RENEWAL_FAILED).unwrap();
        assert!(note.warning);
        scene.status = plan.status;
        assert!(scene.decide().notes.is_empty(), "said once");
    }
}

fn renewing() -> Scene {
    let mut scene = settled(7, false, 86_400);
    assert_eq!(scene.decide().next, Some(NextStep::Offer));
    scene.next = Next::Offer(offer(3));
    scene
}

#[test]
fn the_next_key_of_a_delivered_ca_is_asked_for_while_the_issuer_signs() {
    let mut scene = renewing();
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::RENEWING);
    assert!(is_ready(&plan.status) && plan.ca_secret.is_some());
    let AttestationStep::Create(made) = &plan.attestation else { panic!() };
    assert_eq!(made.spec.signer_names, [SIGNER]);
    assert_eq!(plan.attestation_conditions[0].type_.as_deref(), Some("Init"));
    assert_eq!(plan.status.offer.as_ref().unwrap().id, "03".repeat(16));
    assert_eq!(plan.notes.len(), 1);
    assert!(!plan.notes[0].warning && plan.notes[0].reason == "Renewing");
    scene.status = plan.status;
    scene.attestation = Some(published(&scene.issuer, &offer(3)));
    let again = scene.decide();
    assert!(again.notes.is_empty());
    assert_eq!((again.status, again.attestation), (scene.status.clone(), AttestationStep::Keep));

    scene.attestation = Some(patched(published(&scene.issuer, &offer(3)), "next-key", "KMRA"));
    scene.secret = Some(secret("1"));
    assert!(scene.decide().deliver.is_some());
    follow(&mut scene, 8);
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::READY);
    assert_eq!(plan.attestation, AttestationStep::Delete);
    assert!(plan.status.offer.is_none());
    assert_eq!(bundle(&plan).matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn w_r2_a_refused_next_key_is_said_once_and_costs_the_present_one_nothing() {
    let mut scene = renewing();
    scene.attestation = Some(patched(published(&scene.issuer, &offer(3)), "next-key", "KMRA"));
    scene.secret = Some(secret("1"));
    scene.refusal = Some(Refusal { code: RefusalCode::KeyMismatch, message: "other key".into() });
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::RENEWING);
    assert!(is_ready(&plan.status));
    assert_eq!(plan.attestation_conditions.last().unwrap().reason.as_deref(), Some("KeyMismatch"));
    assert_eq!(plan.notes.len(), 1);
    let note = &plan.notes[0];
    assert!(note.warning && note.reason == "KeyRejected" && note.about == About::IssuerAndAttestation);
    scene.status = plan.status;
    scene.refusal = None;
    let again = scene.decide();
    assert!(again.deliver.is_none() && again.notes.is_empty());
    assert_eq!(again.status, scene.status, "x03");
    scene.secret = Some(secret("2"));
    assert!(scene.decide().deliver.is_some());
}

#[test]
fn a_renewal_that_is_no_longer_asked_for_ends() {
    let mut scene = settled(7, false, YEAR);
    annotate(&mut scene, "now");
    assert_eq!(scene.decide().next, Some(NextStep::Offer));
    scene.next = Next::Offer(offer(3));
    scene.status = scene.decide().status;
    assert_eq!(scene.decide().status.offer.as_ref().map(|offer| offer.id.len()), Some(32), "still asked for");
    scene.attestation = Some(published(&scene.issuer, &offer(3)));
    scene.issuer.metadata.annotations = None;
    scene.next = Next::NotAsked;
    let plan = scene.decide();
    assert_eq!((reason(&plan), &plan.attestation), (reasons::READY, &AttestationStep::Delete));
    assert!(plan.status.offer.is_none());
}

#[test]
fn a_ca_that_ended_while_held_can_still_be_followed() {
    let mut delivered = settled(7, false, 1);
    let end = delivered.ca.as_ref().unwrap().not_after;
    let later = Timestamp::from_second(end).unwrap();
    assert_eq!(delivered.decide_at(later).next, Some(NextStep::Offer));
    delivered.next = Next::Offer(offer(3));
    let plan = delivered.decide_at(later);
    assert_eq!(reason(&plan), reasons::CA_EXPIRED);
    assert!(!is_ready(&plan.status) && matches!(plan.attestation, AttestationStep::Create(_)));
    assert!(matches!(settled(7, true, 1).decide_at(later).next, Some(NextStep::Renew(_))));
}

/// The API takes no more: a status that could not be written would say nothing of the new CA.
#[test]
fn the_status_holds_no_more_earlier_cas_than_the_api_takes() {
    let mut scene = settled(1, true, YEAR);
    for number in 2..30u8 {
        follow(&mut scene, number);
        scene.status = scene.decide().status;
    }
    assert_eq!(scene.status.previous_cas.len(), 16);
    assert_eq!(scene.status.previous_cas[0].fingerprint, "1c".repeat(32), "the newest stay");
}
