//! Self-signed issuers (acceptance 3.3 of the certificate core): made in the enclave, kept across restarts, never replaced
//! unasked.

use crate::bed::{Bed, Issuer, SOON, decode, issuer_object, shared, unique};
use crate::signing::{Csr, request};
use serde_json::{Value, json};
use std::path::PathBuf;
use tcs_testkit::process::{run, wait_for};

/// A self-signed issuer in a namespace of its own.
pub fn self_signed<'a>(bed: &'a Bed, name: &str, ca: &Value) -> Issuer<'a> {
    let namespace = unique("ns");
    bed.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    let mut object = issuer_object(&namespace, name);
    object["spec"]["selfSign"] = json!(true);
    if !ca.is_null() {
        object["spec"]["ca"] = ca.clone();
    }
    object["spec"]["labels"] = json!({"team": "mesh"});
    bed.apply(&object);
    Issuer { bed, namespace, name: name.to_owned() }
}

fn fingerprint(issuer: &Issuer<'_>) -> String {
    issuer.fingerprint().expect("a CA")
}

/// The published CA certificate as a file.
fn published(issuer: &Issuer<'_>) -> PathBuf {
    let secret = issuer.ca_secret();
    let data = |name: &str| decode(secret["data"][name].as_str().unwrap());
    assert!(data("ca.crt").starts_with(&data("tls.crt")), "the present CA, and those before it");
    assert_eq!(secret["data"]["tls.key"], "");
    assert_eq!(secret["metadata"]["labels"]["team"], "mesh");
    issuer.bundle()
}

/// Has a certificate issued and judged by openssl.
fn issue(issuer: &Issuer<'_>) {
    let bed = issuer.bed;
    let csr = Csr::create(bed, &issuer.signer(), &request(bed, &[]), &json!({})).approve();
    let leaf = bed.dir.join(unique("leaf"));
    std::fs::write(&leaf, csr.certificate()).unwrap();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["verify", "-x509_strict", "-CAfile"]).arg(published(issuer)).arg(leaf);
    run(&mut openssl).unwrap();
}

fn text(certificate: &PathBuf) -> String {
    let mut openssl = std::process::Command::new("openssl");
    run(openssl.args(["x509", "-noout", "-text", "-nameopt", "RFC2253", "-in"]).arg(certificate)).unwrap()
}

#[test]
fn a_manifest_of_the_original_gets_a_ca_at_once() {
    let issuer = self_signed(shared(), "plain", &Value::Null);
    let message = issuer.wait_reason("Ready");
    assert!(message.contains("SIMULATED"), "{message}");
    issue(&issuer);
    let ca = text(&published(&issuer));
    assert!(
        ca.contains("Subject: O=Intel(R) Corporation,CN=SGX self-signed root certificate authority")
            || ca.contains("Subject: CN=SGX self-signed root certificate authority,O=Intel(R) Corporation"),
        "{ca}"
    );
    assert!(ca.contains("prime256v1") && ca.contains("pathlen:0"), "{ca}");
    assert!(ca.contains("Certificate Sign, CRL Sign"), "{ca}");
    let status = issuer.object()["status"].clone();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(published(&issuer));
    let printed = run(&mut openssl).unwrap().split_once('=').unwrap().1.trim().replace(':', "");
    assert_eq!(status["ca"]["fingerprint"], printed.to_lowercase());
    // Labels are on everything that is made, also when they change.
    let labels = |team: &str| {
        wait_for(SOON, "the labels", || {
            let labels = |namespace: &str, name: &str| {
                issuer.bed.get(&["secret", "-n", namespace, name])["metadata"]["labels"]["team"].clone()
            };
            let all = [labels("tcs-issuer", &issuer.sealed_secret()), labels(issuer.home(), "plain-secret")];
            Ok(all.iter().all(|found| found == team).then_some(()))
        })
        .unwrap();
    };
    labels("mesh");
    issuer.kubectl(&["patch"], &["--type=merge", "-p", r#"{"spec":{"labels":{"team":"other"}}}"#]);
    labels("other");
    assert_eq!(status["ca"]["keyFormat"], "generated");
    assert_eq!(status["ca"]["keyAlgorithm"], "ECDSA-P256");
    assert!(issuer.attestation().is_none(), "nobody is asked for a key");
    assert!(issuer.events().contains("CAGenerated"));
}

#[test]
fn w_r6_the_ca_is_what_the_spec_says() {
    for (name, algorithm, key) in
        [("p384", "ECDSA-P384", "secp384r1"), ("rsa", "RSA-3072", "3072 bit"), ("ed", "Ed25519", "ED25519")]
    {
        let spec = json!({
            "commonName": "Mesh CA", "organizations": [], "organizationalUnits": ["Mesh"], "countries": ["DE"],
            "keyAlgorithm": algorithm, "lifetimeDays": 30, "maxPathLen": 1,
        });
        let issuer = self_signed(shared(), name, &spec);
        issuer.wait_reason("Ready");
        issue(&issuer);
        let ca = text(&published(&issuer));
        assert!(ca.contains("CN=Mesh CA") && ca.contains("OU=Mesh") && ca.contains("C=DE"), "{ca}");
        assert!(!ca.contains("Intel"), "{ca}");
        assert!(ca.contains(key) && ca.contains("pathlen:1"), "{ca}");
        let seconds = crate::signing::lifetime(&published(&issuer));
        assert!((30 * 86_400..=30 * 86_400 + 300).contains(&seconds), "the original's was always a year");
    }
}

#[test]
fn a_ca_that_cannot_be_made_says_why_until_it_is_corrected() {
    let issuer = self_signed(shared(), "refused", &json!({"commonName": "system:masters"}));
    let message = issuer.wait_reason("CARefused");
    assert!(message.contains("IdentityForbidden"), "{message}");
    let patch = json!({"spec": {"ca": {"commonName": "Mesh CA"}}}).to_string();
    issuer.kubectl(&["patch"], &["--type=merge", "-p", &patch]);
    issuer.wait_reason("Ready");
}

#[test]
fn deleting_the_issuer_deletes_what_was_sealed() {
    let issuer = self_signed(shared(), "swept", &Value::Null);
    issuer.wait_reason("Ready");
    let sealed = issuer.sealed_secret();
    issuer.kubectl(&["delete"], &[]);
    wait_for(SOON, "the sealed key to go", || {
        Ok(issuer.bed.try_get(&["secret", "-n", "tcs-issuer", &sealed]).is_none().then_some(()))
    })
    .unwrap();
}

/// W-D2 and W-R1: restarts of everything at every step, and a key that is lost for good.
#[test]
fn w_d2_a_lost_key_never_silently_becomes_another_ca() {
    let bed = Bed::new();
    let issuer = self_signed(&bed, "lasting", &Value::Null);
    issuer.wait_reason("Ready");
    let ca = fingerprint(&issuer);
    issue(&issuer);
    let sealed = issuer.sealed_secret();
    for restart in [&["tcs-enclave"][..], &["tcs-issuer"], &["tcs-enclave", "tcs-issuer"]] {
        for container in restart {
            bed.crash(container);
        }
        issue(&issuer);
        assert_eq!(issuer.readiness().1, "Ready");
        assert_eq!(fingerprint(&issuer), ca, "{restart:?}");
    }

    // A blob that goes while the key is held is kept anew.
    bed.kubectl(&["delete", "secret", "-n", "tcs-issuer", &sealed]);
    issuer.sealed_secret();
    bed.crash("tcs-enclave");
    issue(&issuer);
    assert_eq!(fingerprint(&issuer), ca);

    // One that does not open: KeyLost, the certificate stays, nothing is minted.
    let published_before = bed.get(&["secret", "-n", &issuer.namespace, "lasting-secret"])["data"].clone();
    bed.damage_before_restart(&issuer, &sealed);
    let message = issuer.wait_reason("KeyLost");
    assert!(message.contains("SealedBlobInvalid") && message.contains("tcs.intel.com/new-ca="), "{message}");
    let annotate = |value: &str| {
        let annotation = format!("tcs.intel.com/new-ca={value}");
        issuer.kubectl(&["annotate", "--overwrite"], &[&annotation]);
    };
    // Not for the asking: only who names the old certificate, as it is written in the status, gets a new one.
    annotate(&ca.to_uppercase());
    annotate("true");
    bed.crash("tcs-issuer");
    wait_for(SOON, "the controller", || Ok(bed.ready().then_some(()))).unwrap();
    bed.crash("tcs-enclave");
    let waiting = Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve();
    waiting.event("WaitingForIssuerReady");
    assert_eq!(issuer.readiness().1, "KeyLost");
    assert_eq!(fingerprint(&issuer), ca);
    assert_eq!(bed.get(&["secret", "-n", &issuer.namespace, "lasting-secret"])["data"], published_before);

    annotate(&ca);
    issuer.wait_reason("Ready");
    let new = fingerprint(&issuer);
    assert_ne!(new, ca);
    let events = issuer.events();
    assert!(events.contains("CAReplaced") && events.contains(&new), "{events}");
    waiting.certificate();
    issue(&issuer);
    // The annotation is spent: it names the old certificate.
    bed.damage_before_restart(&issuer, &issuer.sealed_secret());
    issuer.wait_reason("KeyLost");
    assert_eq!(fingerprint(&issuer), new);
}

/// On a platform that cannot seal: a CA that ends with the enclave only for whoever accepts that, and it is lost like any other.
#[test]
fn w_d2_an_ephemeral_ca_is_made_by_spec_only_and_not_replaced_unasked() {
    let bed = Bed::without_sealing();
    let plain = self_signed(&bed, "plain", &Value::Null);
    let issuer = self_signed(&bed, "ephemeral", &json!({"allowEphemeral": true}));
    let message = plain.wait_reason("NoSealing");
    assert!(message.contains("spec.ca.allowEphemeral: true"), "{message}");
    assert!(plain.object()["status"]["ca"].is_null(), "nothing was made");
    issuer.wait_reason("Ready");
    let ca = fingerprint(&issuer);
    issue(&issuer);
    bed.crash("tcs-issuer");
    issue(&issuer);
    assert_eq!(fingerprint(&issuer), ca, "the enclave holds it");
    let published_before = bed.get(&["secret", "-n", &issuer.namespace, "ephemeral-secret"])["data"].clone();

    bed.crash("tcs-enclave");
    let message = issuer.wait_reason("KeyLost");
    assert!(message.contains("tcs.intel.com/new-ca="), "{message}");
    assert_eq!(fingerprint(&issuer), ca);
    assert_eq!(bed.get(&["secret", "-n", &issuer.namespace, "ephemeral-secret"])["data"], published_before);
    let annotation = format!("tcs.intel.com/new-ca={ca}");
    issuer.kubectl(&["annotate", "--overwrite"], &[&annotation]);
    issuer.wait_reason("Ready");
    assert_ne!(fingerprint(&issuer), ca);
    issue(&issuer);
    assert_eq!(plain.readiness().1, "NoSealing");
    let sealed = bed.get(&["secrets", "-n", "tcs-issuer", "--field-selector=type=tcs.intel.com/sealed-ca"]);
    assert_eq!(sealed["items"], json!([]));
}
