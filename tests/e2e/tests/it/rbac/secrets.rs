//! Secrets as the service writes them, and how it is refused.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

/// The Secret with a CA certificate as the service applies it.
pub fn ca_secret(name: &str, issuer_uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": name, "labels": {
            "app.kubernetes.io/managed-by": "tcs-issuer",
            "tcs.intel.com/issuer-uid": issuer_uid,
        } },
        "data": { "tls.key": "", "tls.crt": "Y2VydA==", "ca.crt": "Y2VydA==" },
    })
}

/// An object without a field.
pub fn without(mut value: Value, pointer: &str, key: &str) -> Value {
    value.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    value
}

/// An object with a changed field.
pub fn with(mut value: Value, pointer: &str, key: &str, new: &str) -> Value {
    value.pointer_mut(pointer).unwrap()[key] = json!(new);
    value
}

pub fn secrets(client: &kube::Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}

/// Writes a Secret as the service does.
pub async fn write_secret(api: &Api<Secret>, object: &Value) -> Result<Secret, kube::Error> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let secret: Secret = serde_json::from_value(object.clone()).unwrap();
    match api.replace(name, &PostParams::default(), &secret).await {
        Err(kube::Error::Api(response)) if response.is_not_found() => {
            api.create(&PostParams::default(), &secret).await
        }
        response => response,
    }
}

/// Asserts a refusal by RBAC, before the object is read.
pub fn assert_forbidden<T: std::fmt::Debug>(outcome: Result<T, kube::Error>, what: &str) {
    let error = outcome.expect_err(what).to_string();
    assert!(error.contains("cannot patch resource"), "{what}: {error}");
    assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{what}: {error}");
}

/// Asserts a refusal by our policy, whose message shows nothing of the object.
pub fn assert_refused_by_policy<T: std::fmt::Debug>(outcome: Result<T, kube::Error>, what: &str) {
    let error = outcome.expect_err(what).to_string();
    assert!(error.contains("ValidatingAdmissionPolicy 'tcs-issuer-secrets'"), "{what}: {error}");
    assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{what}: {error}");
}
