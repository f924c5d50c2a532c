//! Making and deleting issuers, Secrets of others, probes and metrics.

use crate::bed::{Issuer, SOON, http_get, http_status, issuer_object, shared};
use serde_json::json;
use tcs_testkit::process::wait_for;
use tcs_testkit::repository;

fn gone(issuer: &Issuer<'_>) {
    wait_for(SOON, "the QuoteAttestation to go", || Ok(issuer.attestation().is_none().then_some(())))
        .unwrap();
}

#[test]
fn deleting_an_issuer_leaves_nothing_of_ours_behind() {
    let bed = shared();
    let pending = bed.issuer("pending");
    pending.wait_attestation();
    bed.kubectl(&["delete", "tcsissuers.tcs.intel.com", "-n", &pending.namespace, "pending"]);
    gone(&pending);

    let ready = bed.issuer("ready");
    ready.deliver_until_ready(&bed.p256_ca());
    bed.kubectl(&["get", "secret", "-n", &ready.namespace, "ready-secret"]);
    bed.kubectl(&["delete", "tcsissuers.tcs.intel.com", "-n", &ready.namespace, "ready"]);
    gone(&ready);
    if bed.stack.cluster.has_controller_manager() {
        wait_for(SOON, "the CA certificate Secret to be collected", || {
            Ok(bed.try_get(&["secret", "-n", &ready.namespace, "ready-secret"]).is_none().then_some(()))
        })
        .unwrap();
    }
    // The key owner's Secret is the key owner's.
    bed.kubectl(&["get", "secret", "-n", "tcs-issuer", &ready.secret()]);
}

#[test]
fn w_r5_an_issuer_made_anew_does_not_inherit_the_old_key() {
    let bed = shared();
    let issuer = bed.issuer("anew");
    issuer.deliver_until_ready(&bed.p256_ca());
    bed.kubectl(&["delete", "tcsissuers.tcs.intel.com", "-n", &issuer.namespace, "anew"]);
    bed.apply(&issuer_object(&issuer.namespace, "anew"));
    issuer.wait_reason("AwaitingKey");
    assert!(issuer.object()["status"]["ca"].is_null());
}

#[test]
fn w_s9_a_foreign_secret_of_that_name_is_never_overwritten() {
    let bed = shared();
    let issuer = bed.issuer("foreign");
    bed.kubectl(&[
        "create",
        "secret",
        "generic",
        "-n",
        &issuer.namespace,
        "foreign-secret",
        "--from-literal=password=theirs",
    ]);
    let before = bed.get(&["secret", "-n", &issuer.namespace, "foreign-secret"]);
    issuer.deliver(&bed.p256_ca());
    let message = issuer.wait_reason("SecretConflict");
    assert!(message.contains("foreign-secret"), "{message}");
    let after = bed.get(&["secret", "-n", &issuer.namespace, "foreign-secret"]);
    assert_eq!(before, after);
    // Out of the way, the issuer goes on by itself.
    bed.kubectl(&["delete", "secret", "-n", &issuer.namespace, "foreign-secret"]);
    issuer.wait_reason("Ready");
}

#[test]
fn two_issuers_with_one_secret_name_do_not_fight() {
    let bed = shared();
    let first = bed.issuer("first");
    first.deliver_until_ready(&bed.p256_ca());
    let mut second_object = issuer_object(&first.namespace, "second");
    second_object["spec"]["secretName"] = json!("first-secret");
    bed.apply(&second_object);
    let second = Issuer { bed, namespace: first.namespace.clone(), name: "second".into() };
    let before = bed.get(&["secret", "-n", &first.namespace, "first-secret"]);
    second.deliver(&bed.p256_ca());
    second.wait_reason("SecretConflict");
    assert_eq!(bed.get(&["secret", "-n", &first.namespace, "first-secret"]), before);
}

#[test]
fn w_d12_probes_events_and_metrics_tell_the_state() {
    let bed = shared();
    let issuer = bed.issuer("metrics");
    issuer.deliver_until_ready(&bed.p256_ca());
    let probes = bed.node.address(":8081").unwrap();
    assert_eq!(http_status(&probes, "/healthz"), Some(200));
    assert_eq!(http_status(&probes, "/readyz"), Some(200));
    let metrics = http_get(&bed.node.address(":8080").unwrap(), "/metrics").unwrap();
    assert!(metrics.contains("tcs_tee_simulated 1"), "{metrics}");
    assert!(metrics.contains("tcs_deliveries_accepted_total{code=\"kmra-v1-sha256\"}"), "{metrics}");
    let events = issuer.events();
    assert!(events.contains("AwaitingKey") && events.contains("KeyAccepted"), "{events}");
}

#[test]
fn w_s8_no_pin_key_or_token_stands_in_manifests_logs_or_arguments() {
    let bed = shared();
    let issuer = bed.issuer("silent");
    let ca = bed.p256_ca();
    let wrapped = issuer.wrap(&ca.key);
    issuer.deliver_until_ready(&ca);
    let key = std::fs::read_to_string(&ca.key).unwrap();
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let manifest =
        std::fs::read_to_string(tcs_testkit::repository().join("deployment/tcs_issuer.yaml")).unwrap();
    let (controller, enclave) = (bed.log("tcs-issuer"), bed.log("tcs-enclave"));
    let everything = bed.kubectl(&[
        "get",
        "tcsissuers.tcs.intel.com,quoteattestations.tcs.intel.com,events",
        "-A",
        "-o",
        "yaml",
    ]);
    for text in [&manifest, &controller, &enclave, &everything] {
        assert!(lines.iter().all(|line| !text.contains(line)));
        assert!(!text.contains(&wrapped[..40]));
        assert!(!text.to_lowercase().contains("pin="));
    }
}

/// The original kept its token in a folder of one node. What must survive here lies in the Kubernetes API; the pod may be anywhere, one
/// at a time as long as there is no lease (SECURITY.md).
#[test]
fn w_r6_the_pod_keeps_no_state_on_its_node() {
    let manifest = std::fs::read_to_string(repository().join("deployment/tcs_issuer.yaml")).unwrap();
    let mounts = manifest.split("hostPath:").skip(1);
    let paths: Vec<_> = mounts.map(|rest| rest.trim_start().lines().next().unwrap()).collect();
    assert_eq!(paths, ["path: /var/run/aesmd"], "the platform's socket, which holds nothing of ours");
    for other in ["persistentVolumeClaim", "nodeName", "kubernetes.io/hostname"] {
        assert!(!manifest.contains(other), "{other}");
    }
    assert!(manifest.contains("replicas: 1") && manifest.contains("type: Recreate"), "never two at a time");
}
