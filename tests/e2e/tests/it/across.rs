//! Rules across request APIs, on the real API server (`docs/conformance.md`, X01 to X06).

use crate::support::account::Account;
use crate::support::csr::{Csr, NewCsr};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::{self, request};
use crate::support::test_cluster::shared;
use kube::ResourceExt as _;
use serde_json::json;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::v1alpha1::PolicySpec;

/// `CertificateSigningRequest` is the only request API that is served. Its two spellings of an issuer's name
/// are two ways to make the same request. (The certificate profiles of the other request APIs are compared in
/// `crates/x509/tests/it/profile.rs`.)
#[test]
fn x01_same_request_same_verdict() {
    let issuer = Issuer::self_signed_ready(shared(), "x01");
    let cluster = issuer.cluster;
    let account = Account::new(cluster);
    let spellings = [issuer.signer(), issuer.signer().replacen("tcsissuer.", "tcsissuers.", 1)];
    let failures = |options: &[&str]| {
        let pem = request(cluster, options);
        spellings
            .each_ref()
            .map(|signer| NewCsr::new(signer, &pem).create(cluster).approve().failure_message())
    };
    for options in [
        ["-addext", "basicConstraints=CA:TRUE"],
        ["-addext", "keyUsage=cRLSign"],
        ["-subj", "/CN=system:node:x"],
    ] {
        let [singular, plural] = failures(&options);
        assert_eq!(singular, plural, "{options:?}");
    }
    let [singular, plural] = spellings.each_ref().map(|signer| account.approved(signer).failure_message());
    assert_eq!(singular, plural, "without access");
    let pem = request(cluster, &["-addext", "subjectAltName=DNS:x01.example"]);
    let [singular, plural] = spellings.each_ref().map(|signer| {
        let csr = NewCsr::new(signer, &pem).seconds(3600).create(cluster).approve();
        let certificate = csr.certificate_file();
        let names =
            openssl::print(&certificate, &["-subject", "-issuer", "-pubkey", "-ext", "subjectAltName"]);
        (names, openssl::lifetime(&certificate))
    });
    assert_eq!(singular, plural);
}

/// The policy names DNS names. Every other identity of the certificate is refused, wherever it came from.
#[test]
fn x02_the_policy_applies_to_the_final_certificate() {
    let cluster = shared();
    let mut object = issuer_object(&cluster.new_namespace(), "x02");
    object.spec.self_sign = true;
    object.spec.policy = Some(PolicySpec {
        dns_names: Some(["*.sandbox.svc"].into()),
        common_names: Some(["workload"].into()),
        ..PolicySpec::default()
    });
    let issuer = Issuer::create(cluster, &object);
    issuer.await_reason("Ready");
    let names = |names: &str| {
        let pem = request(cluster, &["-addext", &format!("subjectAltName={names}")]);
        NewCsr::new(&issuer.signer(), &pem).create(cluster).approve()
    };
    names("DNS:a.sandbox.svc").certificate();
    for other in ["IP:10.0.0.1", "email:a@example.com", "URI:spiffe://example.com/a", "DNS:a.example.com"] {
        assert_eq!(names(&format!("DNS:a.sandbox.svc,{other}")).failure(), "PolicyRefused", "{other}");
    }
    let common_name = request(cluster, &["-subj", "/CN=another"]);
    let common_name = NewCsr::new(&issuer.signer(), &common_name).create(cluster).approve();
    assert_eq!(common_name.failure(), "PolicyRefused");
}

#[test]
fn x03_status_write_settles() {
    let cluster = Disturbed::lock();
    let signing = Issuer::self_signed(&cluster, "x03", None);
    let awaiting = Issuer::delivered(&cluster, "x03-awaiting");
    signing.await_reason("Ready");
    awaiting.await_reason("AwaitingKey");
    let versions = || {
        let attestation = awaiting.await_attestation().resource_version();
        let objects = [&signing, &awaiting].map(|issuer| issuer.object().unwrap().resource_version());
        (objects, attestation, signing.ca_secret().unwrap().resource_version())
    };
    // Each pass begins after all passes before it, because the queue is one.
    let pass = |name: &str| {
        let marker = Issuer::self_signed(&cluster, name, None);
        marker.await_reason("Ready");
        Csr::approved(&marker).certificate();
    };
    pass("x03-first");
    let settled = versions();
    cluster.restart_controller();
    pass("x03-second");
    assert_eq!(versions(), settled, "after a restart");
    Csr::approved(&signing).certificate();
    pass("x03-third");
    assert_eq!(versions(), settled, "after a certificate");
}

/// Secrets of others are not overwritten. A `QuoteAttestation` that others made is never used.
#[test]
fn x04_foreign_object_not_overwritten() {
    let cluster = shared();
    let namespace = cluster.new_namespace();
    let create = ["create", "secret", "generic", "-n", &namespace, "x04-secret"];
    cluster.kubectl(&[&create[..], &["--from-literal=password=theirs"]].concat());
    let mut object = issuer_object(&namespace, "x04");
    object.spec.self_sign = true;
    let planted = json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "QuoteAttestation",
        "metadata": {"namespace": SERVICE_NAMESPACE, "name": format!("{namespace}.x04-waits.tcsissuer.tcs.intel.com")},
        "spec": {"publicKey": "cGxhbnRlZA==", "quote": "cGxhbnRlZA==", "signerNames": ["a"]},
    });
    cluster.apply(&planted);
    let issuer = Issuer::create(cluster, &object);
    let before = issuer.ca_secret().unwrap();
    issuer.await_reason("SecretConflict");
    assert_eq!(issuer.ca_secret().unwrap(), before);

    let waits = Issuer::create(cluster, &issuer_object(&namespace, "x04-waits"));
    waits.await_reason("AwaitingKey");
    let published = waits.await_attestation();
    assert_ne!(published.spec.public_key.0, b"planted");
}

#[test]
fn x06_refusal_has_stable_reason() {
    let issuer = Issuer::self_signed_ready(shared(), "x06");
    let cluster = issuer.cluster;
    let account = Account::new(cluster);
    let with = |options: &[&str]| {
        NewCsr::new(&issuer.signer(), &request(cluster, options)).create(cluster).approve()
    };
    let refusals = [
        (account.approved(&issuer.signer()), "ReferenceNotAllowed"),
        (with(&["-addext", "basicConstraints=CA:TRUE"]), "RequestForCa"),
        (with(&["-subj", "/CN=system:node:x"]), "IdentityForbidden"),
        (with(&["-addext", "keyUsage=cRLSign"]), "UsageForbidden"),
    ];
    for (csr, reason) in &refusals {
        assert_eq!(csr.failure(), *reason);
        csr.await_event(reason);
        let counted = format!("outcome=\"Failed\",reason=\"{reason}\"}}");
        assert!(cluster.metrics().unwrap().contains(&counted), "{reason}");
    }
    // A label is a code, never a name that others choose.
    let metrics = cluster.metrics().unwrap();
    for name in refusals.iter().map(|(csr, _)| csr.name.as_str()).chain([issuer.namespace.as_str(), "web"]) {
        assert!(!metrics.contains(&format!("\"{name}\"")), "{name}");
    }
    let codes = metrics.lines().filter_map(|line| line.split_once("code=\"")?.1.split_once('"'));
    for (code, _) in codes {
        let is_code = code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-".contains(&byte));
        assert!(is_code && code.len() < 40, "{code}");
    }
}
