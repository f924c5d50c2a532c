//! The schema of `QuoteAttestation`s, and how people patch their status.

use crate::support::api_server::{attestation, client, control_plane, create};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tcs_api::conditions;
use tcs_api::v1alpha1::{QuoteAttestation, QuoteCondition};

#[tokio::test]
async fn w_d14_the_documents_patch_repeated_loses_nothing() {
    let client = client(&control_plane().admin_kubeconfig()).await;
    let name = "patched.external-ca.tcsissuer.tcs.intel.com";
    let signer = "tcsissuer.tcs.intel.com/patched.external-ca";
    create(&attestation(name, &json!({ "signerNames": [signer] }))).unwrap();
    let api: Api<QuoteAttestation> = Api::namespaced(client, "tcs-issuer");

    let documents = json!([
        { "op": "add", "path": "/status/secrets",
          "value": { signer: { "secretName": "wrapped-key", "secretType": "KMRA" } } },
        { "op": "add", "path": "/status/conditions/-",
          "value": { "type": "CASecretReady", "status": "true", "reason": "AttestationControllerReconcile",
                     "message": "Quote verification success" } },
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(documents).unwrap());
    let error = api.patch_status(name, &PatchParams::default(), &patch).await.unwrap_err().to_string();
    assert!(error.contains("code: 422"), "there is nothing to append to before Init: {error}");

    let put = async |type_: &str, status: &str| {
        let mut object = api.get(name).await.unwrap();
        object.status.get_or_insert_default().conditions.push(QuoteCondition {
            type_: Some(type_.into()),
            status: Some(status.into()),
            ..QuoteCondition::default()
        });
        api.replace_status(name, &PostParams::default(), &object).await.unwrap();
    };
    put(conditions::INIT, "True").await;
    api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    put(conditions::KEY_ACCEPTED, "False").await;
    let last = api.patch_status(name, &PatchParams::default(), &patch).await.unwrap();

    let status = last.status.unwrap();
    let types: Vec<_> = status.conditions.iter().filter_map(|c| c.type_.as_deref()).collect();
    assert_eq!(types, ["Init", "CASecretReady", "KeyAccepted", "CASecretReady"]);
    assert!(conditions::is_true(&status.conditions, conditions::CA_SECRET_READY));
    assert_eq!(status.secrets[signer].secret_name, "wrapped-key");
}

#[tokio::test]
async fn the_union_schema_takes_what_the_originals_versions_wrote() {
    let client = client(&control_plane().admin_kubeconfig()).await;
    let api: Api<QuoteAttestation> = Api::namespaced(client, "tcs-issuer");
    let versions = [
        ("s1", json!({ "serviceId": "SgxOperator", "quoteVersion": "ECDSA Quote 3", "signerNames": ["a"] })),
        ("s1b", json!({ "serviceId": "x", "signerNames": ["a"], "type": "QuoteAttestation" })),
        ("s3", json!({ "serviceId": "", "signerName": "a", "secretName": "s", "type": "KeyProvisioning" })),
        ("s4", json!({ "serviceId": "", "signerName": "a", "type": "KeyProvisioning", "nonce": "bm9uY2U=" })),
    ];
    for (name, spec) in &versions {
        let written = attestation(name, spec);
        create(&written).unwrap();
        let read = api.get(name).await.unwrap();
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), written["spec"], "nothing is pruned");
    }

    let go_writers = json!({ "status": { "conditions": [
        { "type": "Init", "status": "True", "reason": "", "message": "", "lastUpdateTime": null },
        { "type": "x", "status": "anything" },
        {},
    ] } });
    let patched = api.patch_status("s1", &PatchParams::default(), &Patch::Merge(go_writers)).await.unwrap();
    assert_eq!(patched.status.unwrap().conditions.len(), 3);

    for (spec, expected) in [
        (json!({}), "one of signerNames and signerName is required"),
        (json!({ "signerNames": [] }), "one of signerNames and signerName is required"),
        (json!({ "signerName": "a", "type": "Other" }), "type must be QuoteAttestation or KeyProvisioning"),
        (json!({ "signerName": "a", "quote": "!" }), "spec.quote"),
        (json!({ "signerName": "a", "quote": "A".repeat(65_540) }), "may not be more than 65536"),
    ] {
        let error = create(&attestation("refused", &spec)).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
