//! The schema of issuers.

use crate::support::api_server::{attestation, client, control_plane, create, issuer, kubectl, write};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tcs_api::signer;
use tcs_api::v1alpha1::TCSIssuer;

/// Specs with a wrong field, and a part of the message that refuses each.
fn bad_fields() -> Vec<(Value, &'static str)> {
    let many_labels: serde_json::Map<_, _> = (0..33).map(|n| (format!("l{n}"), json!("v"))).collect();
    let labels = |labels: Value| json!({ "secretName": "s", "labels": labels });
    let delivery = |delivery: Value| json!({ "secretName": "s", "selfSign": false, "delivery": delivery });
    vec![
        (json!({}), "spec.secretName: Required value"),
        (json!({ "secretName": "" }), "should be at least 1 chars long"),
        (json!({ "secretName": "Not_a_Name" }), "spec.secretName"),
        (json!({ "secretName": "s".repeat(254) }), "may not be more than 253"),
        (json!({ "secretName": "s", "selfSign": "no" }), "spec.selfSign"),
        (json!({ "secretName": "s", "selfsign": false }), "unknown field \"spec.selfsign\""),
        (json!({ "secretName": "s", "delivery": {} }), "delivery is only for issuers with selfSign: false"),
        (delivery(json!({ "formats": [] })), "should have at least 1 items"),
        (delivery(json!({ "formats": ["kmra-v2"] })), "Unsupported value: \"kmra-v2\""),
        (delivery(json!({ "formats": ["kmra-v1", "kmra-v1", "kmra-v1"] })), "must have at most 2 items"),
        (delivery(json!({ "formats": null })), "left blank"),
        (delivery(json!({ "format": ["kmra-v1"] })), "unknown field"),
        (labels(json!({ "tcs.intel.com/issuer-uid": "x" })), "are set by the service"),
        (labels(json!({ "app.kubernetes.io/managed-by": "x" })), "are set by the service"),
        (labels(json!({ "not a key": "x" })), "a label's key must be"),
        (labels(json!({ "key": "not a value!" })), "spec.labels.key"),
        (labels(json!(many_labels)), "must have at most 32 items"),
    ]
}

/// Specs with a wrong rule or CA, and a part of the message that refuses each.
fn bad_rules() -> Vec<(Value, &'static str)> {
    let policy = |policy: Value| json!({ "secretName": "s", "policy": policy });
    let ca = |ca: Value| json!({ "secretName": "s", "ca": ca });
    vec![
        (policy(json!({ "dnsNames": ["a.*.example"] })), "spec.policy.dnsNames[0]"),
        (policy(json!({ "uris": ["not a uri"] })), "spec.policy.uris[0]"),
        (policy(json!({ "ipRanges": ["ten"] })), "spec.policy.ipRanges[0]"),
        (policy(json!({ "emailAddresses": ["nobody"] })), "emailAddresses[0]"),
        (policy(json!({ "usages": ["cert sign"] })), "spec.policy.usages[0]"),
        (policy(json!({ "keyAlgorithms": ["DSA"] })), "keyAlgorithms[0]"),
        (policy(json!({ "maxLifetimeSeconds": 599 })), "maxLifetimeSeconds"),
        (ca(json!({ "policy": { "dnsNames": [""] } })), "spec.ca.policy.dnsNames[0]"),
        (ca(json!({ "keyAlgorithm": "RSA-2048" })), "keyAlgorithm must be"),
        (ca(json!({ "policy": { "caDepth": 1 } })), "policy.caDepth is at most maxPathLen"),
        (ca(json!({ "maxPathLen": 1, "policy": { "caDepth": 2 } })), "at most"),
        (
            policy(json!({ "caDepth": 1, "dnsNames": ["a.example"] })),
            "caDepth cannot be combined with lists of names",
        ),
        (policy(json!({ "caDepth": 9 })), "spec.policy.caDepth"),
    ]
}

#[test]
fn bad_issuers_are_refused_with_what_is_wrong() {
    kubectl(&["create", "namespace", "bad-issuers"]);
    for (spec, expected) in bad_fields().into_iter().chain(bad_rules()) {
        let error = create(&issuer("bad-issuers", "a", &spec)).expect_err(&spec.to_string());
        assert!(error.contains(expected), "{spec}: {error}");
    }
}

#[test]
fn names_that_do_not_fit_into_labels_are_refused() {
    let name = "n".repeat(64);
    let namespaced = issuer("default", &name, &json!({ "secretName": "s" }));
    let cluster_issuer = json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "TCSClusterIssuer",
        "metadata": { "name": name },
        "spec": { "secretName": "s" },
    });
    for object in [namespaced, cluster_issuer] {
        let error = create(&object).unwrap_err();
        assert!(error.contains("metadata.name must have at most 63 characters"), "{error}");
    }
}

/// A list that is left blank in YAML is null. If it was meant as a limit, dropping it silently would remove
/// the limit. (Plain `kubectl apply` drops it itself, before the API server sees it: docs/signers.md.)
#[test]
fn review_l5_blank_rules_are_refused() {
    kubectl(&["create", "namespace", "blank"]);
    let blanks = [
        json!({ "secretName": "s", "policy": { "dnsNames": null } }),
        json!({ "secretName": "s", "policy": { "dnsNames": null, "usages": ["server auth"] } }),
        json!({ "secretName": "s", "policy": { "maxLifetimeSeconds": null } }),
        json!({ "secretName": "s", "policy": { "caDepth": null } }),
        json!({ "secretName": "s", "policy": null }),
        json!({ "secretName": "s", "ca": { "policy": { "organizations": null } } }),
        json!({ "secretName": "s", "ca": { "policy": null } }),
        json!({ "secretName": "s", "ca": null }),
        json!({ "secretName": "s", "delivery": null }),
    ];
    let complete = json!({ "secretName": "s", "ca": { "policy": { "organizations": ["o"] } }, "policy": {
        "dnsNames": ["a.example"], "maxLifetimeSeconds": 600,
    } });
    create(&issuer("blank", "there", &complete)).unwrap();
    for spec in &blanks {
        for verb in [&["create"][..], &["apply", "--server-side"]] {
            let error = write(verb, &issuer("blank", "new", spec)).expect_err(&spec.to_string());
            assert!(error.contains("left blank"), "{verb:?} {spec}: {error}");
        }
        let error = write(&["replace"], &issuer("blank", "there", spec)).expect_err(&spec.to_string());
        assert!(error.contains("left blank"), "{spec}: {error}");
        // A blank object is merged with what is there and changes nothing; a blank rule is refused.
        let merge = ["apply", "--server-side", "--force-conflicts"];
        if let Err(error) = write(&merge, &issuer("blank", "there", spec)) {
            assert!(error.contains("left blank"), "{spec}: {error}");
        }
    }
    let shown = kubectl(&["get", "tcsissuers", "there", "-n", "blank", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["spec"]["policy"], &shown["spec"]["ca"]), (&complete["policy"], &complete["ca"]));
    // An empty list is a rule, and a policy without rules is none.
    for (name, spec) in [
        ("empty", json!({ "secretName": "s", "policy": { "dnsNames": [] }, "ca": { "policy": {} } })),
        ("none", json!({ "secretName": "s", "policy": {}, "ca": {} })),
    ] {
        create(&issuer("blank", name, &spec)).unwrap();
    }
}

#[tokio::test]
async fn self_sign_defaults_to_true_and_cannot_be_changed() {
    let client = client(&control_plane().admin_kubeconfig()).await;
    kubectl(&["create", "namespace", "self-sign"]);
    create(&issuer("self-sign", "a", &json!({ "secretName": "s" }))).unwrap();
    let api: Api<TCSIssuer> = Api::namespaced(client, "self-sign");
    assert!(api.get("a").await.unwrap().spec.self_sign);
    for change in [json!(false), Value::Null] {
        let patch = Patch::Merge(json!({ "spec": { "selfSign": change } }));
        let outcome = api.patch("a", &PatchParams::default(), &patch).await;
        if change.is_null() {
            assert!(outcome.unwrap().spec.self_sign, "the default stands in for what is taken out");
        } else {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("selfSign cannot be changed"), "{error}");
        }
    }
    let patch = Patch::Merge(json!({ "spec": { "secretName": "other" } }));
    assert_eq!(api.patch("a", &PatchParams::default(), &patch).await.unwrap().spec.secret_name, "other");
}

#[test]
fn the_longest_names_fit_everywhere() {
    let namespace = "s".repeat(63);
    let name = format!("{}.{}", "i".repeat(31), "j".repeat(31));
    kubectl(&["create", "namespace", &namespace]);
    let spec = json!({ "secretName": "s", "labels": { "example.com/team": "a.b_c" } });
    create(&issuer(&namespace, &name, &spec)).unwrap();
    let mut object = attestation(
        &signer::quote_attestation_name(&namespace, &name),
        &json!({ "signerNames": [signer::signer_name(&namespace, &name)] }),
    );
    object["metadata"]["labels"] =
        json!({ "tcs.intel.com/issuer-namespace": namespace, "tcs.intel.com/issuer-name": name });
    create(&object).unwrap();
}
