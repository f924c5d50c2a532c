//! Who may approve, with cert-manager's webhook running.

use crate::support::cert_manager::{NewCertificate, Stage, condition, shared_issuer, stage};
use serde_json::{Value, json};

const ROLE: &str = "tcs-issuer-cert-manager-approver";

/// What the webhook says to whoever may not approve.
const NO_RIGHT: &str = "does not have permissions to set approved/denied conditions";

/// Adds a condition of approvers, as `user`.
fn decide(stage: &Stage, request: &Value, type_: &str, user: &str) -> Result<String, String> {
    let text = |field: &str| request["metadata"][field].as_str().unwrap().to_owned();
    let mut conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.push(json!({
        "type": type_, "status": "True", "reason": "Test", "message": "decided by a test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }));
    let patch = json!({"status": {"conditions": conditions}}).to_string();
    let (namespace, name) = (text("namespace"), text("name"));
    let mut arguments = vec!["patch", "-n", &namespace, "certificaterequests.cert-manager.io", &name];
    arguments.extend(["--subresource=status", "--type=merge", "-p", &patch]);
    if !user.is_empty() {
        arguments.extend(["--as", user]);
    }
    stage.cluster.try_kubectl(&arguments).map_err(|error| format!("{error:#}"))
}

/// The rights of the approver change, so this test has a stage of its own.
#[test]
fn a03_a21_without_our_role_nothing_is_approved_and_only_approvers_decide() {
    let stage = Stage::new();
    let cluster = &stage.cluster;
    let issuer = crate::support::issuer::Issuer::self_signed_ready(cluster, "approved");
    cluster.kubectl(&["delete", "clusterrolebinding", ROLE]);
    let waiting = NewCertificate::new(&issuer, "").create(cluster);
    cluster.wait_until("a request", || !waiting.requests().is_empty());
    cluster.wait_until("cert-manager to miss the right", || {
        stage.cert_manager.log().unwrap().contains(NO_RIGHT)
    });
    let request = waiting.requests().remove(0);
    assert_eq!(condition(&request, "Approved"), Value::Null);
    assert_eq!(condition(&request, "Ready"), Value::Null, "it is not touched before it is approved");

    // Somebody who may write the status, and may not approve for this issuer.
    let role = "some-status-writer";
    cluster.kubectl(&[
        "create",
        "clusterrole",
        role,
        "--verb=get,list,watch,patch,update",
        "--resource=certificaterequests.cert-manager.io,certificaterequests.cert-manager.io/status",
    ]);
    cluster.kubectl(&["create", "clusterrolebinding", role, "--clusterrole", role, "--user=writer"]);
    for type_ in ["Approved", "Denied"] {
        cluster.wait_until("the webhook to refuse", || {
            decide(&stage, &request, type_, "writer").is_err_and(|error| error.contains(NO_RIGHT))
        });
    }
    assert!(waiting.secret().is_none());

    // A denial ends the attempt.
    let denied = NewCertificate::new(&issuer, "").create(cluster);
    cluster.wait_until("a request", || !denied.requests().is_empty());
    decide(&stage, &denied.requests().remove(0), "Denied", "").unwrap();
    let issuing = denied.await_failed();
    assert_eq!(issuing["reason"], "Test", "the reason of who denied it: {issuing}");
    denied.await_request("Ready", "Denied");
    assert!(denied.secret().is_none());

    // With the role, cert-manager approves by itself.
    cluster.kubectl(&["apply", "-f", crate::support::test_cluster::MANIFEST]);
    waiting.await_issued();
}

#[test]
fn a02_what_is_approved_cannot_be_denied() {
    let stage = stage();
    let certificate =
        NewCertificate::new(shared_issuer(), &stage.cluster.new_namespace()).create(&stage.cluster);
    let approved = certificate.await_request("Approved", "cert-manager.io");
    let error = decide(stage, &approved, "Denied", "").unwrap_err();
    assert!(error.contains("cannot coexist"), "{error}");
}

#[test]
fn a02_the_webhook_keeps_specs_and_approvals_as_they_are() {
    let stage = stage();
    let certificate =
        NewCertificate::new(shared_issuer(), &stage.cluster.new_namespace()).create(&stage.cluster);
    certificate.await_issued();
    let request = certificate.requests().remove(0);
    let name = request["metadata"]["name"].as_str().unwrap();
    let arguments = ["patch", "-n", &certificate.namespace, "certificaterequests.cert-manager.io", name];
    let patch = |patch: Value, options: &[&str]| {
        let patch = patch.to_string();
        let all = [&arguments[..], &["--type=merge", "-p", &patch], options].concat();
        stage.cluster.try_kubectl(&all).map(drop).map_err(|error| format!("{error:#}"))
    };
    let error = patch(json!({"spec": {"isCA": true}}), &[]).unwrap_err();
    assert!(error.contains("cannot change") || error.contains("immutable"), "{error}");
    let error = patch(json!({"status": {"conditions": []}}), &["--subresource=status"]).unwrap_err();
    assert!(error.contains("Approved"), "{error}");
}
