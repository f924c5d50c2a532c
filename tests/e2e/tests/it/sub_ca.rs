//! CA certificates below an issuer's CA, on the real API server (B5 and B7: cert-manager's annotations).

use crate::bed::{Issuer, SOON, shared, unique};
use crate::self_signed::self_signed;
use crate::signing::{Csr, key_and_request, lifetime, request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tcs_testkit::process::{run, wait_for};

const IS_CA: &str = "experimental.cert-manager.io/request-is-ca";
const DURATION: &str = "experimental.cert-manager.io/request-duration";

fn file(issuer: &Issuer<'_>, contents: &[u8]) -> PathBuf {
    let path = issuer.bed.dir.join(unique("file"));
    std::fs::write(&path, contents).unwrap();
    path
}

/// What `openssl x509` makes below a CA, with these extensions.
fn sign_below(issuer: &Issuer<'_>, ca: (&Path, &Path), csr: &Path, extensions: &str) -> PathBuf {
    let out = issuer.bed.dir.join(unique("below"));
    let mut openssl = Command::new("openssl");
    openssl.args(["x509", "-req", "-days", "1", "-CA"]).arg(ca.0).arg("-CAkey").arg(ca.1).arg("-in").arg(csr);
    openssl.arg("-extfile").arg(file(issuer, extensions.as_bytes())).arg("-out").arg(&out);
    run(&mut openssl).unwrap();
    out
}

fn verify(anchor: &Path, between: &[&Path], leaf: &Path) -> Result<String, String> {
    let mut openssl = Command::new("openssl");
    openssl.args(["verify", "-x509_strict", "-CAfile"]).arg(anchor);
    for certificate in between {
        openssl.arg("-untrusted").arg(certificate);
    }
    run(openssl.arg(leaf)).map_err(|error| format!("{error:#}"))
}

#[test]
fn ca_depth_by_spec_and_annotation_a_ca_below_is_issued_and_no_deeper() {
    let spec = json!({"maxPathLen": 2, "policy": {"caDepth": 1}});
    let issuer = self_signed(shared(), "deep", &spec);
    issuer.wait_reason("Ready");
    let (bed, anchor) = (issuer.bed, issuer.bundle());
    let (key, csr) = key_and_request(bed, &["-subj", "/CN=Team CA"]);
    let usages = json!({"usages": ["digital signature", "cert sign", "crl sign"]});
    let pem = std::fs::read(&csr).unwrap();
    let annotations = json!({IS_CA: "true", DURATION: "720h", "other": "x"});
    let made = Csr::create_annotated(bed, &annotations, &issuer.signer(), &pem, &usages).approve();
    let ca = file(&issuer, made.certificate().as_bytes());
    let text = run(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&ca)).unwrap();
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign, CRL Sign"), "{text}");
    assert_eq!(lifetime(&ca), 720 * 3600, "the annotation beats the default");

    let workload =
        "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    let (_, csr) = key_and_request(bed, &["-subj", "/CN=workload"]);
    let leaf = sign_below(&issuer, (&ca, &key), &csr, workload);
    verify(&anchor, &[&ca], &leaf).unwrap();
    // Whoever holds the CA below cannot make another one of use.
    let (deeper_key, csr) = key_and_request(bed, &["-subj", "/CN=Deeper CA"]);
    let sub_ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    let deeper = sign_below(&issuer, (&ca, &key), &csr, sub_ca);
    let (_, csr) = key_and_request(bed, &["-subj", "/CN=workload"]);
    let leaf = sign_below(&issuer, (&deeper, &deeper_key), &csr, workload);
    let error = verify(&anchor, &[&ca, &deeper], &leaf).unwrap_err();
    assert!(error.contains("path length constraint exceeded"), "{error}");

    made.event_says("Issued", "CA CERTIFICATE issued");
    // An annotation alone, which can be put there after the approval, makes no CA of what was approved as a leaf.
    let plain = request(bed, &[]);
    let late = Csr::create_annotated(bed, &json!({IS_CA: "true"}), &issuer.signer(), &plain, &json!({}));
    assert_eq!(late.approve().failure(), "RequestForCa");
    // Without the annotation it is a leaf; spec.policy can take it back.
    let leaf = Csr::create(bed, &issuer.signer(), &plain, &json!({})).approve();
    let leaf = file(&issuer, leaf.certificate().as_bytes());
    let text = run(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(leaf)).unwrap();
    assert!(text.contains("CA:FALSE"), "{text}");
    let narrow = json!({"spec": {"policy": {"caDepth": 0}}}).to_string();
    issuer.kubectl(&["patch"], &["--type=merge", "-p", &narrow]);
    // As soon as the controller has seen it: what came before is signed as it was allowed.
    wait_for(SOON, "the refusal", || {
        let ask = Csr::create_annotated(bed, &json!({IS_CA: "true"}), &issuer.signer(), &plain, &usages);
        let ask = ask.approve();
        wait_for(SOON, "an answer", || {
            let status = ask.status();
            let answered = status["certificate"].is_string() || ask.condition("Failed").is_some();
            Ok(answered.then_some(()))
        })?;
        Ok(ask.condition("Failed").map(|condition| assert_eq!(condition["reason"], "RequestForCa")))
    })
    .unwrap();
}

#[test]
fn b07_without_ca_depth_the_annotation_is_refused() {
    let issuer = self_signed(shared(), "flat", &Value::Null);
    issuer.wait_reason("Ready");
    let (bed, pem) = (issuer.bed, request(issuer.bed, &[]));
    let ask = |annotations: &Value, more: &Value| {
        Csr::create_annotated(bed, annotations, &issuer.signer(), &pem, more).approve()
    };
    let sign = json!({"usages": ["cert sign"]});
    assert_eq!(ask(&json!({IS_CA: "true"}), &sign).failure(), "RequestForCa");
    assert_eq!(ask(&json!({DURATION: "soon"}), &json!({})).failure(), "LifetimeInvalid");
    assert_eq!(ask(&json!({DURATION: "9m59s"}), &json!({})).failure(), "LifetimeInvalid");
    ask(&json!({IS_CA: "false", DURATION: "10m"}), &json!({})).certificate();
    // What was approved for ten minutes is not made longer by an annotation, which anybody may still change.
    let short = ask(&json!({DURATION: "8760h"}), &json!({"expirationSeconds": 600}));
    let seconds = lifetime(&file(&issuer, short.certificate().as_bytes()));
    assert!((600..=900).contains(&seconds), "{seconds}");
}
