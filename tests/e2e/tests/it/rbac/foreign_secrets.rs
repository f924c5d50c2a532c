//! Secrets of others, which the service neither reads nor writes.

use crate::rbac::secrets::{
    assert_forbidden, assert_refused_by_policy, ca_secret, secrets, with, write_secret,
};
use crate::support::api_server::{can_i, client, create, kubectl, service};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

/// Secrets of others in a namespace, among them some that carry the labels of the service.
fn foreign_secrets(own_labels: &Value) -> [(&'static str, Value); 5] {
    let hush = "aHVzaA==";
    let tls = |data: Value| json!({ "type": "kubernetes.io/tls", "data": data });
    let labelled = |mut object: Value| {
        object["metadata"]["labels"] = own_labels.clone();
        object
    };
    let opaque = |data: Value| json!({ "type": "Opaque", "data": data });
    [
        ("opaque", opaque(json!({ "password": hush }))),
        ("tls", tls(json!({ "tls.key": hush, "tls.crt": hush }))),
        ("unlabelled", tls(json!({ "tls.key": "", "tls.crt": hush }))),
        ("labelled", labelled(opaque(json!({ "tls.key": "", "x": hush })))),
        ("with-key", labelled(tls(json!({ "tls.key": hush, "tls.crt": hush })))),
    ]
    .map(|(name, mut object)| {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Secret");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("foreign");
        (name, object)
    })
}

/// Patches, none of which may reach an object: the API server shows the object that a patch does not fit
/// before any policy is asked.
fn patches(own_labels: &Value) -> [(&'static str, Patch<Value>); 5] {
    let json_patch = |patch: Value| Patch::Json(serde_json::from_value(patch).unwrap());
    [
        ("an empty merge patch", Patch::Merge(json!({}))),
        ("a merge patch that does not fit", Patch::Merge(json!({ "immutable": "x" }))),
        ("a takeover", Patch::Merge(json!({ "metadata": { "labels": own_labels } }))),
        ("an empty JSON patch", json_patch(json!([]))),
        ("a JSON patch that copies", json_patch(json!([{ "op": "copy", "from": "/data", "path": "/type" }]))),
    ]
}

#[tokio::test]
async fn w_s9_the_service_neither_reads_nor_takes_over_a_foreign_secret() {
    kubectl(&["create", "namespace", "foreign"]);
    let ours = ca_secret("ours", "uid-1");
    let own_labels = &ours["metadata"]["labels"];
    let client = client(&service()).await;
    let api = secrets(&client, "foreign");
    for (name, object) in foreign_secrets(own_labels) {
        create(&object).unwrap();
        let before = kubectl(&["get", "secret", name, "-n", "foreign", "-o", "json"]);

        for (what, patch) in patches(own_labels) {
            for dry_run in [false, true] {
                let parameters = PatchParams { dry_run, ..PatchParams::default() };
                assert_forbidden(api.patch(name, &parameters, &patch).await, &format!("{what}, {name}"));
            }
        }
        let apply = PatchParams::apply("tcs-issuer").force();
        let mine = with(ours.clone(), "/metadata", "name", name);
        assert_forbidden(api.patch(name, &apply, &Patch::Apply(&mine)).await, &format!("apply, {name}"));
        // The policy refuses it, or the API server if the type changes. The message shows what was sent only.
        let refused = write_secret(&api, &mine).await.unwrap_err().to_string();
        assert!(!refused.contains("aHVzaA") && !refused.contains("hush"), "{refused}");

        assert_eq!(kubectl(&["get", "secret", name, "-n", "foreign", "-o", "json"]), before);
        assert!(api.get(name).await.is_err());
        assert!(api.delete(name, &DeleteParams::default()).await.is_err());
    }
    assert!(api.list(&ListParams::default()).await.is_err());
}

/// A cluster issuer can name any Secret in the namespace of the service, where the key owner's Secrets are.
#[tokio::test]
async fn w_s9_the_key_owners_secrets_are_not_written_either() {
    let client = client(&service()).await;
    let api = secrets(&client, "tcs-issuer");
    let own = json!({ "app.kubernetes.io/managed-by": "tcs-issuer", "tcs.intel.com/issuer-uid": "uid-1" });
    for (name, kind, key) in
        [("owners-opaque", "Opaque", ""), ("owners-tls", "kubernetes.io/tls", "d3JhcHBlZA==")]
    {
        let data = json!({ "tls.key": key, "tls.crt": "" });
        let owners = json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": { "name": name, "namespace": "tcs-issuer" }, "data": data,
        });
        create(&owners).unwrap();
        let takeover = with(with(ca_secret("ca", "uid-1"), "/metadata", "name", name), "", "type", kind);
        assert_refused_by_policy(write_secret(&api, &takeover).await, name);
        let labels = Patch::Merge(json!({ "metadata": { "labels": own } }));
        assert_refused_by_policy(api.patch(name, &PatchParams::default(), &labels).await, name);
    }
}

#[test]
fn w_d13_the_service_may_neither_read_nor_delete_secrets_outside_of_its_namespace() {
    for namespace in ["default", "kube-system"] {
        for verb in ["get", "list", "watch", "patch", "delete", "deletecollection"] {
            assert!(!can_i(&service(), &format!("{verb} secrets -n {namespace}")), "{verb} in {namespace}");
        }
    }
    assert!(
        can_i(&service(), "update secrets -n default"),
        "only that is open to it, and a policy limits it"
    );
}
