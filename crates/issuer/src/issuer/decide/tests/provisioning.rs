//! Issuers whose CA key the key owner delivers.

use super::super::attestation;
use super::fixture::*;
use super::*;
use crate::issuer::Issuer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt as _;
use std::sync::Arc;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::QuoteCondition;

#[test]
fn a_new_issuer_gets_an_attestation_encoded_as_in_the_walk_through() {
    let plan = Fixture::offering(1).plan();
    assert_eq!(reason(&plan), reasons::AWAITING_KEY);
    let AttestationStep::Create(made) = plan.attestation else { panic!() };
    assert_eq!(made.name_any(), "sandbox.external-ca.tcsissuer.tcs.intel.com");
    assert_eq!(made.namespace().as_deref(), Some("tcs-issuer"));
    assert_eq!(
        made.spec.quote.0,
        STANDARD.encode([1u8; 30]).into_bytes(),
        "text, encoded once more by the API"
    );
    assert!(made.spec.public_key.0.starts_with(b"-----BEGIN PUBLIC KEY-----\n"));
    assert_eq!(made.spec.signer_names, [SIGNER]);
    assert_eq!(made.spec.nonce, None);
    assert_eq!(made.spec.quote_version.as_deref(), Some("ECDSA Quote 3"));
    assert_eq!(plan.attestation_conditions[0].type_.as_deref(), Some("Init"));
    assert!(
        made.metadata.owner_references.is_none(),
        "Kubernetes' garbage collector deletes an object with an owner in another namespace"
    );
}

#[test]
fn other_evidence_is_published_under_the_name_of_its_kind() {
    let mut fixture = Fixture::offering(1);
    fixture.offer.as_mut().unwrap().evidence_kind = "tdx-quote".into();
    let AttestationStep::Create(made) = fixture.plan().attestation else { panic!() };
    assert_eq!(made.spec.quote_version.as_deref(), Some("tdx-quote"));
}

#[test]
fn the_same_observation_gives_no_second_event_and_no_new_status() {
    let mut fixture = Fixture::offering(1);
    fixture.attestation = Some(published(&fixture.issuer, &offer(1)));
    let first = fixture.plan();
    assert_eq!(first.events.len(), 1);
    fixture.status = first.status;
    let second = fixture.plan();
    assert!(second.events.is_empty());
    assert_eq!(second.status, fixture.status, "x03: an equal status is not written");
    assert_eq!(second.attestation, AttestationStep::Keep);
}

#[test]
fn w_s6_the_status_of_a_foreign_attestation_is_never_used() {
    let mut fixture = Fixture::offering(1);
    // Somebody else created the object before, with a status that would deliver their own key.
    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(2)), "theirs", "KMRA"));
    fixture.secret = Some(secret("1"));
    let plan = fixture.plan();
    assert!(matches!(plan.attestation, AttestationStep::Recreate(_)));
    assert_eq!(reason(&plan), reasons::AWAITING_KEY);
}

#[test]
fn an_altered_attestation_is_restored_and_keeps_the_key_owners_entries() {
    let mut fixture = Fixture::offering(1);
    let mut altered = patched(published(&fixture.issuer, &offer(1)), "wrapped-key", "KMRA");
    altered.spec.signer_names = vec!["tcsissuer.tcs.intel.com/evil.ca".into()];
    altered.metadata.labels = None;
    fixture.attestation = Some(altered.clone());
    fixture.secret = Some(secret("1"));
    assert!(fixture.decide().delivery().is_some(), "the delivery is for this offer");
    fixture.refusal = Some(refusal(RefusalCode::WrappedKeyInvalid, "no"));
    let AttestationStep::Restore(restored) = fixture.plan().attestation else { panic!() };
    assert_eq!(restored.spec.signer_names, [SIGNER]);
    assert_eq!(restored.status, altered.status);
    assert_eq!(restored.labels().get("tcs.intel.com/issuer-uid"), fixture.issuer.uid().as_ref());
}

#[test]
fn the_patch_of_the_walk_through_delivers() {
    let mut fixture = Fixture::offering(1);
    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(1)), "wrapped-key", "KMRA"));
    assert_eq!(
        named_secret(fixture.attestation.as_ref().unwrap(), &Issuer::from(Arc::new(fixture.issuer.clone()))),
        Some("wrapped-key")
    );
    fixture.secret = Some(secret("1"));
    let delivery = fixture.decide().delivery().unwrap();
    assert_eq!((delivery.wrapped_key.len(), delivery.chain.len()), (400, 1));
}

#[test]
fn the_last_entry_of_a_type_counts() {
    let mut fixture = Fixture::offering(1);
    let mut attestation = patched(published(&fixture.issuer, &offer(1)), "wrapped-key", "KMRA");
    let off = QuoteCondition {
        type_: Some("CASecretReady".into()),
        status: Some("False".into()),
        ..QuoteCondition::default()
    };
    attestation.status.as_mut().unwrap().conditions.push(off);
    fixture.attestation = Some(attestation);
    fixture.secret = Some(secret("1"));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::AWAITING_KEY);
}

#[test]
fn each_wrong_delivery_has_its_code() {
    let base = |secret_name: &str, kind: &str| {
        let mut fixture = Fixture::offering(1);
        fixture.attestation = Some(patched(published(&fixture.issuer, &offer(1)), secret_name, kind));
        fixture.secret = Some(secret("1"));
        fixture
    };
    let code_of = |fixture: &Fixture| {
        let plan = fixture.plan();
        assert_eq!(reason(&plan), reasons::KEY_REJECTED);
        assert_eq!(plan.events.len(), 1);
        assert!(plan.events[0].warning);
        let last = plan.attestation_conditions.last().unwrap();
        assert_eq!(last.type_.as_deref(), Some("KeyAccepted"));
        assert_eq!(last.status.as_deref(), Some("False"));
        last.reason.clone().unwrap()
    };
    assert_eq!(code_of(&base("wrapped-key", "Opaque")), "SecretTypeUnsupported");
    let mut missing = base("wrapped-key", "KMRA");
    missing.secret = None;
    assert_eq!(code_of(&missing), "SecretNotFound");
    for (field, code) in [("tls.key", "MissingKey"), ("tls.crt", "MissingCertificate")] {
        let mut fixture = base("wrapped-key", "KMRA");
        fixture.secret.as_mut().unwrap().data.as_mut().unwrap().remove(field);
        assert_eq!(code_of(&fixture), code);
    }
    let mut refused = base("wrapped-key", "KMRA");
    refused.refusal = Some(refusal(RefusalCode::KeyMismatch, "other key"));
    assert_eq!(code_of(&refused), "KeyMismatch");
}

#[test]
fn w_r2_a_refused_delivery_is_tried_again_exactly_when_the_secret_changes() {
    let mut fixture = Fixture::delivered();
    fixture.refusal = Some(refusal(RefusalCode::WrappedKeyInvalid, "does not open"));
    let refused = fixture.plan();
    fixture.status = refused.status;
    fixture.refusal = None;

    // A restarted controller reads it from the status, and reports the same.
    let again = fixture.plan();
    assert_eq!(again.status, fixture.status);
    assert!(again.events.is_empty());

    fixture.secret = Some(secret("2"));
    assert!(fixture.decide().delivery().is_some());
    // For another offer it is another delivery.
    fixture.secret = Some(secret("1"));
    fixture.offer = Some(offer(3));
    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(3)), "wrapped-key", "KMRA"));
    assert!(fixture.decide().delivery().is_some());
}

#[test]
fn x03_a_refusal_is_written_once_on_a_simulated_platform_too() {
    let mut fixture = Fixture::offering(1);
    fixture.identity = identity(true);
    fixture.attestation = Some(patched(
        attestation::build(&Issuer::from(Arc::new(fixture.issuer.clone())), &offer(1), true),
        "wrapped-key",
        "KMRA",
    ));
    fixture.secret = Some(secret("1"));
    fixture.refusal = Some(refusal(RefusalCode::WrappedKeyInvalid, "does not open"));
    fixture.status = fixture.plan().status;
    fixture.refusal = None;
    let again = fixture.plan();
    assert_eq!(
        again.status, fixture.status,
        "otherwise every reconcile would write, and every write would cause a reconcile"
    );
    assert!(again.events.is_empty());
    // The same holds for a delivery that is not passed to the enclave.
    fixture.secret = None;
    fixture.status = fixture.plan().status;
    assert_eq!(fixture.plan().status, fixture.status);
}

#[test]
fn a_refusal_that_passes_with_time_is_tried_again() {
    let mut fixture = Fixture::delivered();
    fixture.refusal = Some(refusal(RefusalCode::CertificateNotYetValid, "not yet"));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::KEY_REJECTED);
    assert!(plan.requeue.is_some() && plan.status.refused_delivery.is_none());
    fixture.status = plan.status;
    fixture.refusal = None;
    assert!(fixture.decide().delivery().is_some());
}

#[test]
fn the_services_conditions_are_merged_and_the_key_owners_stay_in_place() {
    let init = attestation::init_condition(now());
    let refused = attestation::key_accepted_false("KeyMismatch", "m", now());
    let mut status = patched(published(&issuer(), &offer(1)), "wrapped-key", "KMRA").status.unwrap();
    let theirs = status.conditions[0].clone();
    assert!(merge_conditions(&mut status, &[init.clone(), refused.clone()]));
    assert_eq!(status.conditions[0], theirs);
    assert_eq!(status.conditions.len(), 3);
    assert!(!merge_conditions(&mut status, &[init.clone(), refused]), "nothing to write the second time");
    assert!(merge_conditions(&mut status, std::slice::from_ref(&init)));
    assert_eq!(status.conditions, [theirs, init], "a KeyAccepted that does not apply any longer is removed");
}

#[test]
fn w_r2_the_advice_after_a_refusal_depends_on_whether_the_offer_has_ended() {
    let mut fixture = Fixture::delivered();
    for offer_ended in [false, true] {
        fixture.refusal =
            Some(Refusal { offer_ended, ..refusal(RefusalCode::WrappedKeyInvalid, "attest and wrap again") });
        let plan = fixture.plan();
        let message = &ready_condition(&plan.status).unwrap().message;
        assert_eq!(message.contains("correct the Secret"), !offer_ended, "{message}");
    }
}

#[test]
fn review_l8_a_platform_that_makes_no_evidence_in_time_is_named_and_asked_again() {
    let mut fixture = Fixture { offer: None, ..Fixture::offering(1) };
    fixture.no_offer = Some(refusal(RefusalCode::TimedOut, "why"));
    let plan = fixture.plan();
    assert_eq!((reason(&plan), plan.requeue), (reasons::NO_EVIDENCE, Some(OFFER_RETRY)));
    assert!(ready_condition(&plan.status).unwrap().message.contains("TimedOut: why"));
    fixture.no_offer = Some(refusal(RefusalCode::Busy, "why"));
    let plan = fixture.plan();
    assert_eq!((reason(&plan), plan.requeue), (reasons::ENCLAVE_UNAVAILABLE, Some(OFFER_RETRY)));
}

#[test]
fn a_delivery_in_a_format_that_was_forbidden_is_tried_again_when_the_spec_changes() {
    let mut fixture = Fixture::delivered();
    for (code, retried) in [(RefusalCode::WrapFormatForbidden, true), (RefusalCode::KeyMismatch, false)] {
        fixture.refusal = Some(refusal(code, "no"));
        fixture.status = fixture.plan().status;
        fixture.refusal = None;
        assert_eq!(reason(&fixture.plan()), reasons::KEY_REJECTED, "{code}: the same spec");
        fixture.issuer.metadata.generation = fixture.issuer.metadata.generation.map(|before| before + 1);
        assert_eq!(fixture.decide().delivery().is_some(), retried, "{code}");
    }
}
