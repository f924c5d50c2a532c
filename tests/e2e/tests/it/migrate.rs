//! `docs/migrate.md`: from the original project to this one. The manifests of the original are applied
//! unchanged.

use crate::support::ca::Ca;
use crate::support::cert_manager::{Certificate, Stage};
use crate::support::csr::Csr;
use crate::support::encoding::encode;
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::TestCluster;
use serde_json::{Value, json};
use std::fs;
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::{CertManager, ensure_cert_manager, repository};

/// A manifest of the original.
fn original(name: &str) -> String {
    fs::read_to_string(repository().join("tests/e2e/data/original").join(name)).unwrap()
}

fn apply(cluster: &TestCluster, manifest: &str) {
    let file = cluster.new_file("original", manifest);
    cluster.kubectl(&["apply", "--filename", &file.display().to_string()]);
}

/// What release 0.5.0 leaves in a cluster: issuers that are ready, a CA Secret and a `QuoteAttestation`.
fn leave_an_original(cluster: &TestCluster) {
    apply(cluster, &original("installed.yaml"));
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]);
    cluster.kubectl(&["create", "namespace", "sandbox"]);
    cluster.wait_until("the kinds to be served", || {
        cluster.try_kubectl(&["get", "quoteattestations.v1alpha2.tcs.intel.com", "-A"]).is_ok()
    });
    apply(cluster, &original("issuers.yaml"));
    let old = fs::read(Ca::p256(cluster).certificate).unwrap();
    apply(cluster, &original("left.yaml").replace("CERTIFICATE", &encode(&old)));
    let ready = json!({"status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": "Reconcile", "message": "Success",
        "lastTransitionTime": "2023-01-01T00:00:00Z",
    }]}});
    let patch = ready.to_string();
    let status = ["--subresource=status", "--type=merge", "-p", &patch];
    let issuer = ["patch", "-n", "sandbox", "tcsissuers.tcs.intel.com", "my-ca"];
    cluster.kubectl(&[&issuer[..], &status].concat());
}

#[test]
fn case_10_6_our_page_takes_a_cluster_of_the_original_over_and_its_manifests_work_unchanged() {
    let cluster = TestCluster::without_service();
    let assets = ensure_cert_manager(|line| eprintln!("{line}")).unwrap();
    let cert_manager = CertManager::start(&cluster.stack.cluster, &assets).unwrap();
    let stage = Stage { cert_manager, cluster };
    let cluster = &stage.cluster;
    leave_an_original(cluster);

    let page = fs::read_to_string(repository().join("docs/migrate.md")).unwrap();
    let written = |name: &str| cluster.dir.join(name);
    let mut shell = cluster.stack.shell();
    shell.stderr(fs::File::create(written("err")).unwrap());
    let outcome = document::run(&shell_blocks(&page), shell, &written("script"));
    let err = fs::read_to_string(written("err")).unwrap();
    outcome.unwrap_or_else(|error| panic!("{error:#}\n{err}\n{}", cluster.logs()));
    crate::warnings::assert_listed("docs/migrate.md", &err);
    assert!(cluster.try_kubectl(&["get", "clusterrole", "tcs-role"]).is_err(), "its rights are gone");
    assert!(cluster.service_secret("tcs-issuer-pkcs11-conf").is_none(), "its PINs are gone");

    // Issuers that were there are served, and so are the manifests if they are applied again.
    for manifest in ["approver.yaml", "issuers.yaml", "certificates.yaml"] {
        apply(cluster, &original(manifest));
    }
    for (namespace, name, secret) in [
        ("default", "sample-cert1-sgx-ca", "sample-cert"),
        ("sandbox", "sample-cert2-sgx-ca", "sample-cert"),
        ("sandbox", "my-certificate", "demo-cert-tls"),
    ] {
        let certificate = Certificate { cluster, namespace: namespace.into(), name: name.into() };
        let ready = certificate.await_ready();
        assert_eq!(ready["spec"]["secretName"], secret);
        let secret = cluster.get(namespace, secret).unwrap();
        crate::support::cert_manager::Issued::of(cluster, &secret).check();
    }
    let manifest = original("request.yaml").replace("REQUEST", &encode(&request(cluster, &[])));
    apply(cluster, &manifest);
    let csr = Csr { cluster, name: "test-csr".into() }.approve();
    let my_ca = Issuer { cluster, namespace: "sandbox".into(), name: "my-ca".into() };
    my_ca.accepts(&[&csr.certificate_file()]);
}

/// The page says what happens without its third step.
#[test]
fn the_leftovers_of_the_original_are_in_the_way_until_they_are_removed() {
    let cluster = TestCluster::without_service();
    leave_an_original(&cluster);
    let error = cluster.try_kubectl(&["apply", "-f", "deployment/crds/"]).unwrap_err().to_string();
    assert!(error.contains("v1alpha2") && error.contains("was previously a storage version"), "{error}");
    let without_finalizers = json!({"metadata": {"finalizers": Value::Null}}).to_string();
    let attestation = ["-n", "sandbox", "quoteattestations.tcs.intel.com", "external-ca"];
    cluster.kubectl(&[&["patch"], &attestation[..], &["--type=merge", "-p", &without_finalizers]].concat());
    cluster.kubectl(&["delete", "crd", "quoteattestations.tcs.intel.com"]);
    let cluster = cluster.with_service();
    let my_ca = Issuer { cluster: &cluster, namespace: "sandbox".into(), name: "my-ca".into() };
    my_ca.await_reason("SecretConflict");
}
