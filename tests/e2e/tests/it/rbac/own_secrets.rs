//! Secrets that the service writes and deletes: CA certificates and sealed keys.

use crate::rbac::secrets::{assert_refused_by_policy, ca_secret, secrets, with, without, write_secret};
use crate::support::api_server::{can_i, client, create, kubectl, service};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

#[tokio::test]
async fn the_service_writes_its_own_ca_secrets_and_only_such() {
    kubectl(&["create", "namespace", "published"]);
    let client = client(&service()).await;
    let api = secrets(&client, "published");
    let good = ca_secret("ca", "uid-1");
    write_secret(&api, &good).await.expect("create");
    write_secret(&api, &good).await.expect("the same again");
    write_secret(&api, &with(good.clone(), "/data", "tls.crt", "bmV3")).await.expect("a new certificate");

    let another = with(good.clone(), "/metadata/labels", "tcs.intel.com/issuer-uid", "uid-2");
    assert_refused_by_policy(write_secret(&api, &another).await, "another issuer's");
    for (what, changed) in [
        ("a key", with(good.clone(), "/data", "tls.key", "a2V5")),
        ("no label", without(good.clone(), "/metadata/labels", "app.kubernetes.io/managed-by")),
        ("no issuer", without(good.clone(), "/metadata/labels", "tcs.intel.com/issuer-uid")),
    ] {
        assert_refused_by_policy(write_secret(&api, &changed).await, what);
    }

    for (what, object) in [
        ("Opaque", with(good.clone(), "", "type", "Opaque")),
        ("a key", with(good.clone(), "/data", "tls.key", "a2V5")),
        ("no label", without(good.clone(), "/metadata/labels", "app.kubernetes.io/managed-by")),
        ("another's label", with(good.clone(), "/metadata/labels", "app.kubernetes.io/managed-by", "x")),
        ("no issuer", without(good.clone(), "/metadata/labels", "tcs.intel.com/issuer-uid")),
        ("no labels", without(good.clone(), "/metadata", "labels")),
    ] {
        let object = with(object, "/metadata", "name", "bad");
        assert_refused_by_policy(write_secret(&api, &object).await, &format!("replace, {what}"));
        let secret: Secret = serde_json::from_value(object).unwrap();
        assert_refused_by_policy(
            api.create(&PostParams::default(), &secret).await,
            &format!("create, {what}"),
        );
    }
}

/// It deletes only Secrets with keys that it sealed, and only in its own namespace.
#[tokio::test]
async fn the_service_deletes_only_what_it_sealed() {
    let client = client(&service()).await;
    let api = secrets(&client, "tcs-issuer");
    let object = |name: &str, kind: &str, label: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {
                "name": name, "namespace": "tcs-issuer", "labels": { "app.kubernetes.io/managed-by": label },
            },
            "data": { "x": "AAAA" },
        })
    };
    for (name, kind, label) in [
        ("delete-opaque", "Opaque", "tcs-issuer"),
        ("delete-foreign", "tcs.intel.com/sealed-ca", "somebody"),
        ("delete-sealed", "tcs.intel.com/sealed-ca", "tcs-issuer"),
    ] {
        create(&object(name, kind, label)).unwrap();
        let deleted = api.delete(name, &DeleteParams::default()).await;
        if name == "delete-sealed" {
            deleted.expect("its own");
        } else {
            assert_refused_by_policy(deleted, name);
        }
    }
    assert!(!can_i(&service(), "delete secrets -n default"));
    assert!(!can_i(&service(), "deletecollection secrets -n tcs-issuer"));
}
