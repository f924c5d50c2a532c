//! CA certificates below the CA of an issuer, requested by cert-manager's annotations.

use crate::support::csr::{Csr, NewCsr, issue};
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, key_and_request, lifetime, request, verify_strict};
use crate::support::test_cluster::{TestCluster, shared};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use tcs_api::annotations::{REQUEST_DURATION, REQUEST_IS_CA};
use tcs_api::v1alpha1::{CaSpec, PolicySpec};
use tcs_testkit::process::run;

const CA_USAGES: [&str; 3] = ["digital signature", "cert sign", "crl sign"];
const LEAF: &str =
    "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
const SUB_CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n\
                      subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// A certificate and its private key, as files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// What `openssl x509` makes below this CA, with these extensions.
    fn sign(&self, cluster: &TestCluster, subject: &str, extensions: &str) -> Self {
        let (key, csr) = key_and_request(cluster, &["-subj", subject]);
        let certificate = cluster.new_folder("below").join("certificate.pem");
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-req", "-days", "1", "-CA"]).arg(&self.certificate);
        openssl.arg("-CAkey").arg(&self.key).arg("-in").arg(csr).arg("-out").arg(&certificate);
        openssl.arg("-extfile").arg(cluster.new_file("extensions", extensions));
        run(&mut openssl).unwrap();
        Self { certificate, key }
    }
}

/// A ready self-signed issuer that allows one level of CAs below its own.
fn issuer_with_depth(name: &str) -> Issuer<'static> {
    let policy = PolicySpec { ca_depth: Some(1), ..PolicySpec::default() };
    let ca = CaSpec { max_path_len: Some(2), policy: Some(policy), ..CaSpec::default() };
    let issuer = Issuer::self_signed(shared(), name, Some(ca));
    issuer.await_reason("Ready");
    issuer
}

fn request_ca(issuer: &Issuer<'_>, pem: &[u8]) -> NewCsr {
    NewCsr::new(&issuer.signer(), pem).annotated(REQUEST_IS_CA, "true").usages(&CA_USAGES)
}

#[test]
fn with_ca_depth_and_annotation_a_ca_below_is_issued_and_no_deeper() {
    let issuer = issuer_with_depth("deep");
    let (cluster, anchor) = (issuer.cluster, issuer.bundle());
    let (key, csr) = key_and_request(cluster, &["-subj", "/CN=Team CA"]);
    let request = request_ca(&issuer, &std::fs::read(csr).unwrap());
    let request = request.annotated(REQUEST_DURATION, "720h").annotated("other", "x");
    let csr = request.create(cluster).approve();
    let ca = Pair { certificate: csr.certificate_file(), key };
    let text = openssl::text(&ca.certificate);
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign, CRL Sign"), "{text}");
    assert_eq!(lifetime(&ca.certificate), 720 * 3600, "the annotation beats the default");
    csr.await_event_with("Issued", "CA CERTIFICATE issued");

    let leaf = ca.sign(cluster, "/CN=workload", LEAF);
    verify_strict(&anchor, &[&ca.certificate], &leaf.certificate).unwrap();
    // A further CA below this one is of no use to anybody.
    let deeper = ca.sign(cluster, "/CN=Deeper CA", SUB_CA);
    let leaf = deeper.sign(cluster, "/CN=workload", LEAF);
    let intermediates: [&Path; 2] = [&ca.certificate, &deeper.certificate];
    let error = verify_strict(&anchor, &intermediates, &leaf.certificate).unwrap_err();
    assert!(error.contains("path length constraint exceeded"), "{error}");
}

#[test]
fn a_ca_needs_both_annotation_and_usage_and_the_policy_can_forbid_it_later() {
    let issuer = issuer_with_depth("narrowed");
    let cluster = issuer.cluster;
    let pem = request(cluster, &[]);
    // An annotation can be added after the approval, so alone it does not make a CA of what was approved as a
    // leaf.
    let leaf = NewCsr::new(&issuer.signer(), &pem).annotated(REQUEST_IS_CA, "true");
    assert_eq!(leaf.create(cluster).approve().failure(), "RequestForCa");
    let text = openssl::text(&issue(&issuer));
    assert!(text.contains("CA:FALSE"), "{text}");

    issuer.patch(&json!({"spec": {"policy": {"caDepth": 0}}}));
    // The controller may sign earlier requests before it sees the change.
    cluster.wait_until("a request for a CA to be refused", || {
        let csr = request_ca(&issuer, &pem).create(cluster).approve();
        cluster.wait_until("a certificate or a refusal", || {
            csr.status().certificate.is_some() || csr.condition("Failed").is_some()
        });
        let refusal = csr.condition("Failed");
        refusal.is_some_and(|failed| {
            assert_eq!(failed.reason.as_deref(), Some("RequestForCa"));
            true
        })
    });
}

#[test]
fn b07_without_ca_depth_the_annotation_is_refused() {
    let issuer = Issuer::self_signed(shared(), "flat", None);
    issuer.await_reason("Ready");
    let (cluster, pem) = (issuer.cluster, request(issuer.cluster, &[]));
    let new = || NewCsr::new(&issuer.signer(), &pem);
    let approved = |csr: NewCsr| -> Csr<'_> { csr.create(cluster).approve() };
    let ca = new().annotated(REQUEST_IS_CA, "true").usages(&["cert sign"]);
    assert_eq!(approved(ca).failure(), "RequestForCa");
    for duration in ["soon", "9m59s"] {
        let csr = approved(new().annotated(REQUEST_DURATION, duration));
        assert_eq!(csr.failure(), "LifetimeInvalid", "{duration}");
    }
    approved(new().annotated(REQUEST_IS_CA, "false").annotated(REQUEST_DURATION, "10m")).certificate();
    // An annotation, which anybody may still change after the approval, does not prolong what was approved.
    let short = approved(new().annotated(REQUEST_DURATION, "8760h").seconds(600));
    let seconds = lifetime(&short.certificate_file());
    assert!((600..=900).contains(&seconds), "{seconds}");
}
