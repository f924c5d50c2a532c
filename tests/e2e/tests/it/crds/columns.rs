//! What kubectl prints of custom resources, and what it can wait for.

use crate::support::api_server::{attestation, client, control_plane, create, issuer, kubectl};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tcs_api::v1alpha1::TCSIssuer;

fn columns(arguments: &[&str]) -> Vec<String> {
    let printed = kubectl(arguments);
    printed.lines().next().unwrap().split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn kubectl_prints_and_waits_as_documented() {
    let client = client(&control_plane().admin_kubeconfig()).await;
    kubectl(&["create", "namespace", "columns"]);
    create(&attestation("columns.a.tcsissuer.tcs.intel.com", &json!({ "signerNames": ["s"] }))).unwrap();
    let get = ["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"];
    assert_eq!(columns(&get), ["NAME", "AGE"]);
    let wide = columns(&[&get[..], &["-o", "wide"]].concat());
    assert_eq!(wide, ["NAME", "AGE", "SIGNER", "KEYACCEPTED"]);

    create(&issuer("columns", "a", &json!({ "secretName": "s" }))).unwrap();
    let api: Api<TCSIssuer> = Api::namespaced(client, "columns");
    let status = json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
        "status": { "conditions": [{
            "type": "Ready", "status": "True", "reason": "Ready", "message": "signing",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }] },
    });
    api.patch_status("a", &PatchParams::apply("test"), &Patch::Apply(status)).await.unwrap();
    let get = ["get", "tcsissuers", "--namespace", "columns"];
    assert_eq!(columns(&get), ["NAME", "AGE", "READY", "REASON", "MESSAGE"]);
    assert!(kubectl(&get).contains("signing"));
    let wide = columns(&[&get[..], &["-o", "wide"]].concat());
    assert_eq!(wide, ["NAME", "AGE", "READY", "REASON", "MESSAGE", "CONFIRMED"]);
    kubectl(&["wait", "--for=condition=Ready", "--timeout=10s", "tcsissuer/a", "--namespace", "columns"]);
    assert_eq!(
        columns(&["get", "tcsissuers", "-A"]),
        ["NAMESPACE", "NAME", "AGE", "READY", "REASON", "MESSAGE"]
    );
}
