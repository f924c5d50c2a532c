//! Renewal on the real API server, asked for by annotation. `renewal_by_clock` lives through the years.

use crate::bed::{Bed, Issuer, SOON, certificate_text, shared, unique};
use crate::self_signed::self_signed;
use crate::signing::{Csr, request};
use serde_json::json;
use std::path::PathBuf;
use tcs_testkit::process::wait_for;

pub fn fingerprint(issuer: &Issuer<'_>) -> String {
    issuer.fingerprint().expect("a CA")
}

pub fn renew(issuer: &Issuer<'_>, value: &str) {
    issuer.kubectl(&["annotate", "--overwrite"], &[&format!("tcs.intel.com/renew={value}")]);
}

pub fn wait_for_another(issuer: &Issuer<'_>, than: &str) -> String {
    wait_for(SOON, "another CA", || {
        let now = fingerprint(issuer);
        Ok((now != than).then_some(now))
    })
    .unwrap_or_else(|error| panic!("{error:#}; {:?}\n{}", issuer.readiness(), issuer.bed.log("tcs-issuer")))
}

pub fn request_one<'a>(issuer: &Issuer<'a>) -> Csr<'a> {
    let bed = issuer.bed;
    Csr::create(bed, &issuer.signer(), &request(bed, &[]), &json!({})).approve()
}

pub fn leaf(csr: &Csr<'_>) -> PathBuf {
    let file = csr.bed.dir.join(unique("leaf"));
    std::fs::write(&file, csr.certificate()).unwrap();
    file
}

/// How many certificates are published to be trusted.
pub fn anchors(issuer: &Issuer<'_>) -> usize {
    std::fs::read_to_string(issuer.bundle()).unwrap().matches("BEGIN CERTIFICATE").count()
}

#[test]
fn a_self_signed_ca_is_renewed_by_annotation_and_only_once() {
    let issuer = self_signed(shared(), "renewed", &serde_json::Value::Null);
    issuer.wait_reason("Ready");
    let (first, before) = (fingerprint(&issuer), leaf(&request_one(&issuer)));
    renew(&issuer, "2026-11-25");
    let second = wait_for_another(&issuer, &first);
    let after = leaf(&request_one(&issuer));
    assert_eq!(anchors(&issuer), 2);
    issuer.accepts(&[&before, &after]);
    let status = issuer.object()["status"].clone();
    assert_eq!(status["previousCas"][0]["fingerprint"], *first);
    assert_eq!(status["handledRenewal"], "2026-11-25");
    let events = issuer.events();
    assert!(events.contains("CAReplaced") && events.contains(&second), "{events}");
    // Something else of the issuer changes: no further renewal.
    issuer.kubectl(&["annotate", "--overwrite"], &["other=value"]);
    leaf(&request_one(&issuer));
    assert_eq!(fingerprint(&issuer), second);
    renew(&issuer, "again");
    wait_for_another(&issuer, &second);
    assert_eq!(anchors(&issuer), 3);
    issuer.accepts(&[&before, &after, &leaf(&request_one(&issuer))]);
}

/// Requests come all the time, and every certificate verifies with what is published once it is there.
#[test]
fn a_new_key_is_published_before_it_signs_and_issuing_never_stops() {
    let issuer =
        self_signed(shared(), "rotated", &json!({"rotationPolicy": "Always", "keyAlgorithm": "RSA-3072"}));
    issuer.wait_reason("Ready");
    let first = fingerprint(&issuer);
    let mut leaves = vec![leaf(&request_one(&issuer))];
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let mut leaves = Vec::new();
            while fingerprint(&issuer) == first || leaves.len() < 8 {
                let leaf = leaf(&request_one(&issuer));
                issuer.accepts(&[&leaf]);
                leaves.push(leaf);
            }
            leaves.push(leaf(&request_one(&issuer)));
            leaves
        });
        renew(&issuer, "now");
        leaves.extend(requests.join().unwrap());
    });
    assert_ne!(fingerprint(&issuer), first);
    assert_eq!(anchors(&issuer), 2);
    issuer.accepts(&leaves.iter().collect::<Vec<_>>());
}

/// With restarts of both programs at every step: this one has a stack of its own.
#[test]
fn the_next_delivered_ca_replaces_the_present_one_without_a_pause() {
    let bed = Bed::new();
    let issuer = bed.issuer("delivered");
    let (one, two) = (bed.p256_ca(), bed.p256_ca());
    issuer.deliver_until_ready(&one);
    let (first, before) = (fingerprint(&issuer), leaf(&request_one(&issuer)));
    issuer.sealed_secret();
    renew(&issuer, "now");
    let message = issuer.wait_reason("Renewing");
    assert!(message.contains("SIMULATED") && message.contains("waiting for the next CA"), "{message}");
    let offered = issuer.wait_attestation();
    leaf(&request_one(&issuer));

    bed.crash("tcs-issuer");
    wait_for(SOON, "the controller", || Ok(bed.ready().then_some(()))).unwrap();
    assert_eq!(issuer.wait_attestation()["metadata"]["uid"], offered["metadata"]["uid"]);
    leaf(&request_one(&issuer));
    bed.crash("tcs-enclave");
    wait_for(SOON, "a new offer", || {
        Ok(issuer.attestation().filter(|now| now["spec"]["publicKey"] != offered["spec"]["publicKey"]))
    })
    .unwrap();
    leaf(&request_one(&issuer));
    assert_eq!((issuer.readiness().1.as_str(), fingerprint(&issuer)), ("Renewing", first.clone()));

    // A wrong delivery is refused where the key owner looks, and the issuer signs on.
    let wrapped = issuer.wrap(&one.key);
    issuer.put_secret(Some(&wrapped), Some(&certificate_text(&two.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    let refused = wait_for(SOON, "a refusal", || {
        let attestation = issuer.attestation().unwrap_or_default();
        let conditions = attestation["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition["type"] == "KeyAccepted"))
    })
    .unwrap();
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("False"), &json!("KeyMismatch")));
    wait_for(SOON, "it to be said", || Ok(issuer.readiness().2.contains("KeyMismatch").then_some(())))
        .unwrap();
    let (status, reason, _) = issuer.readiness();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "Renewing"));
    leaf(&request_one(&issuer));

    issuer.put_secret(Some(&issuer.wrap(&two.key)), Some(&certificate_text(&two.certificate)));
    let second = wait_for_another(&issuer, &first);
    issuer.wait_reason("Ready");
    wait_for(SOON, "the attestation to go", || Ok(issuer.attestation().is_none().then_some(()))).unwrap();
    let events = issuer.events();
    assert!(events.contains("CAReplaced") && events.contains(&first) && events.contains(&second), "{events}");
    let after = leaf(&request_one(&issuer));
    assert_eq!(anchors(&issuer), 2);
    issuer.accepts(&[&before, &after]);

    // What is kept is the new one; nobody asks again.
    for container in ["tcs-enclave", "tcs-issuer"] {
        bed.crash(container);
        issuer.accepts(&[&before, &after, &leaf(&request_one(&issuer))]);
        assert_eq!(fingerprint(&issuer), second);
    }
    assert!(issuer.attestation().is_none());
}
