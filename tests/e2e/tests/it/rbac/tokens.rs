//! Tokens of `ServiceAccounts`, which nobody may obtain by a Secret.

use crate::rbac::secrets::{assert_refused_by_policy, secrets, write_secret};
use crate::support::api_server::{
    can_i, client, control_plane, create, key_owner, kubectl, namespace_with_account, output, service,
};
use crate::support::wait::DEADLINE;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use serde_json::json;
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::process::wait_for;

/// Otherwise the key owner could have a token of the service made under the one name that they may read.
#[test]
fn nobody_makes_a_token_of_the_service() {
    let owner = key_owner("key-owner-token");
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "wrapped-key", "namespace": "tcs-issuer",
            "annotations": { "kubernetes.io/service-account.name": "tcs-issuer" },
        },
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token.to_string()).unwrap();
    for who in [&owner, &control_plane().admin_kubeconfig()] {
        // A policy takes effect a moment after it was written.
        wait_for(DEADLINE, "the policy about tokens", || {
            let dry_run = ["create", "--dry-run=server", "--filename"];
            let refused = output(control_plane().kubectl_as(who).args(dry_run).arg(file.path()));
            Ok(refused.err().filter(|error| error.contains("'tcs-issuer-tokens'")))
        })
        .unwrap();
    }
    let mut elsewhere = token;
    elsewhere["metadata"]["namespace"] = json!("default");
    elsewhere["metadata"]["annotations"]["kubernetes.io/service-account.name"] = json!("default");
    create(&elsewhere).unwrap();
    kubectl(&["delete", "secret", "wrapped-key", "-n", "default"]);
}

#[tokio::test]
async fn the_service_makes_no_token_secret_anywhere() {
    namespace_with_account("tokens", "victim");
    let client = client(&service()).await;
    for (namespace, account) in [("tokens", "victim"), ("tcs-issuer", "tcs-issuer")] {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": { "name": "token", "annotations": { "kubernetes.io/service-account.name": account } },
        });
        let secret: Secret = serde_json::from_value(object.clone()).unwrap();
        let api = secrets(&client, namespace);
        for outcome in [api.create(&PostParams::default(), &secret).await, write_secret(&api, &object).await]
        {
            if namespace == SERVICE_NAMESPACE {
                // Two policies refuse it there, and either may be named.
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains("ValidatingAdmissionPolicy 'tcs-issuer-"), "{error}");
            } else {
                assert_refused_by_policy(outcome, namespace);
            }
        }
    }
    let api = secrets(&client, "tcs-issuer");
    let own = json!({ "app.kubernetes.io/managed-by": "tcs-issuer", "tcs.intel.com/issuer-uid": "uid-1" });
    let sealed = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "tcs.intel.com/sealed-ca",
        "metadata": { "name": "sealed", "labels": own }, "data": { "sealed-ca": "AAAA" },
    });
    write_secret(&api, &sealed).await.expect("it stores sealed keys in its own namespace");
    let elsewhere = write_secret(&secrets(&client, "tokens"), &sealed).await;
    assert_refused_by_policy(elsewhere, "a sealed key elsewhere");
    for verb in ["create serviceaccounts --subresource=token", "create pods", "impersonate users"] {
        assert!(!can_i(&service(), &format!("{verb} -n tcs-issuer")), "{verb}");
    }
}
