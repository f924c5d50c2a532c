//! The roles of workloads, of editors and viewers, and of the key owner.

use crate::support::api_server::{
    attestation, can_i, client, control_plane, create, key_owner, kubectl, namespace_with_account, output,
    write_as,
};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tcs_api::v1alpha1::QuoteAttestation;

const RESOURCE: &str = "quoteattestations.tcs.intel.com";
/// All verbs that change objects.
const WRITE_VERBS: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

#[test]
fn a_workloads_account_cannot_write_quote_attestations() {
    let workload = namespace_with_account("workload", "workload");
    for verb in WRITE_VERBS {
        for namespace in ["workload", "tcs-issuer"] {
            assert!(!can_i(&workload, &format!("{verb} {RESOURCE} -n {namespace}")), "{verb}");
            let status = format!("{verb} {RESOURCE} --subresource=status -n {namespace}");
            assert!(!can_i(&workload, &status), "{verb}");
        }
    }
    let error =
        write_as(&workload, &["create"], &attestation("planted", &json!({ "signerName": "a" }))).unwrap_err();
    assert!(error.contains("forbidden"), "{error}");
}

#[test]
fn the_standard_roles_serve_issuers_and_only_show_quote_attestations() {
    let editor = namespace_with_account("edited", "editor");
    let viewer = namespace_with_account("viewed", "viewer");
    let bind = |namespace: &str, role: &str, account: &str| {
        let [role_option, account] =
            [format!("--clusterrole={role}"), format!("--serviceaccount={namespace}:{account}")];
        kubectl(&["create", "rolebinding", role, "-n", namespace, &role_option, &account]);
    };
    bind("edited", "edit", "editor");
    bind("viewed", "view", "viewer");
    for verb in ["get", "list", "watch"] {
        assert!(can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com -n edited")), "{verb}");
        assert!(can_i(&viewer, &format!("{verb} tcsissuers.tcs.intel.com -n viewed")), "{verb}");
        assert!(can_i(&editor, &format!("{verb} {RESOURCE} -n edited")), "{verb}");
        assert!(can_i(&viewer, &format!("{verb} {RESOURCE} -n viewed")), "{verb}");
    }
    // Whoever edits a namespace may use its issuers; whoever views it may not.
    assert!(can_i(&editor, "reference tcsissuers.tcs.intel.com/any -n edited"));
    assert!(!can_i(&editor, "reference tcsissuers.tcs.intel.com/any -n viewed"));
    assert!(!can_i(&viewer, "reference tcsissuers.tcs.intel.com/any -n viewed"));
    for verb in WRITE_VERBS {
        assert!(can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com -n edited")), "{verb}");
        assert!(!can_i(&viewer, &format!("{verb} tcsissuers.tcs.intel.com -n viewed")), "{verb}");
        assert!(
            !can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com --subresource=status -n edited")),
            "{verb}"
        );
        for (who, namespace) in [(&editor, "edited"), (&viewer, "viewed")] {
            assert!(!can_i(who, &format!("{verb} {RESOURCE} -n {namespace}")), "{verb}");
        }
    }
}

#[tokio::test]
async fn the_key_owners_role_does_the_documents_steps_again_and_again() {
    let owner = key_owner("key-owner-steps");
    let name = "owned.external-ca.tcsissuer.tcs.intel.com";
    create(&attestation(name, &json!({ "signerNames": ["tcsissuer.tcs.intel.com/owned.external-ca"] })))
        .unwrap();
    let admin: Api<QuoteAttestation> =
        Api::namespaced(client(&control_plane().admin_kubeconfig()).await, "tcs-issuer");
    let init = json!({ "status": { "conditions": [{ "type": "Init", "status": "True" }] } });
    admin.patch_status(name, &PatchParams::default(), &Patch::Merge(init)).await.unwrap();

    let as_owner = |arguments: &[&str]| output(control_plane().kubectl_as(&owner).args(arguments));
    as_owner(&["get", RESOURCE, "-n", "tcs-issuer"]).unwrap();
    let key = ["get", RESOURCE, "-n", "tcs-issuer", name, "-o", "jsonpath={.spec.publicKey}"];
    assert_eq!(as_owner(&key).unwrap(), "cHVibGlj");
    let patch = r#"[{"op":"add","path":"/status/secrets","value":{"tcsissuer.tcs.intel.com/owned.external-ca":
        {"secretName":"wrapped-key","secretType":"KMRA"}}},
        {"op":"add","path":"/status/conditions/-","value":{"type":"CASecretReady","status":"true"}}]"#;
    let patch =
        ["patch", RESOURCE, name, "-n", "tcs-issuer", "--subresource=status", "--type=json", "-p", patch];
    let fields = ["--from-literal=tls.key=a", "--from-literal=tls.crt=b"];
    let secret = [&["create", "secret", "generic", "-n", "tcs-issuer", "wrapped-key"], &fields[..]].concat();
    for _ in 0..2 {
        as_owner(&secret).unwrap();
        as_owner(&patch).unwrap();
        let replacement = as_owner(&[&secret[..], &["--dry-run=client", "-o", "json"]].concat()).unwrap();
        write_as(&owner, &["replace"], &serde_json::from_str(&replacement).unwrap()).unwrap();
        write_as(&owner, &["apply"], &serde_json::from_str(&replacement).unwrap()).unwrap();
        as_owner(&["get", "secret", "wrapped-key", "-n", "tcs-issuer"]).unwrap();
        as_owner(&["delete", "secret", "wrapped-key", "-n", "tcs-issuer"]).unwrap();
    }
}

#[test]
fn the_key_owners_role_allows_nothing_else() {
    let owner = key_owner("key-owner-limits");
    for verb in WRITE_VERBS {
        assert!(!can_i(&owner, &format!("{verb} {RESOURCE} -n tcs-issuer")), "{verb}");
    }
    for question in [
        "update quoteattestations.tcs.intel.com --subresource=status -n tcs-issuer",
        "list secrets -n tcs-issuer",
        "watch secrets -n tcs-issuer",
        "deletecollection secrets -n tcs-issuer",
        "get secrets/another -n tcs-issuer",
        "update secrets/another -n tcs-issuer",
        "patch secrets/another -n tcs-issuer",
        "delete secrets/another -n tcs-issuer",
        "get secrets/wrapped-key -n default",
        "create secrets -n default",
        "get quoteattestations.tcs.intel.com -n default",
        "get tcsissuers.tcs.intel.com -n tcs-issuer",
        "create pods -n tcs-issuer",
        "create serviceaccounts --subresource=token -n tcs-issuer",
        "get certificatesigningrequests.certificates.k8s.io",
        "update certificatesigningrequests.certificates.k8s.io --subresource=approval",
    ] {
        assert!(!can_i(&owner, question), "{question}");
    }
}
