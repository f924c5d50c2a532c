//! One bad object harms itself only. The test changes the CRDs, so it has a cluster of its own.

use crate::support::csr::Csr;
use crate::support::encoding::encode;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::{CONTROLLER, TestCluster};
use crate::unreadable::objects::{HUSH, NAMESPACE, create_bad_objects};
use crate::unreadable::stored::{Stored, with_lax_crds};
use serde_json::json;
use std::path::PathBuf;
use tcs_testkit::process::run;

const SAYS: &str =
    "TCSIssuer unreadable/old cannot be read: spec.secretName: found integer, expected a string";
/// Makes an object that fits no type.
const SECRET_NAME_5: [&str; 3] = ["--type=merge", "-p", "{\"spec\":{\"secretName\":5}}"];

/// An account that may edit the issuers' namespace; its kubeconfig.
fn editor(cluster: &TestCluster) -> PathBuf {
    cluster.kubectl(&["create", "serviceaccount", "editor", "-n", NAMESPACE]);
    let account = format!("--serviceaccount={NAMESPACE}:editor");
    cluster.kubectl(&["create", "rolebinding", "editor", "-n", NAMESPACE, "--clusterrole=edit", &account]);
    let editor = cluster.stack.cluster.service_account_kubeconfig(NAMESPACE, "editor").unwrap();
    let may = ["auth", "can-i", "create", "tcsissuers.tcs.intel.com", "-n", NAMESPACE];
    cluster.wait_until("the editor's rights", || {
        run(cluster.stack.cluster.kubectl_as(&editor).args(may)).is_ok()
    });
    editor
}

fn old_issuer(cluster: &TestCluster) -> Issuer<'_> {
    Issuer { cluster, namespace: NAMESPACE.into(), name: "old".into() }
}

/// The controller is ready, serves a healthy issuer, and counts the issuers, cluster issuers and attestations
/// that it cannot read.
fn assert_served(healthy: &Issuer<'_>, stored: &Stored, unreadable: [usize; 3]) {
    let cluster = healthy.cluster;
    cluster.await_controller();
    Csr::approved(healthy).certificate();
    let [issuers, cluster_issuers, attestations] = unreadable;
    for (kind, count) in [
        ("TCSIssuer", issuers),
        ("TCSClusterIssuer", cluster_issuers),
        ("QuoteAttestation", attestations),
        ("CertificateSigningRequest", 0),
        ("Secret", 0),
    ] {
        let line = format!("tcs_unreadable_objects{{kind=\"{kind}\"}} {count}\n");
        cluster.wait_until(&line, || cluster.metrics().is_some_and(|metrics| metrics.contains(&line)));
    }
    stored.assert_kept(cluster);
}

/// Waits until garbage collection has run from its beginning to its end: the objects of a second issuer are
/// deleted only after the run for the first.
fn await_garbage_collection(cluster: &TestCluster) {
    for _ in 0..2 {
        let deleted = Issuer::delivered(cluster, "deleted");
        deleted.await_attestation();
        deleted.delete();
        deleted.await_no_attestation();
    }
}

#[test]
fn review_h1_one_bad_object_harms_itself_only() {
    let cluster = TestCluster::without_service();
    let stored = Stored::create(&cluster);
    create_bad_objects(&cluster, "before", &cluster.stack.cluster.admin_kubeconfig());
    let cluster = cluster.with_service();
    let healthy = Issuer::self_signed(&cluster, "healthy", None);
    healthy.await_reason("Ready");
    let waiting = bad_before_the_start(&healthy, &stored);
    let turned = turned_while_it_runs(&healthy, &stored);
    bad_after_a_crash(&healthy, &stored, &turned);
    corrected(&healthy, &stored, &waiting, &turned);
    let log = cluster.log(CONTROLLER);
    assert!(!log.contains(&encode(HUSH)[..20]), "{log}");
    assert!(log.contains("TCSIssuer unreadable/old cannot be read"), "{log}");
}

/// Objects that are there when the service starts. Returns a request for an issuer that cannot be read.
fn bad_before_the_start<'a>(healthy: &Issuer<'a>, stored: &Stored) -> Csr<'a> {
    let cluster = healthy.cluster;
    assert_served(healthy, stored, [1, 1, 1]);
    stored.await_collection(cluster);
    let old = old_issuer(cluster);
    let waiting = Csr::approved(&old);
    waiting.await_event_with("WaitingForIssuerReadable", SAYS);
    // The owner of the issuer, who does not see the log, gets an Event.
    cluster.wait_until("an Event about the issuer", || old.events("ObjectUnreadable").contains(SAYS));
    waiting
}

/// An issuer that becomes unreadable while it is served.
struct Turned<'a> {
    issuer: Issuer<'a>,
    fingerprint: String,
    sealed: String,
    /// It waits for the issuer.
    csr: Csr<'a>,
}

/// Objects that are created or become unreadable while the service runs: also an issuer that is served
/// already, and the attestation of one that waits for its key.
fn turned_while_it_runs<'a>(healthy: &Issuer<'a>, stored: &Stored) -> Turned<'a> {
    let cluster = healthy.cluster;
    create_bad_objects(cluster, "while", &editor(cluster));
    let issuer = Issuer::self_signed(cluster, "turned", None);
    issuer.await_reason("Ready");
    issuer.await_sealed_secret();
    let (fingerprint, sealed) = (issuer.ca(), issuer.sealed_secret_name());
    let without_attestation = Issuer::delivered(cluster, "without-attestation");
    without_attestation.await_attestation();
    with_lax_crds(cluster, || {
        issuer.kubectl(&["patch"], &SECRET_NAME_5);
        let attestation = ["patch", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"];
        let name = without_attestation.attestation_name();
        cluster.kubectl(&[&attestation[..], &[&name], &SECRET_NAME_5].concat());
    });
    assert_served(healthy, stored, [2, 1, 2]);
    let csr = Csr::approved(&issuer);
    csr.await_event_with("WaitingForIssuerReadable", "/turned cannot be read: spec.secretName");
    without_attestation.await_event("ObjectUnreadable");
    Turned { issuer, fingerprint, sealed, csr }
}

fn bad_after_a_crash(healthy: &Issuer<'_>, stored: &Stored, turned: &Turned<'_>) {
    let cluster = healthy.cluster;
    cluster.crash(CONTROLLER);
    assert_served(healthy, stored, [2, 1, 2]);
    await_garbage_collection(cluster);
    stored.assert_kept(cluster);
    assert!(cluster.service_secret(&turned.sealed).is_some());
    let reason = "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
    for suffix in ["before", "while"] {
        for stem in ["time", "deep", "bytes", "large"] {
            let name = format!("{stem}-{suffix}");
            let get = ["get", "tcsissuers.tcs.intel.com", "-n", NAMESPACE, &name, "-o", reason];
            cluster.wait_until(&name, || cluster.kubectl(&get) == "Ready");
        }
    }
}

/// When the objects are corrected, the same process serves them.
fn corrected(healthy: &Issuer<'_>, stored: &Stored, waiting: &Csr<'_>, turned: &Turned<'_>) {
    let cluster = healthy.cluster;
    let process = cluster.node.pid(CONTROLLER);
    turned.issuer.patch(&json!({"spec": {"secretName": "turned-secret"}}));
    turned.csr.certificate();
    assert_eq!(turned.issuer.ca(), turned.fingerprint);
    old_issuer(cluster).patch(&json!({"spec": {"secretName": "old-secret"}}));
    waiting.certificate();
    for suffix in ["before", "while"] {
        Csr { cluster, name: format!("large-{suffix}") }.approve().certificate();
    }
    assert_served(healthy, stored, [0, 1, 2]);
    assert_eq!(cluster.node.pid(CONTROLLER), process);
}
