//! Issuers of the cluster: the same life, with names of their own (W-R4, W-S6).

use crate::bed::{Bed, SOON, decode, shared};
use crate::signing::{Csr, request};
use serde_json::{Value, json};
use tcs_testkit::process::wait_for;

/// Has a certificate issued and judged by openssl under what the issuer publishes.
fn issue(issuer: &crate::bed::Issuer<'_>, signer: &str) {
    let bed = issuer.bed;
    let csr = Csr::create(bed, signer, &request(bed, &[]), &json!({})).approve();
    let leaf = bed.dir.join(crate::bed::unique("leaf"));
    std::fs::write(&leaf, csr.certificate()).unwrap();
    issuer.accepts(&[&leaf]);
}

#[test]
fn w_r4_a_cluster_issuer_whose_name_has_dots_takes_a_key_and_signs() {
    let bed = shared();
    let spec = json!({"secretName": "dotted-ca", "selfSign": false, "labels": {"team": "mesh"}});
    let issuer = bed.cluster_issuer("sandbox.dotted", &spec);
    assert_eq!(issuer.wait_attestation()["metadata"]["labels"]["team"], "mesh");
    issuer.deliver_until_ready(&bed.p256_ca());
    let published = bed.get(&["secret", "-n", "tcs-issuer", "dotted-ca"]);
    assert_eq!(
        (&published["data"]["tls.key"], &published["metadata"]["labels"]["team"]),
        (&json!(""), &json!("mesh"))
    );
    for signer in
        ["tcsclusterissuer.tcs.intel.com/sandbox.dotted", "tcsclusterissuers.tcs.intel.com/sandbox.dotted"]
    {
        issue(&issuer, signer);
    }
    // Not the issuer `dotted` of namespace `sandbox`.
    let other =
        Csr::create(bed, "tcsissuer.tcs.intel.com/sandbox.dotted", &request(bed, &[]), &json!({})).approve();
    other.event("WaitingForIssuerExist");
    assert_eq!(other.status()["certificate"], Value::Null);
}

#[test]
fn w_s9_a_cluster_issuer_cannot_take_the_key_owners_secret_for_its_own() {
    let bed = shared();
    bed.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "somebodys", "namespace": "tcs-issuer"},
        "stringData": {"tls.key": "theirs"},
    }));
    let issuer = bed.cluster_issuer("greedy", &json!({"secretName": "somebodys", "selfSign": true}));
    issuer.wait_reason("SecretConflict");
    let kept = bed.get(&["secret", "-n", "tcs-issuer", "somebodys"]);
    assert_eq!(decode(kept["data"]["tls.key"].as_str().unwrap()), b"theirs");
}

#[test]
fn a_self_signed_cluster_issuer_survives_restarts_and_goes_with_all_that_it_left() {
    let bed = Bed::new();
    let issuer = bed.cluster_issuer("lasting", &json!({"secretName": "lasting-ca", "selfSign": true}));
    issuer.wait_reason("Ready");
    let fingerprint = issuer.object()["status"]["ca"]["fingerprint"].clone();
    for restart in [&["tcs-enclave"][..], &["tcs-issuer"], &["tcs-enclave", "tcs-issuer"]] {
        for container in restart {
            bed.crash(container);
        }
        issue(&issuer, &issuer.signer());
        assert_eq!(issuer.object()["status"]["ca"]["fingerprint"], fingerprint, "{restart:?}");
    }
    let sealed = issuer.sealed_secret();
    bed.damage_before_restart(&issuer, &sealed);
    let message = issuer.wait_reason("KeyLost");
    assert!(message.contains("tcs.intel.com/new-ca="), "{message}");
    assert_eq!(issuer.object()["status"]["ca"]["fingerprint"], fingerprint);
    let annotation = format!("tcs.intel.com/new-ca={}", fingerprint.as_str().unwrap());
    issuer.kubectl(&["annotate", "--overwrite"], &[&annotation]);
    issuer.wait_reason("Ready");
    issue(&issuer, &issuer.signer());
    issuer.kubectl(&["delete"], &[]);
    wait_for(SOON, "everything to go", || {
        let gone = |name: &str| bed.try_get(&["secret", "-n", "tcs-issuer", name]).is_none();
        Ok((gone(&sealed) && gone("lasting-ca")).then_some(()))
    })
    .unwrap();
}
