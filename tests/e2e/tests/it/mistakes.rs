//! Mistakes of whoever installs the service: each is told once, with its remedy, and heals when it is
//! corrected.

use crate::support::controllers::{Controller, Controllers};
use crate::support::csr::Csr;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::ENCLAVE;
use serde_json::Value;
use std::process::Command;
use tcs_testkit::process::Signal;

/// The warnings and errors in the log of a controller.
fn warnings(controller: &Controller) -> Vec<String> {
    let lines = controller.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let severe = lines.filter(|line| line["level"] == "WARN" || line["level"] == "ERROR");
    severe.map(|line| line.to_string()).collect()
}

/// Waits until readiness fails for all these reasons. Then each is one line of the log, and no line shows an
/// error in its debugging form.
fn await_told_once(controllers: &Controllers, controller: &Controller, reasons: &[&str]) {
    controllers.cluster.wait_until(&format!("/readyz to say {reasons:?}"), || {
        let answer = controller.readiness();
        answer.starts_with("HTTP/1.1 503") && reasons.iter().all(|reason| answer.contains(reason))
    });
    let warnings = warnings(controller);
    for reason in reasons {
        let count = warnings.iter().filter(|line| line.contains(reason)).count();
        assert_eq!(count, 1, "{reason}: {warnings:#?}");
    }
    let debugging = |line: &&String| line.contains("Status {") || line.contains("ErrorResponse");
    assert_eq!(warnings.iter().find(debugging), None);
}

fn await_ready(controllers: &Controllers, controller: &Controller) {
    controllers.cluster.wait_until("the controller to be ready", || controller.is_ready());
}

#[test]
fn case_9_7_missing_rights_are_named_with_the_manifest_until_they_are_granted() {
    const REMEDY: &str = "kubectl apply -f deployment/access.yaml";
    let controllers = Controllers::new();
    let kubectl = |arguments: &[&str]| controllers.cluster.kubectl(arguments);
    // The right to the Lease stays.
    kubectl(&["delete", "clusterrolebinding", "tcs-issuer"]);
    let only_leases = r#"[{"op": "remove", "path": "/rules/0"}, {"op": "remove", "path": "/rules/0"},
        {"op": "remove", "path": "/rules/0"}]"#;
    kubectl(&["patch", "role", "-n", "tcs-issuer", "tcs-issuer", "--type=json", "-p", only_leases]);
    let controller = controllers.launch("forbidden");
    let missing = [
        "may not watch secrets in namespace tcs-issuer;",
        "may not watch quoteattestations.tcs.intel.com in namespace tcs-issuer;",
        "may not watch tcsissuers.tcs.intel.com in the whole cluster;",
        "may not watch tcsclusterissuers.tcs.intel.com in the whole cluster;",
        "may not watch certificatesigningrequests.certificates.k8s.io in the whole cluster;",
    ];
    await_told_once(&controllers, &controller, &missing);
    let answer = controller.readiness();
    for reason in missing {
        let line = answer.lines().find(|line| line.contains(reason)).unwrap();
        assert!(line.contains(REMEDY), "{line}");
    }

    controllers.apply_manifest();
    await_ready(&controllers, &controller);
    let log = controller.log();
    assert!(log.contains("the service can watch secrets in namespace tcs-issuer again"), "{log}");
    for reason in missing {
        let count = warnings(&controller).iter().filter(|line| line.contains(reason)).count();
        assert_eq!(count, 1, "it was not repeated");
    }
}

#[test]
fn case_9_7_a_missing_right_to_write_is_named_once_and_fails_readiness_until_it_is_granted() {
    let controllers = Controllers::new();
    let controller = controllers.launch("mute");
    await_ready(&controllers, &controller);
    let issuer = Issuer::self_signed(&controllers.cluster, "mute", None);
    issuer.await_reason("Ready");
    let role = ["clusterrole", "tcs-issuer"];
    let no_certificates = r#"[{"op": "test", "path": "/rules/3/resources/0", "value": "certificatesigningrequests/status"},
        {"op": "remove", "path": "/rules/3"}]"#;
    controllers.cluster.kubectl(&[&["patch"], &role[..], &["--type=json", "-p", no_certificates]].concat());
    let requests = [Csr::approved(&issuer), Csr::approved(&issuer)];
    let missing =
        "may not update certificatesigningrequests/status.certificates.k8s.io in the whole cluster;";
    await_told_once(&controllers, &controller, &[missing]);
    controllers.apply_manifest();
    for request in requests {
        request.certificate();
    }
    await_ready(&controllers, &controller);
    let told =
        warnings(&controller).iter().filter(|line| line.contains("certificatesigningrequests")).count();
    assert_eq!(told, 1, "two requests have one line");
}

#[test]
fn case_9_7_missing_kinds_are_named_with_the_manifests_until_they_are_there() {
    let controllers = Controllers::new();
    controllers.cluster.kubectl(&["delete", "-f", "deployment/crds/"]);
    let controller = controllers.launch("unknown-kinds");
    let kinds = ["tcsissuers", "tcsclusterissuers", "quoteattestations"];
    let missing = kinds.map(|kind| format!("cannot watch {kind}.tcs.intel.com"));
    await_told_once(&controllers, &controller, &missing.each_ref().map(String::as_str));
    let remedy = "the API server does not know the kind; apply deployment/crds of its version: kubectl apply -f \
                  deployment/crds/";
    let answer = controller.readiness();
    assert_eq!(answer.matches(remedy).count(), kinds.len(), "{answer}");
    controllers.cluster.kubectl(&["apply", "-f", "deployment/crds/"]);
    await_ready(&controllers, &controller);
}

#[test]
fn case_9_7_an_enclave_that_is_not_there_is_told_with_its_address_and_where_its_log_is() {
    let mut controllers = Controllers::new();
    controllers.enclave.signal(Signal::KILL).unwrap();
    // For example because it was given a directory that is not there: it ends, and says so.
    let mut wrong = Command::new(controllers.cluster.stack.programs.path(ENCLAVE));
    wrong.args(["--listen=127.0.0.1:0", "--platform=simulation", "--platform-dir=/nonexistent"]);
    let output = wrong.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("/nonexistent/") && said.contains("check the directory that --platform-dir names"),
        "{said}"
    );
    let controller = controllers.launch("alone");
    let address = controllers.enclave_address();
    let told = format!("no enclave answers at {address}");
    controllers
        .cluster
        .wait_until("the line in the log", || warnings(&controller).iter().any(|line| line.contains(&told)));
    let remedy = "see the logs of container tcs-enclave";
    await_told_once(&controllers, &controller, &[&told, remedy]);
    // It is no reason to start an enclave again that may just be starting.
    assert_eq!(controller.enclave_probe(), Some(200));
    controllers.cluster.wait_until("the controller to lead", || controller.leads());
    let issuer = Issuer::self_signed(&controllers.cluster, "waits", None);
    let message = issuer.await_reason("EnclaveUnavailable");
    assert!(message.contains("see the logs of container tcs-enclave"), "{message}");
}
