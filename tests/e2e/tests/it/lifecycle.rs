//! Creating and deleting issuers, Secrets of others, probes and metrics.

use crate::support::ca::Ca;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, MANIFEST, shared};
use k8s_openapi::api::core::v1::Secret;
use std::fs;
use tcs_testkit::http;
use tcs_testkit::repository;

#[test]
fn deleting_an_issuer_leaves_nothing_of_ours_behind() {
    let cluster = shared();
    let pending = Issuer::delivered(cluster, "pending");
    pending.await_attestation();
    pending.delete();
    pending.await_no_attestation();

    let ready = Issuer::delivered(cluster, "ready");
    ready.deliver_until_ready(&Ca::p256(cluster));
    let ca_secret = || cluster.get::<Secret>(&ready.namespace, "ready-secret");
    assert!(ca_secret().is_some());
    ready.delete();
    ready.await_no_attestation();
    if cluster.stack.cluster.has_controller_manager() {
        cluster.wait_until("the Secret with the CA certificate to be collected", || ca_secret().is_none());
    }
    let delivered = cluster.service_secret(&ready.delivery_secret());
    assert!(delivered.is_some(), "the Secret of the key owner is not ours to delete");
}

#[test]
fn w_r5_an_issuer_made_anew_does_not_inherit_the_old_key() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "anew");
    issuer.deliver_until_ready(&Ca::p256(cluster));
    issuer.delete();
    cluster.apply(&issuer_object(&issuer.namespace, "anew"));
    issuer.await_reason("AwaitingKey");
    assert_eq!(issuer.status().ca, None);
}

#[test]
fn w_s9_a_foreign_secret_of_that_name_is_never_overwritten() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "foreign");
    let secret = ["secret", "-n", &issuer.namespace, "foreign-secret"];
    let create = ["create", "secret", "generic", "-n", &issuer.namespace, "foreign-secret"];
    cluster.kubectl(&[&create[..], &["--from-literal=password=theirs"]].concat());
    let before = issuer.ca_secret().unwrap();
    issuer.deliver(&Ca::p256(cluster));
    let message = issuer.await_reason("SecretConflict");
    assert!(message.contains("foreign-secret"), "{message}");
    assert_eq!(issuer.ca_secret().unwrap(), before);
    // When the Secret is deleted, the issuer goes on by itself.
    cluster.kubectl(&[&["delete"], &secret[..]].concat());
    issuer.await_reason("Ready");
}

#[test]
fn two_issuers_with_one_secret_name_do_not_fight() {
    let cluster = shared();
    let first = Issuer::delivered(cluster, "first");
    first.deliver_until_ready(&Ca::p256(cluster));
    let mut object = issuer_object(&first.namespace, "second");
    object.spec.secret_name = "first-secret".into();
    let second = Issuer::create(cluster, &object);
    let before = first.ca_secret().unwrap();
    second.deliver(&Ca::p256(cluster));
    second.await_reason("SecretConflict");
    assert_eq!(first.ca_secret().unwrap(), before);
}

#[test]
fn w_d12_probes_events_and_metrics_tell_the_state() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "metrics");
    issuer.deliver_until_ready(&Ca::p256(cluster));
    let probes = cluster.node.address(":8081").unwrap();
    assert_eq!(http::status(&probes, "/healthz"), Some(200));
    assert_eq!(http::status(&probes, "/readyz"), Some(200));
    let metrics = cluster.metrics().unwrap();
    assert!(metrics.contains("tcs_tee_simulated 1"), "{metrics}");
    assert!(metrics.contains("tcs_deliveries_accepted_total{code=\"kmra-v1-sha256\"}"), "{metrics}");
    issuer.await_event("AwaitingKey");
    issuer.await_event("KeyAccepted");
}

#[test]
fn w_s8_no_pin_key_or_token_stands_in_manifests_logs_or_arguments() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "silent");
    let ca = Ca::p256(cluster);
    let wrapped = issuer.wrap(&ca.key);
    issuer.deliver_until_ready(&ca);
    let key = fs::read_to_string(&ca.key).unwrap();
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let manifest = fs::read_to_string(repository().join(MANIFEST)).unwrap();
    let kinds = "tcsissuers.tcs.intel.com,quoteattestations.tcs.intel.com,events";
    let objects = cluster.kubectl(&["get", kinds, "-A", "-o", "yaml"]);
    for text in [manifest, cluster.log(CONTROLLER), cluster.log(ENCLAVE), objects] {
        assert!(lines.iter().all(|line| !text.contains(line)));
        assert!(!text.contains(&wrapped[..40]));
        assert!(!text.to_lowercase().contains("pin="));
    }
}

/// The original kept its token in a folder of one node. Here all state is in the Kubernetes API, so the pod
/// may run anywhere. Only one may run at a time, because there is no lease (SECURITY.md).
#[test]
fn w_r6_the_pod_keeps_no_state_on_its_node() {
    let manifest = fs::read_to_string(repository().join(MANIFEST)).unwrap();
    let mounts = manifest.split("hostPath:").skip(1);
    let paths: Vec<_> = mounts.map(|rest| rest.trim_start().lines().next().unwrap()).collect();
    assert_eq!(paths, ["path: /var/run/aesmd"], "the socket of the platform, which holds nothing of ours");
    for other in ["persistentVolumeClaim", "nodeName", "kubernetes.io/hostname"] {
        assert!(!manifest.contains(other), "{other}");
    }
    assert!(manifest.contains("replicas: 1") && manifest.contains("type: Recreate"), "never two at a time");
}
