//! `kubectl tcs inspect`.

use super::{Run, program, program_as, ready, tcs};
use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::shared;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;

/// The issuers that are found, with their relation.
fn signers(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = document["signedBy"].as_array().unwrap();
    all.iter().map(|signer| (text(&signer["name"]), text(&signer["relation"]))).collect()
}

fn inspect(path: &Path) -> Value {
    tcs(shared(), &["inspect", path.to_str().unwrap(), "-o", "json"]).document()
}

#[test]
fn case_9_8_inspect_finds_the_issuer_by_its_signature() {
    let issuer = ready(shared(), "signed-it");
    // It has the same subject and another key.
    let _other = ready(shared(), "did-not-sign-it");
    let leaf = issue(&issuer);
    let document = inspect(&leaf);
    assert_eq!(signers(&document), [("signed-it".to_owned(), "CurrentCa".to_owned())]);
    let shown = &document["certificates"][0];
    assert_eq!(shown["fingerprint"], openssl::fingerprint(&leaf));
    assert_eq!((&shown["subject"], &shown["validity"]), (&json!("CN=workload"), &json!("Valid")));
    assert_eq!(shown["usages"], json!(["digital signature", "server auth"]));
    let text = tcs(shared(), &["inspect", leaf.to_str().unwrap()]);
    assert!(
        text.done().contains(&format!("TCSIssuer {}/signed-it, with its current CA", issuer.namespace)),
        "{text:?}"
    );
}

#[test]
fn case_9_8_inspect_knows_earlier_cas_and_policies() {
    let issuer =
        Issuer::self_signed(shared(), "replaced", Some(crate::support::objects::new_key_at_renewal()));
    issuer.await_reason("Ready");
    let leaf = issue(&issuer);
    let old = issuer.ca();
    issuer.renew("1");
    issuer.await_ca_other_than(&old);
    issuer.patch(&json!({"spec": {"policy": {"dnsNames": ["a.example"]}}}));
    let document = inspect(&leaf);
    assert_eq!(signers(&document), [("replaced".to_owned(), "EarlierCa".to_owned())]);
    assert_eq!(document["signedBy"][0]["policy"]["dnsNames"], json!(["a.example"]));
}

#[test]
fn case_9_8_inspect_a_delivered_ca_and_a_foreign_one() {
    let issuer = Issuer::delivered(shared(), "delivered-it");
    let ca = Ca::p256(shared());
    issuer.deliver_until_ready(&ca);
    assert_eq!(signers(&inspect(&issue(&issuer))), [("delivered-it".to_owned(), "CurrentCa".to_owned())]);
    let own = inspect(&ca.certificate);
    assert_eq!((&own["caOf"][0]["name"], &own["signedBy"]), (&json!("delivered-it"), &json!([])), "{own}");
    // Everything but the key is the same.
    let foreign = Ca::p256(shared());
    let document = inspect(&foreign.certificate);
    assert!(signers(&document).is_empty(), "{document}");
    assert!(document["compared"].as_u64().unwrap() > 0, "{document}");
}

#[test]
fn case_9_8_inspect_reads_standard_input_and_works_offline() {
    let leaf = issue(&ready(shared(), "offline"));
    let nowhere = shared().new_folder("none").join("kubeconfig");
    let mut command = program_as(shared(), &nowhere);
    command.args(["inspect", "-", "--offline", "-o", "json"]).stdin(std::fs::File::open(&leaf).unwrap());
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["signedBy"], Value::Null);
    assert_eq!(document["certificates"][0]["fingerprint"], openssl::fingerprint(&leaf));
    let refused = Run::of(program_as(shared(), &nowhere).arg("inspect").arg(&leaf));
    assert!(refused.failed(6, "KubeconfigUnusable").contains("--offline shows"), "{refused:?}");
}

#[test]
fn case_9_8_inspect_what_is_no_certificate() {
    let key = shared().new_file("text", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    for file in [&key, &shared().new_file("text", "nothing")] {
        let refused = Run::of(program(shared()).arg("inspect").arg(file));
        refused.failed(1, "CertificateUnreadable");
        assert!(!refused.err.contains("AAAA"));
    }
    tcs(shared(), &["inspect", "/nowhere/at/all"]).failed(1, "FileUnreadable");
}
