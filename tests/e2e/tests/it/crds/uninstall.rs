//! The page about uninstalling.

use crate::support::api_server::{attestation, fresh_control_plane, issuer};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use tcs_testkit::ControlPlane;
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::process::run;
use tcs_testkit::repository;

/// A bash with the kubectl of a control plane on its PATH.
fn shell(control_plane: &ControlPlane, home: &Path) -> Command {
    let kubectl = control_plane.kubectl().get_program().to_owned();
    let folder = Path::new(&kubectl).parent().unwrap().display().to_string();
    let mut shell = Command::new("bash");
    shell.current_dir(repository()).env("KUBECONFIG", control_plane.admin_kubeconfig()).env("HOME", home);
    shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    shell
}

/// The Secret with the CA certificate of an issuer, as the service makes it; there is none here.
fn ca_secret(issuer_uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": "ca", "namespace": "sandbox", "labels": { "app.kubernetes.io/managed-by": "tcs-issuer" },
            "ownerReferences": [{ "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
                                  "name": "external-ca", "uid": issuer_uid }],
        },
        "data": { "tls.key": "", "tls.crt": "" },
    })
}

#[test]
fn the_uninstall_page_leaves_nothing_and_takes_the_key_owners_secret_last() {
    let dir = tempfile::tempdir().unwrap();
    let control_plane = fresh_control_plane(dir.path());
    let kubectl = |arguments: &[&str]| run(control_plane.kubectl().args(arguments)).unwrap();
    let apply = |manifest: &Value| {
        let file = dir.path().join("manifest.json");
        std::fs::write(&file, manifest.to_string()).unwrap();
        kubectl(&["apply", "-f", file.to_str().unwrap()]);
    };
    kubectl(&["create", "namespace", "sandbox"]);
    apply(&issuer("sandbox", "external-ca", &json!({ "secretName": "ca", "selfSign": false })));
    let uid =
        kubectl(&["get", "tcsissuer", "external-ca", "-n", "sandbox", "-o", "jsonpath={.metadata.uid}"]);
    apply(&ca_secret(&uid));
    apply(&attestation("sandbox.external-ca.tcsissuer.tcs.intel.com", &json!({ "signerName": "a" })));
    kubectl(&["create", "secret", "generic", "wrapped-key", "-n", "tcs-issuer", "--from-literal=tls.key=a"]);

    let page = std::fs::read_to_string(repository().join("docs/uninstall.md")).unwrap();
    let blocks = shell_blocks(&page);
    let namespace = blocks.iter().position(|block| block.contains("delete namespace")).unwrap();
    document::run(&blocks[..namespace], shell(&control_plane, dir.path()), &dir.path().join("before"))
        .unwrap();
    kubectl(&["get", "secret", "wrapped-key", "-n", "tcs-issuer"]);
    document::run(&blocks[namespace..], shell(&control_plane, dir.path()), &dir.path().join("after"))
        .unwrap();

    // The page has waited for the garbage collector, which would not delete the Secret any more.
    assert_eq!(kubectl(&["get", "secret", "ca", "-n", "sandbox", "--ignore-not-found"]), "");
    let kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = kubectl(&["get", kinds, "-o", "name"]);
    let ours: Vec<_> = left.lines().filter(|name| name.contains("tcs")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
