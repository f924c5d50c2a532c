//! Self-signed issuers: their CA is made in the enclave, survives restarts, and is never replaced unless its
//! owner asks.

use crate::support::csr::{Csr, issue};
use crate::support::encoding::field;
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::{CONTROLLER, CRASHES, ENCLAVE, TestCluster, shared};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use serde_json::json;
use std::path::PathBuf;
use tcs_api::v1alpha1::CaSpec;
use tcs_api::{SERVICE_NAMESPACE, sealed};

/// The published CA certificate as a file.
fn published(issuer: &Issuer<'_>) -> PathBuf {
    let secret = issuer.ca_secret().expect("the CA certificate is published");
    assert!(
        field(&secret, "ca.crt").starts_with(field(&secret, "tls.crt")),
        "the present CA comes before those that it replaced"
    );
    assert_eq!(field(&secret, "tls.key"), b"");
    assert_eq!(secret.labels()["team"], "mesh");
    issuer.bundle()
}

/// Has a certificate issued, and openssl accepts it under what is published.
fn issues(issuer: &Issuer<'_>) {
    let leaf = issue(issuer);
    openssl::verify_strict(&published(issuer), &[], &leaf).unwrap();
}

/// A ready self-signed issuer with a CA of this spec.
fn ready(name: &str, ca: Option<CaSpec>) -> Issuer<'static> {
    let issuer = Issuer::self_signed(shared(), name, ca);
    issuer.await_reason("Ready");
    issuer
}

#[test]
fn a_manifest_of_the_original_gets_a_ca_at_once() {
    let issuer = ready("plain", None);
    assert!(issuer.message().contains("SIMULATED"), "{}", issuer.message());
    issues(&issuer);
    let text = openssl::text(&published(&issuer));
    assert!(
        text.contains("Subject: O=Intel(R) Corporation,CN=SGX self-signed root certificate authority")
            || text.contains("Subject: CN=SGX self-signed root certificate authority,O=Intel(R) Corporation"),
        "{text}"
    );
    assert!(text.contains("prime256v1") && text.contains("pathlen:0"), "{text}");
    assert!(text.contains("Certificate Sign, CRL Sign"), "{text}");
    let ca = issuer.status().ca.unwrap();
    assert_eq!(ca.fingerprint, openssl::fingerprint(&published(&issuer)));
    assert_eq!((ca.key_format.as_str(), ca.key_algorithm.as_str()), ("generated", "ECDSA-P256"));
    assert!(issuer.attestation().is_none(), "nobody is asked for a key");
    issuer.await_event("CAGenerated");
}

#[test]
fn labels_of_the_spec_are_on_every_object_also_when_they_change() {
    let issuer = ready("labelled", None);
    let await_label = |team: &str| {
        issuer.cluster.wait_until("the labels", || {
            let secrets = [Some(issuer.await_sealed_secret()), issuer.ca_secret()];
            let has_label = |secret: &Secret| secret.labels().get("team").is_some_and(|found| found == team);
            secrets.iter().all(|secret| secret.as_ref().is_some_and(has_label))
        });
    };
    await_label("mesh");
    issuer.patch(&json!({"spec": {"labels": {"team": "other"}}}));
    await_label("other");
}

#[test]
fn w_r6_the_ca_is_what_the_spec_says() {
    for (name, algorithm, key) in
        [("p384", "ECDSA-P384", "secp384r1"), ("rsa", "RSA-3072", "3072 bit"), ("ed", "Ed25519", "ED25519")]
    {
        let spec = CaSpec {
            common_name: Some("Mesh CA".into()),
            organizations: Some(Vec::new()),
            organizational_units: vec!["Mesh".into()],
            countries: vec!["DE".into()],
            key_algorithm: Some(algorithm.into()),
            lifetime_days: Some(30),
            max_path_len: Some(1),
            ..CaSpec::default()
        };
        let issuer = ready(name, Some(spec));
        issues(&issuer);
        let text = openssl::text(&published(&issuer));
        assert!(text.contains("CN=Mesh CA") && text.contains("OU=Mesh") && text.contains("C=DE"), "{text}");
        assert!(!text.contains("Intel"), "{text}");
        assert!(text.contains(key) && text.contains("pathlen:1"), "{text}");
        let seconds = openssl::lifetime(&published(&issuer));
        assert!((30 * 86_400..=30 * 86_400 + 300).contains(&seconds), "{seconds}");
    }
}

#[test]
fn a_ca_that_cannot_be_made_says_why_until_it_is_corrected() {
    let ca = CaSpec { common_name: Some("system:masters".into()), ..CaSpec::default() };
    let issuer = Issuer::self_signed(shared(), "refused", Some(ca));
    let message = issuer.await_reason("CARefused");
    assert!(message.contains("IdentityForbidden"), "{message}");
    issuer.patch(&json!({"spec": {"ca": {"commonName": "Mesh CA"}}}));
    issuer.await_reason("Ready");
}

#[test]
fn deleting_the_issuer_deletes_what_was_sealed() {
    let issuer = ready("deleted", None);
    let sealed = issuer.await_sealed_secret().name_any();
    issuer.delete();
    let cluster = issuer.cluster;
    cluster.wait_until("the sealed key to go", || cluster.service_secret(&sealed).is_none());
}

/// Both programs restart at every step (`docs/conformance.md`, W-R1), and a key is lost for good.
#[test]
fn w_d2_a_lost_key_never_silently_becomes_another_ca() {
    let cluster = TestCluster::new();
    let issuer = Issuer::self_signed(&cluster, "restarted", None);
    issuer.await_reason("Ready");
    let ca = issuer.ca();
    issues(&issuer);
    issuer.await_sealed_secret();
    for crash in CRASHES {
        for container in crash {
            cluster.crash(container);
        }
        issues(&issuer);
        assert_eq!((issuer.reason().as_str(), &issuer.ca()), ("Ready", &ca), "{crash:?}");
    }
    // A sealed key that is deleted while the enclave holds the key is sealed again.
    cluster.kubectl(&["delete", "secret", "-n", SERVICE_NAMESPACE, &issuer.sealed_secret_name()]);
    issuer.await_sealed_secret();
    cluster.crash(ENCLAVE);
    issues(&issuer);
    assert_eq!(issuer.ca(), ca);

    let waiting = lose_the_key(&issuer, &ca);
    issuer.allow_new_ca(&ca);
    issuer.await_reason("Ready");
    let new = issuer.ca();
    assert_ne!(new, ca);
    assert!(issuer.await_event("CAReplaced").contains(&new));
    waiting.certificate();
    issues(&issuer);
    // The annotation names the old certificate, so it does not allow another new CA.
    issuer.await_sealed_secret();
    issuer.damage_sealed_key_and_restart();
    issuer.await_reason("KeyLost");
    assert_eq!(issuer.ca(), new);
}

/// With a sealed key that does not open, the certificate stays and no CA is made. Only the fingerprint of the
/// old certificate, as it is written in the status, would allow one. Returns a request that waits.
fn lose_the_key<'a>(issuer: &Issuer<'a>, ca: &str) -> Csr<'a> {
    let before = issuer.ca_secret().unwrap().data;
    issuer.damage_sealed_key_and_restart();
    let message = issuer.await_reason("KeyLost");
    assert!(message.contains("SealedBlobInvalid") && message.contains("tcs.intel.com/new-ca="), "{message}");
    issuer.allow_new_ca(&ca.to_uppercase());
    issuer.allow_new_ca("true");
    issuer.cluster.restart_controller();
    issuer.cluster.crash(ENCLAVE);
    let waiting = Csr::approved(issuer);
    waiting.await_event("WaitingForIssuerReady");
    assert_eq!((issuer.reason().as_str(), issuer.ca().as_str()), ("KeyLost", ca));
    assert_eq!(issuer.ca_secret().unwrap().data, before);
    waiting
}

/// On a platform that cannot seal, a CA ends with the enclave. It is made only for an issuer that allows
/// this, and when it is lost it is not replaced unasked either.
#[test]
fn w_d2_an_ephemeral_ca_is_made_by_spec_only_and_not_replaced_unasked() {
    let cluster = TestCluster::without_sealing();
    let plain = Issuer::self_signed(&cluster, "plain", None);
    let ca = CaSpec { allow_ephemeral: true, ..CaSpec::default() };
    let issuer = Issuer::self_signed(&cluster, "ephemeral", Some(ca));
    let message = plain.await_reason("NoSealing");
    assert!(message.contains("spec.ca.allowEphemeral: true"), "{message}");
    assert_eq!(plain.status().ca, None, "nothing was made");
    issuer.await_reason("Ready");
    let ca = issuer.ca();
    issues(&issuer);
    cluster.crash(CONTROLLER);
    issues(&issuer);
    assert_eq!(issuer.ca(), ca, "the enclave holds it");
    let published = issuer.ca_secret().unwrap().data;

    cluster.crash(ENCLAVE);
    let message = issuer.await_reason("KeyLost");
    assert!(message.contains("tcs.intel.com/new-ca="), "{message}");
    assert_eq!(issuer.ca(), ca);
    assert_eq!(issuer.ca_secret().unwrap().data, published);
    issuer.allow_new_ca(&ca);
    issuer.await_reason("Ready");
    assert_ne!(issuer.ca(), ca);
    issues(&issuer);
    assert_eq!(plain.reason(), "NoSealing");
    let secrets: Vec<Secret> = cluster.list(SERVICE_NAMESPACE);
    assert!(secrets.iter().all(|secret| secret.type_.as_deref() != Some(sealed::TYPE)));
}
