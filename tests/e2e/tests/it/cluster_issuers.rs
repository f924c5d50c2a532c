//! Cluster issuers: they live as other issuers do, with names of their own.

use crate::support::ca::Ca;
use crate::support::csr::NewCsr;
use crate::support::csr::{Csr, issue};
use crate::support::encoding::field;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::{CRASHES, TestCluster, shared};
use kube::ResourceExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use tcs_api::v1alpha1::IssuerSpec;

#[test]
fn w_r4_a_cluster_issuer_whose_name_has_dots_takes_a_key_and_signs() {
    let cluster = shared();
    let spec = IssuerSpec {
        secret_name: "dotted-ca".into(),
        labels: BTreeMap::from([("team".to_owned(), "mesh".to_owned())]),
        ..issuer_object("", "").spec
    };
    let issuer = Issuer::of_cluster(cluster, "sandbox.dotted", spec);
    assert_eq!(issuer.await_attestation().labels()["team"], "mesh");
    issuer.deliver_until_ready(&Ca::p256(cluster));
    let published = cluster.service_secret("dotted-ca").unwrap();
    assert_eq!(field(&published, "tls.key"), b"");
    assert_eq!(published.labels()["team"], "mesh");
    for signer in
        ["tcsclusterissuer.tcs.intel.com/sandbox.dotted", "tcsclusterissuers.tcs.intel.com/sandbox.dotted"]
    {
        let csr = NewCsr::new(signer, &request(cluster, &[])).create(cluster).approve();
        issuer.accepts(&[&csr.certificate_file()]);
    }
    // This is not the issuer `dotted` of namespace `sandbox`.
    let other = Csr::create(cluster, "tcsissuer.tcs.intel.com/sandbox.dotted").approve();
    other.await_event("WaitingForIssuerExist");
    assert_eq!(other.status().certificate, None);
}

#[test]
fn w_s9_a_cluster_issuer_cannot_take_the_key_owners_secret_for_its_own() {
    let cluster = shared();
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "somebodys", "namespace": "tcs-issuer"},
        "stringData": {"tls.key": "theirs"},
    }));
    let spec = IssuerSpec { secret_name: "somebodys".into(), self_sign: true, ..issuer_object("", "").spec };
    Issuer::of_cluster(cluster, "greedy", spec).await_reason("SecretConflict");
    let secret = cluster.service_secret("somebodys").unwrap();
    assert_eq!(field(&secret, "tls.key"), b"theirs");
}

#[test]
fn a_self_signed_cluster_issuer_survives_restarts_and_is_deleted_with_all_its_objects() {
    let cluster = TestCluster::new();
    let issuer = Issuer::self_signed_of_cluster(&cluster, "restarted");
    issuer.await_reason("Ready");
    let ca = issuer.ca();
    for crash in CRASHES {
        for container in crash {
            cluster.crash(container);
        }
        issuer.accepts(&[&issue(&issuer)]);
        assert_eq!(issuer.ca(), ca, "{crash:?}");
    }
    issuer.await_sealed_secret();
    issuer.damage_sealed_key_and_restart();
    let message = issuer.await_reason("KeyLost");
    assert!(message.contains("tcs.intel.com/new-ca="), "{message}");
    assert_eq!(issuer.ca(), ca);
    issuer.allow_new_ca(&ca);
    issuer.await_reason("Ready");
    issuer.accepts(&[&issue(&issuer)]);
    let secrets = [issuer.sealed_secret_name(), "restarted-ca".to_owned()];
    issuer.delete();
    cluster.wait_until("its Secrets to go", || {
        secrets.iter().all(|name| cluster.service_secret(name).is_none())
    });
}
