mod clock;
mod lost;
mod renewal;
mod scene;
mod withheld;

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::ResourceExt as _;
use scene::*;
use tcs_api::v1alpha1::{CaSpec, ClusterIssuerSpec, TCSClusterIssuer};

#[test]
fn a_new_issuer_gets_an_attestation_with_the_documents_layers() {
    let plan = Scene::offering(1).decide();
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
    assert_eq!(plan.attestation_conditions[0].type_.as_deref(), Some("Init"));
    assert!(
        made.metadata.owner_references.is_none(),
        "an owner in another namespace would have it collected"
    );
}

#[test]
fn the_same_observation_gives_no_second_event_and_no_new_status() {
    let mut scene = Scene::offering(1);
    scene.attestation = Some(published(&scene.issuer, &offer(1)));
    let first = scene.decide();
    assert_eq!(first.notes.len(), 1);
    scene.status = first.status;
    let second = scene.decide();
    assert!(second.notes.is_empty());
    assert_eq!(second.status, scene.status, "x03: an equal status is not written");
    assert_eq!(second.attestation, AttestationStep::Keep);
}

#[test]
fn w_s6_a_foreign_attestation_is_never_believed() {
    let mut scene = Scene::offering(1);
    // Made beforehand by somebody, complete with a status that would deliver their key.
    scene.attestation = Some(patched(published(&scene.issuer, &offer(2)), "theirs", "KMRA"));
    scene.secret = Some(secret("1"));
    let plan = scene.decide();
    assert!(plan.deliver.is_none());
    assert!(matches!(plan.attestation, AttestationStep::Recreate(_)));
    assert_eq!(reason(&plan), reasons::AWAITING_KEY);
}

#[test]
fn an_altered_attestation_is_restored_and_keeps_the_key_owners_entries() {
    let mut scene = Scene::offering(1);
    let mut altered = patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA");
    altered.spec.signer_names = vec!["tcsissuer.tcs.intel.com/evil.ca".into()];
    altered.metadata.labels = None;
    scene.attestation = Some(altered.clone());
    scene.secret = Some(secret("1"));
    assert!(scene.decide().deliver.is_some(), "the delivery answers this very offer");
    scene.refusal = Some(Refusal { code: RefusalCode::WrappedKeyInvalid, message: "no".into() });
    let AttestationStep::Restore(restored) = scene.decide().attestation else { panic!() };
    assert_eq!(restored.spec.signer_names, [SIGNER]);
    assert_eq!(restored.status, altered.status);
    assert_eq!(restored.labels().get("tcs.intel.com/issuer-uid"), scene.issuer.uid().as_ref());
}

#[test]
fn the_documents_patch_delivers() {
    let mut scene = Scene::offering(1);
    scene.attestation = Some(patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA"));
    assert_eq!(
        named_secret(scene.attestation.as_ref().unwrap(), &Issuer::from(&scene.issuer)),
        Some("wrapped-key")
    );
    scene.secret = Some(secret("1"));
    let delivery = scene.decide().deliver.unwrap();
    assert_eq!((delivery.wrapped_key.len(), delivery.chain.len()), (400, 1));
}

#[test]
fn the_last_entry_of_a_type_counts() {
    let mut scene = Scene::offering(1);
    let mut attestation = patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA");
    let off = QuoteCondition {
        type_: Some("CASecretReady".into()),
        status: Some("False".into()),
        ..QuoteCondition::default()
    };
    attestation.status.as_mut().unwrap().conditions.push(off);
    scene.attestation = Some(attestation);
    scene.secret = Some(secret("1"));
    let plan = scene.decide();
    assert!(plan.deliver.is_none());
    assert_eq!(reason(&plan), reasons::AWAITING_KEY);
}

#[test]
fn each_wrong_delivery_has_its_code() {
    let base = |secret_name: &str, kind: &str| {
        let mut scene = Scene::offering(1);
        scene.attestation = Some(patched(published(&scene.issuer, &offer(1)), secret_name, kind));
        scene.secret = Some(secret("1"));
        scene
    };
    let code_of = |scene: &Scene| {
        let plan = scene.decide();
        assert_eq!(reason(&plan), reasons::KEY_REJECTED);
        assert_eq!(plan.notes.len(), 1);
        assert!(plan.notes[0].warning);
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
        let mut scene = base("wrapped-key", "KMRA");
        scene.secret.as_mut().unwrap().data.as_mut().unwrap().remove(field);
        assert_eq!(code_of(&scene), code);
    }
    let mut refused = base("wrapped-key", "KMRA");
    refused.refusal = Some(Refusal { code: RefusalCode::KeyMismatch, message: "other key".into() });
    assert_eq!(code_of(&refused), "KeyMismatch");
}

#[test]
fn w_r2_a_refused_delivery_is_tried_again_exactly_when_the_secret_changes() {
    let mut scene = Scene::offering(1);
    scene.attestation = Some(patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA"));
    scene.secret = Some(secret("1"));
    scene.refusal = Some(Refusal { code: RefusalCode::WrappedKeyInvalid, message: "does not open".into() });
    let refused = scene.decide();
    scene.status = refused.status;
    scene.refusal = None;

    // A restarted controller knows it from the status alone, and says the same.
    let again = scene.decide();
    assert!(again.deliver.is_none());
    assert_eq!(again.status, scene.status);
    assert!(again.notes.is_empty());

    scene.secret = Some(secret("2"));
    assert!(scene.decide().deliver.is_some());
    // Another offer is another delivery, too.
    scene.secret = Some(secret("1"));
    scene.offer = Some(offer(3));
    scene.attestation = Some(patched(published(&scene.issuer, &offer(3)), "wrapped-key", "KMRA"));
    assert!(scene.decide().deliver.is_some());
}

#[test]
fn x03_a_refusal_settles_on_a_simulated_platform_too() {
    let mut scene = Scene::offering(1);
    scene.identity = identity(true);
    scene.attestation = Some(patched(
        attestation::build(&Issuer::from(&scene.issuer), &offer(1), true),
        "wrapped-key",
        "KMRA",
    ));
    scene.secret = Some(secret("1"));
    scene.refusal = Some(Refusal { code: RefusalCode::WrappedKeyInvalid, message: "does not open".into() });
    scene.status = scene.decide().status;
    scene.refusal = None;
    let again = scene.decide();
    assert_eq!(again.status, scene.status, "or every pass would write, and every write make a pass");
    assert!(again.notes.is_empty());
    // The same for a delivery that never reaches the enclave.
    scene.secret = None;
    scene.status = scene.decide().status;
    assert_eq!(scene.decide().status, scene.status);
}

#[test]
fn ready_publishes_the_certificate_and_removes_the_attestation() {
    let mut scene = Scene::holding(7);
    scene.attestation = Some(published(&scene.issuer, &offer(1)));
    let plan = scene.decide();
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
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, scene.issuer.uid().unwrap());
}

#[test]
fn w_r1_a_lost_key_is_said_and_a_new_offer_made() {
    let mut scene = Scene::holding(7);
    scene.status = scene.decide().status;
    scene.ca = None;
    scene.offer = Some(offer(4));
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::KEY_LOST);
    assert!(plan.notes[0].warning && plan.notes[0].message.contains(&"07".repeat(32)));
    assert!(matches!(plan.attestation, AttestationStep::Create(_)));
    assert!(plan.ca_secret.is_none(), "W-D10: the published certificate stays as it is");
    assert!(plan.status.ca.is_some());
}

#[test]
fn another_ca_after_a_lost_one_is_announced_with_both_fingerprints() {
    let mut scene = Scene::holding(7);
    scene.status = scene.decide().status;
    scene.ca = Some(ca(8));
    let plan = scene.decide();
    let note = plan.notes.iter().find(|note| note.reason == "CAReplaced").unwrap();
    assert!(note.message.contains(&"07".repeat(32)) && note.message.contains(&"08".repeat(32)));
}

#[test]
fn what_time_heals_is_tried_again_by_itself() {
    let mut scene = Scene::offering(1);
    scene.attestation = Some(patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA"));
    scene.secret = Some(secret("1"));
    scene.refusal = Some(Refusal { code: RefusalCode::CertificateNotYetValid, message: "not yet".into() });
    let plan = scene.decide();
    assert_eq!(reason(&plan), reasons::KEY_REJECTED);
    assert!(plan.requeue.is_some() && plan.status.refused_delivery.is_none());
    scene.status = plan.status;
    scene.refusal = None;
    assert!(scene.decide().deliver.is_some());
}

#[test]
fn a_secret_that_cannot_be_written_changes_nothing_of_what_is_known_of_the_key() {
    let scene = Scene::holding(7);
    let mut plan = scene.decide();
    let ca = scene.ca.clone().unwrap();
    let issuer = Issuer::from(&scene.issuer);
    let seen = Observed {
        issuer: &issuer,
        status: &scene.status,
        withheld: None,
        enclave: EnclaveSeen::Holding(&scene.identity, &ca),
        next: NextSeen::NotAsked,
        attestation: None,
        secret: SecretSeen::NotNamed,
        refusal: None,
        sealed: None,
        restore_refusal: None,
        clock: ClockSeen::Agrees,
    };
    let mut other = scene.decide();
    secret_refused(&mut plan, &seen, &SecretRefused::Certificate("forbidden".into()), now());
    assert_eq!(reason(&plan), reasons::SECRET_CONFLICT);
    assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, "07".repeat(32));
    assert!(plan.notes.iter().all(|note| note.reason == reasons::SECRET_CONFLICT));

    other.attestation = AttestationStep::Delete;
    assert!(other.ca_secret.is_some());
    secret_refused(&mut other, &seen, &SecretRefused::SealedKey("forbidden".into()), now());
    assert_eq!(reason(&other), reasons::SEALED_KEY_NOT_KEPT);
    assert_eq!(other.status.ca.as_ref().unwrap().fingerprint, "07".repeat(32));
    assert!(other.requeue.is_some(), "it is tried again");
    assert!(other.ca_secret.is_none(), "what a restart would lose is not published");
    assert_eq!(other.attestation, AttestationStep::Keep, "nor is the owner told that all is done");

    // At a renewal the CA before is what is published, and what a restart brings back.
    let mut renewed = Scene::holding(8);
    renewed.status = scene.decide().status;
    let before = renewed.status.clone();
    let ca = renewed.ca.clone().unwrap();
    let seen =
        Observed { status: &renewed.status, enclave: EnclaveSeen::Holding(&renewed.identity, &ca), ..seen };
    let mut plan = renewed.decide();
    assert_ne!(plan.status.ca, before.ca);
    secret_refused(&mut plan, &seen, &SecretRefused::SealedKey("forbidden".into()), now());
    assert_eq!((plan.status.ca, plan.status.previous_cas), (before.ca, before.previous_cas));
    assert!(plan.notes.iter().all(|note| note.reason == reasons::SEALED_KEY_NOT_KEPT));
}

#[test]
fn w_s9_the_services_own_namespace_holds_no_issuers() {
    let mut scene = Scene::offering(1);
    scene.issuer.metadata.namespace = Some("tcs-issuer".into());
    assert_eq!(reason(&scene.decide()), reasons::UNSUPPORTED);
}

#[test]
fn an_enclave_that_does_not_answer_is_said() {
    let mut scene = Scene::offering(1);
    scene.offer = None;
    assert_eq!(reason(&scene.decide()), reasons::ENCLAVE_UNAVAILABLE);
}

#[test]
fn a_self_signed_issuer_asks_for_the_originals_ca_with_a_better_key() {
    let mut scene = Scene::vacant();
    let plan = scene.decide();
    let request = plan.generate.unwrap();
    assert_eq!(request.subject.common_name, "SGX self-signed root certificate authority");
    assert_eq!(request.subject.organizations, ["Intel(R) Corporation"]);
    assert_eq!((request.key_algorithm.as_str(), request.lifetime), ("ECDSA-P256", 365 * 86_400));
    assert_eq!((request.path_length, request.now), (Some(0), 1000));
    scene.issuer.spec.ca = Some(CaSpec {
        common_name: Some("Mesh".into()),
        organizations: Some(vec![]),
        key_algorithm: Some("RSA-3072".into()),
        lifetime_days: Some(10),
        max_path_len: Some(1),
        ..CaSpec::default()
    });
    let request = scene.decide().generate.unwrap();
    assert_eq!((request.subject.common_name.as_str(), request.subject.organizations.len()), ("Mesh", 0));
    assert_eq!((request.key_algorithm.as_str(), request.lifetime), ("RSA-3072", 864_000));
    assert_eq!(request.path_length, Some(1));
}

#[test]
fn w_d2_a_lost_ca_is_not_made_anew_without_its_own_fingerprint() {
    let mut scene = Scene::holding(7);
    scene.issuer.spec.self_sign = true;
    scene.status = scene.decide().status;
    (scene.ca, scene.vacant) = (None, true);
    let refusal = Refusal { code: RefusalCode::SealedBlobInvalid, message: "it does not open".into() };
    scene.restore_refusal = Some(refusal);
    let plan = scene.decide();
    assert!(plan.generate.is_none());
    assert_eq!(reason(&plan), reasons::KEY_LOST);
    let old = "07".repeat(32);
    let message = &ready_condition(&plan.status).unwrap().message;
    assert!(message.contains("SealedBlobInvalid") && message.contains(&format!("new-ca={old}")), "{message}");
    assert_eq!(plan.status.ca.unwrap().fingerprint, old);
    for (allowed, made) in [("true", false), ("08", false), (&*"08".repeat(32), false), (&*old, true)] {
        let annotations = [("tcs.intel.com/new-ca".to_owned(), allowed.to_owned())];
        scene.issuer.metadata.annotations = Some(annotations.into());
        assert_eq!(scene.decide().generate.is_some(), made, "{allowed}");
    }
}

/// A sealed key that only the clock keeps from coming back is not lost: nobody is told to replace the CA, nor may.
#[test]
fn w_d2_a_key_that_time_gives_back_is_waited_for() {
    let mut scene = Scene::vacant();
    let mut held = Scene::holding(7);
    held.issuer.spec.self_sign = true;
    scene.status = held.decide().status;
    scene.issuer.metadata.annotations =
        Some(std::collections::BTreeMap::from([("tcs.intel.com/new-ca".to_owned(), "07".repeat(32))]));
    for code in [
        RefusalCode::ClockTooEarly,
        RefusalCode::CertificateNotYetValid,
        RefusalCode::CertificateExpired,
        RefusalCode::TooManyIssuers,
    ] {
        scene.restore_refusal = Some(Refusal { code, message: "why".into() });
        let plan = scene.decide();
        assert_eq!((reason(&plan), plan.generate.is_none()), (reasons::KEY_LOST, true));
        assert!(plan.requeue.is_some());
        assert!(!ready_condition(&plan.status).unwrap().message.contains("NEW CA"));
    }
    scene.restore_refusal = Some(Refusal { code: RefusalCode::SealedBlobInvalid, message: "why".into() });
    assert!(scene.decide().generate.is_some(), "what is damaged does not heal");
}

#[test]
fn a_key_that_cannot_be_sealed_is_made_only_where_that_is_accepted() {
    let mut scene = Scene::vacant();
    scene.identity.sealing = false;
    let plan = scene.decide();
    assert!(plan.generate.is_none());
    assert_eq!(reason(&plan), reasons::NO_SEALING);
    scene.issuer.spec.ca = Some(CaSpec { allow_ephemeral: true, ..CaSpec::default() });
    assert!(scene.decide().generate.is_some());
    // And nothing is sealed then.
    let mut scene = Scene::holding(7);
    scene.identity.sealing = false;
    assert!(!scene.decide().seal);
}

#[test]
fn a_ca_that_the_enclave_does_not_make_is_said_with_its_code() {
    let mut scene = Scene::vacant();
    scene.refusal = Some(Refusal { code: RefusalCode::IdentityForbidden, message: "reserved".into() });
    let plan = scene.decide();
    assert!(plan.generate.is_none());
    assert_eq!(reason(&plan), reasons::CA_REFUSED);
    assert!(ready_condition(&plan.status).unwrap().message.contains("IdentityForbidden"));
}

#[test]
fn a_held_key_is_sealed_once() {
    let mut scene = Scene::holding(7);
    assert!(scene.decide().seal);
    let mut labels = Issuer::from(&scene.issuer).all_labels();
    labels.insert("others".into(), "own".into());
    let kept = |byte: &str, generation| {
        Some(SealedKey { fingerprint: byte.repeat(32), generation, labels: labels.clone() })
    };
    scene.sealed = kept("07", 5);
    assert!(!scene.decide().seal);
    scene.issuer.spec.labels.insert("team".into(), "mesh".into());
    assert!(scene.decide().seal, "labels of the spec are on everything that is made");
    scene.issuer.spec.labels.clear();
    scene.sealed = kept("08", 5);
    assert!(scene.decide().seal, "what is kept is another CA's");
    scene.sealed = kept("07", 4);
    assert!(scene.decide().seal, "the same CA was delivered again: what was kept may not open");
}

#[test]
fn a_simulated_platform_is_said_on_every_surface() {
    let mut scene = Scene::offering(1);
    scene.identity = identity(true);
    let plan = scene.decide();
    assert_eq!(plan.status.simulated, Some(true));
    assert!(ready_condition(&plan.status).unwrap().message.starts_with("SIMULATED PLATFORM"));
    let AttestationStep::Create(made) = plan.attestation else { panic!() };
    assert_eq!(made.labels().get("tcs.intel.com/simulated").map(String::as_str), Some("true"));
}

#[test]
fn an_expired_ca_is_not_ready() {
    let mut scene = Scene::holding(7);
    scene.ca.as_mut().unwrap().not_after = 1000;
    assert_eq!(reason(&scene.decide()), reasons::CA_EXPIRED);
}

#[test]
fn our_conditions_are_merged_and_the_key_owners_stay_where_they_are() {
    let init = attestation::init_condition(now());
    let refused = attestation::key_accepted_false("KeyMismatch", "m", now());
    let mut status = patched(published(&issuer(), &offer(1)), "wrapped-key", "KMRA").status.unwrap();
    let theirs = status.conditions[0].clone();
    assert!(merge_conditions(&mut status, &[init.clone(), refused.clone()]));
    assert_eq!(status.conditions[0], theirs);
    assert_eq!(status.conditions.len(), 3);
    assert!(!merge_conditions(&mut status, &[init.clone(), refused]), "nothing to write the second time");
    assert!(merge_conditions(&mut status, std::slice::from_ref(&init)));
    assert_eq!(status.conditions, [theirs, init], "a KeyAccepted that no longer holds goes");
}

/// A cluster issuer of this name with the spec of a scene's issuer.
fn cluster_issuer(name: &str) -> TCSClusterIssuer {
    let mut cluster = TCSClusterIssuer::new(name, ClusterIssuerSpec(issuer().spec));
    cluster.metadata.uid = Some("22222222-2222-2222-2222-222222222222".into());
    cluster
}

#[test]
fn w_r4_w_s6_a_cluster_issuer_has_names_of_its_own_and_publishes_in_the_services_namespace() {
    let mut scene = Scene::offering(1);
    scene.cluster = Some(cluster_issuer("sandbox.external-ca"));
    let plan = scene.decide();
    let AttestationStep::Create(made) = plan.attestation else { panic!() };
    assert_eq!(made.name_any(), "sandbox.external-ca.tcsclusterissuer.tcs.intel.com");
    assert_eq!(made.spec.signer_names, ["tcsclusterissuer.tcs.intel.com/sandbox.external-ca"]);
    assert_eq!(made.labels().get("tcs.intel.com/issuer-namespace").map(String::as_str), Some(""));

    // An entry under the name of the namespaced issuer is not its own.
    scene.attestation = Some(patched(*made, "wrapped-key", "KMRA"));
    scene.secret = Some(secret("1"));
    assert!(scene.decide().deliver.is_none());
    let status = scene.attestation.as_mut().unwrap().status.as_mut().unwrap();
    let entry = status.secrets.remove(SIGNER).unwrap();
    status.secrets.insert("tcsclusterissuers.tcs.intel.com/sandbox.external-ca".into(), entry);
    assert!(scene.decide().deliver.is_some());

    scene = Scene { cluster: scene.cluster, ..Scene::holding(7) };
    let plan = scene.decide();
    let published = plan.ca_secret.unwrap();
    assert_eq!(published.namespace().as_deref(), Some("tcs-issuer"));
    let owner = &published.owner_references()[0];
    assert_eq!(
        (owner.kind.as_str(), owner.uid.as_str()),
        ("TCSClusterIssuer", "22222222-2222-2222-2222-222222222222")
    );
}
