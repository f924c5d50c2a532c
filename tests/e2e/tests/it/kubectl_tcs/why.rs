//! `kubectl tcs why csr`.

use super::{Run, ready, tcs};
use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::shared;
use serde_json::{Value, json};

fn why(csr: &Csr<'_>) -> Value {
    tcs(shared(), &["why", "csr", &csr.name, "-o", "json"]).document()
}

#[test]
fn case_9_8_why_tells_the_story_of_a_certificate() {
    let issuer = ready(shared(), "story");
    let csr = Csr::create(shared(), &issuer.signer());
    let told = why(&csr);
    assert_eq!((&told["state"], &told["approval"]), (&json!("NotApproved"), &Value::Null));
    assert!(told["next"][0].as_str().unwrap().contains(&format!("approve {}", csr.name)), "{told}");
    let csr = csr.approve();
    let pem = csr.certificate();
    let told = why(&csr);
    assert_eq!((&told["state"], &told["certificate"]), (&json!("Issued"), &json!(pem)));
    assert_eq!(told["requester"]["username"], "kubernetes-admin");
    assert_eq!(
        (&told["approval"]["type"], &told["approval"]["fieldManager"]),
        (&json!("Approved"), &json!("kubectl"))
    );
    assert_eq!(told["issuer"]["name"], "story");
    let run = tcs(shared(), &["why", "csr", &csr.name]);
    for part in ["Requested by:  kubernetes-admin", "TCSIssuer", "by the program kubectl", "was issued"] {
        assert!(run.done().contains(part), "{part}: {run:?}");
    }
}

#[test]
fn case_9_8_why_names_the_rule_that_refused() {
    let issuer = ready(shared(), "rule");
    let pem = request(shared(), &[]);
    let csr =
        NewCsr::new(&issuer.signer(), &pem).usages(&["digital signature", "cert sign"]).create(shared());
    let csr = csr.approve();
    csr.failure();
    csr.await_event("UsageForbidden");
    let told = why(&csr);
    assert_eq!((&told["state"], &told["failure"]["reason"]), (&json!("Failed"), &json!("UsageForbidden")));
    assert!(told["next"][0].as_str().unwrap().contains("docs/signers.md"), "{told}");
    let events = told["events"].as_array().unwrap();
    assert!(events.iter().any(|event| event["reason"] == "UsageForbidden"), "{told}");
}

#[test]
fn case_9_8_why_knows_denials_and_what_they_say_cannot_mislead() {
    let issuer = ready(shared(), "denial");
    let csr = Csr::create(shared(), &issuer.signer());
    let mut object = shared().get_json(&["csr", &csr.name]);
    object["status"] = json!({"conditions": [{
        "type": "Denied", "status": "True", "reason": "NotOurs", "message": "never\u{1b}[2J\u{202e}",
    }]});
    let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/approval", csr.name);
    shared().try_kubectl_with(&["replace", "--raw", &path], &object).unwrap();
    let told = why(&csr);
    assert_eq!((&told["state"], &told["approval"]["reason"]), (&json!("Denied"), &json!("NotOurs")));
    for format in ["table", "json"] {
        let run = tcs(shared(), &["why", "csr", &csr.name, "-o", format]);
        assert!(!run.done().contains(['\u{1b}', '\u{202e}']), "{run:?}");
    }
}

#[test]
fn case_9_8_why_tells_other_signers_from_misspelled_ones_and_missing_issuers() {
    let cluster = shared();
    for (signer, state) in [
        ("example.com/signer", "OtherSigner"),
        ("tcsissuer.tcs.intel.com/no-dot", "SignerMisspelled"),
        ("tcsissuers.tcs.intel.com/nowhere.none", "IssuerMissing"),
        ("tcsclusterissuer.tcs.intel.com/nowhere.none", "IssuerMissing"),
    ] {
        let csr = Csr::create(cluster, signer).approve();
        let told = why(&csr);
        assert_eq!(told["state"], state, "{told}");
        if state == "IssuerMissing" {
            assert_eq!(told["issuer"]["exists"], false);
            csr.await_event("WaitingForIssuerExist");
            assert_eq!(why(&csr)["events"][0]["reason"], "WaitingForIssuerExist");
        }
    }
}

#[test]
fn case_9_8_why_says_what_the_issuer_waits_for() {
    let issuer = Issuer::delivered(shared(), "slow");
    issuer.await_reason("AwaitingKey");
    let csr = Csr::approved(&issuer);
    csr.await_event("WaitingForIssuerReady");
    let told = why(&csr);
    assert_eq!(
        (&told["state"], &told["issuer"]["reason"]),
        (&json!("IssuerNotReady"), &json!("AwaitingKey"))
    );
    assert!(told["next"][0].as_str().unwrap().contains(&issuer.attestation_name()), "{told}");
}

#[test]
fn case_9_8_why_of_what_is_not_there() {
    let missing = tcs(shared(), &["why", "csr", "nobody"]);
    assert!(missing.failed(5, "NotFound").contains("CertificateSigningRequest nobody"), "{missing:?}");
    let unknown: Run = tcs(shared(), &["why", "pod", "nobody"]);
    assert_eq!(unknown.status, 2, "{unknown:?}");
}
