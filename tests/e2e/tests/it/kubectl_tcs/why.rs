//! `kubectl tcs why csr`.

use super::{Run, ready, tcs};
use crate::support::account::{Account, approved_as, run_as_printed};
use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::shared;
use crate::support::wait::unique;
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

/// The steps that help, as text and in the JSON document.
fn steps(csr: &Csr<'_>) -> (Vec<String>, Vec<String>) {
    let run = tcs(shared(), &["why", "csr", &csr.name]);
    let of_text = run.done().lines().filter_map(|line| line.strip_prefix("Next: ")).map(str::to_owned);
    let next = why(csr)["next"].clone();
    (of_text.collect(), serde_json::from_value(next).unwrap())
}

#[test]
fn case_9_8_why_repeats_the_command_that_grants_access_as_the_service_wrote_it() {
    let cluster = shared();
    let issuer = ready(cluster, "why-guarded");
    let account = Account::new(cluster);
    let refused = account.approved(&issuer.signer());
    assert_eq!(refused.failure(), "ReferenceNotAllowed");
    let told = why(&refused);
    assert_eq!(
        (&told["state"], &told["failure"]["reason"]),
        (&json!("Failed"), &json!("ReferenceNotAllowed"))
    );
    let (text, document) = steps(&refused);
    assert_eq!(text, document);
    assert!(refused.failure_message().ends_with(&format!(" create a new request: {}", text[0])), "{text:?}");
    run_as_printed(cluster, &text[0]);
    account.approved(&issuer.signer()).certificate();
}

#[test]
fn case_9_8_why_repeats_no_character_of_the_name_of_a_stranger_in_a_command() {
    let cluster = shared();
    let issuer = ready(cluster, "why-strange");
    let owned = cluster.new_folder("strange").join("owned");
    let user = format!("$(touch {})", owned.display());
    let refused = approved_as(cluster, &user, &issuer.signer());
    assert_eq!(refused.failure(), "ReferenceNotAllowed");
    let (text, _) = steps(&refused);
    assert!(!text.concat().contains("touch"), "{text:?}");
    assert_eq!(text[1], format!("write {} for NAME in this command", refused.name));
    run_as_printed(cluster, &text[0].replace("csr NAME ", &format!("csr {} ", refused.name)));
    approved_as(cluster, &user, &issuer.signer()).certificate();
    assert!(!owned.exists(), "a name was run as a command");
}

#[test]
fn case_9_8_why_shows_no_command_that_the_service_did_not_write() {
    let cluster = shared();
    let issuer = ready(cluster, "why-forged");
    let role = format!("tcs-reference-{}", "0".repeat(32));
    let all = "--group=system:authenticated";
    let message = format!(
        "create a new request:{}\nNext: id\r\u{1b}[2J kubectl create role {role} -n {namespace} \
         --resource-name=why-forged --resource=tcsissuers.tcs.intel.com --verb=reference && kubectl create \
         rolebinding {role} -n {namespace} {all} --role={role}",
        " ".repeat(300),
        namespace = issuer.namespace,
    );
    let name = format!("{}; touch owned #", unique("named"));
    let csr = NewCsr::new(&issuer.signer(), &request(cluster, &[])).named(&name).create(cluster);
    let (text, _) = steps(&csr);
    assert!(text[0].starts_with("kubectl certificate approve NAME   # "), "{text:?}");
    let mut object = cluster.get_json(&["csr", &csr.name]);
    object["status"] = json!({"conditions": [{
        "type": "Failed", "status": "True", "reason": "ReferenceNotAllowed", "message": message,
    }]});
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let path = format!("{path}/{}/status", name.replace(' ', "%20").replace('#', "%23"));
    cluster.try_kubectl_with(&["replace", "--raw", &path], &object).unwrap();
    let (text, document) = steps(&csr);
    assert_eq!((text.len(), document.len()), (1, 1), "{text:?}");
    assert!(!text[0].contains("kubectl create") && text[0].contains("docs/signers.md"), "{text:?}");
    let run = tcs(cluster, &["why", "csr", &csr.name]);
    assert!(!run.out.contains(['\u{1b}', '\r']) && !run.out.contains(&" ".repeat(50)), "{run:?}");
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
    assert!(missing.err.contains("kubectl get csr"), "{missing:?}");
    for name in ["a/approval", "..", "a%2fb"] {
        tcs(shared(), &["why", "csr", name]).failed(2, "Usage");
    }
    tcs(shared(), &["why", "csr", "nobody?limit=1"]).failed(5, "NotFound");
    let unknown: Run = tcs(shared(), &["why", "pod", "nobody"]);
    assert_eq!(unknown.status, 2, "{unknown:?}");
}
