//! The custom resources on a real API server.

use crate::cluster::{answer, apply, client, cluster, fresh_control_plane, kubectl};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tcs_api::conditions;
use tcs_api::v1alpha1::{QuoteAttestation, QuoteCondition, TCSIssuer};
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::process::run;
use tcs_testkit::repository;

fn issuer(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "TCSIssuer",
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec,
    })
}

/// A `QuoteAttestation` in the service's namespace with these fields of spec beside key and quote.
pub fn attestation(name: &str, more: &Value) -> Value {
    let mut spec = json!({ "publicKey": "cHVibGlj", "quote": "cXVvdGU=" });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "QuoteAttestation",
        "metadata": { "name": name, "namespace": "tcs-issuer" },
        "spec": spec,
    })
}

fn columns(arguments: &[&str]) -> Vec<String> {
    let printed = kubectl(arguments);
    printed.lines().next().unwrap().split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bad_issuers_are_refused_with_what_is_wrong() {
    cluster();
    kubectl(&["create", "namespace", "bad-issuers"]);
    let long_name = "n".repeat(64);
    let many_labels: serde_json::Map<_, _> = (0..33).map(|n| (format!("l{n}"), json!("v"))).collect();
    let cases = [
        (long_name.as_str(), json!({ "secretName": "s" }), "metadata.name must have at most 63 characters"),
        ("a", json!({}), "spec.secretName: Required value"),
        ("a", json!({ "secretName": "" }), "should be at least 1 chars long"),
        ("a", json!({ "secretName": "Not_a_Name" }), "spec.secretName"),
        ("a", json!({ "secretName": "s".repeat(254) }), "may not be more than 253"),
        ("a", json!({ "secretName": "s", "selfSign": "no" }), "spec.selfSign"),
        ("a", json!({ "secretName": "s", "selfsign": false }), "unknown field \"spec.selfsign\""),
        (
            "a",
            json!({ "secretName": "s", "labels": { "tcs.intel.com/issuer-uid": "x" } }),
            "are set by the service",
        ),
        (
            "a",
            json!({ "secretName": "s", "labels": { "app.kubernetes.io/managed-by": "x" } }),
            "are set by the service",
        ),
        ("a", json!({ "secretName": "s", "labels": { "not a key": "x" } }), "a label's key must be"),
        ("a", json!({ "secretName": "s", "labels": { "key": "not a value!" } }), "spec.labels.key"),
        ("a", json!({ "secretName": "s", "labels": many_labels }), "must have at most 32 items"),
        (
            "a",
            json!({ "secretName": "s", "policy": { "dnsNames": ["a.*.example"] } }),
            "spec.policy.dnsNames[0]",
        ),
        ("a", json!({ "secretName": "s", "policy": { "uris": ["not a uri"] } }), "spec.policy.uris[0]"),
        ("a", json!({ "secretName": "s", "policy": { "ipRanges": ["ten"] } }), "spec.policy.ipRanges[0]"),
        ("a", json!({ "secretName": "s", "policy": { "emailAddresses": ["nobody"] } }), "emailAddresses[0]"),
        ("a", json!({ "secretName": "s", "policy": { "usages": ["cert sign"] } }), "spec.policy.usages[0]"),
        ("a", json!({ "secretName": "s", "policy": { "keyAlgorithms": ["DSA"] } }), "keyAlgorithms[0]"),
        ("a", json!({ "secretName": "s", "policy": { "maxLifetimeSeconds": 599 } }), "maxLifetimeSeconds"),
        (
            "a",
            json!({ "secretName": "s", "ca": { "policy": { "dnsNames": [""] } } }),
            "spec.ca.policy.dnsNames[0]",
        ),
        ("a", json!({ "secretName": "s", "ca": { "keyAlgorithm": "RSA-2048" } }), "keyAlgorithm must be"),
        (
            "a",
            json!({ "secretName": "s", "ca": { "policy": { "caDepth": 1 } } }),
            "policy.caDepth is at most maxPathLen",
        ),
        ("a", json!({ "secretName": "s", "ca": { "maxPathLen": 1, "policy": { "caDepth": 2 } } }), "at most"),
        (
            "a",
            json!({ "secretName": "s", "policy": { "caDepth": 1, "dnsNames": ["a.example"] } }),
            "caDepth cannot be combined with lists of names",
        ),
        ("a", json!({ "secretName": "s", "policy": { "caDepth": 9 } }), "spec.policy.caDepth"),
    ];
    for (name, spec, expected) in cases {
        let error = apply("create", &issuer("bad-issuers", name, &spec)).expect_err(&spec.to_string());
        assert!(error.contains(expected), "{spec}: {error}");
    }
    let cluster_issuer = json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "TCSClusterIssuer",
        "metadata": { "name": long_name },
        "spec": { "secretName": "s" },
    });
    let error = apply("create", &cluster_issuer).unwrap_err();
    assert!(error.contains("metadata.name must have at most 63 characters"), "{error}");
}

/// A list that is left blank in YAML is null. Where it was meant to be a limit, dropping it silently would open the CA. (Plain
/// `kubectl apply` drops it itself, before the API server sees it: docs/signers.md.)
#[test]
fn review_l5_blank_rules_are_refused() {
    cluster();
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
    ];
    let whole = json!({ "secretName": "s", "ca": { "policy": { "organizations": ["o"] } }, "policy": {
        "dnsNames": ["a.example"], "maxLifetimeSeconds": 600,
    } });
    apply("create", &issuer("blank", "there", &whole)).unwrap();
    for spec in &blanks {
        for verb in [&["create"][..], &["apply", "--server-side"]] {
            let error = kubectl_with(verb, &issuer("blank", "new", spec)).expect_err(&spec.to_string());
            assert!(error.contains("left blank"), "{verb:?} {spec}: {error}");
        }
        let error = kubectl_with(&["replace"], &issuer("blank", "there", spec)).expect_err(&spec.to_string());
        assert!(error.contains("left blank"), "{spec}: {error}");
        // What somebody else wrote stays where a blank object is merged with it; a blank rule is refused.
        let merge = ["apply", "--server-side", "--force-conflicts"];
        if let Err(error) = kubectl_with(&merge, &issuer("blank", "there", spec)) {
            assert!(error.contains("left blank"), "{spec}: {error}");
        }
    }
    let shown = kubectl(&["get", "tcsissuers", "there", "-n", "blank", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["spec"]["policy"], &shown["spec"]["ca"]), (&whole["policy"], &whole["ca"]));
    // An empty list is a rule, and a policy without rules is none.
    for (name, spec) in [
        ("empty", json!({ "secretName": "s", "policy": { "dnsNames": [] }, "ca": { "policy": {} } })),
        ("none", json!({ "secretName": "s", "policy": {}, "ca": {} })),
    ] {
        apply("create", &issuer("blank", name, &spec)).unwrap();
    }
}

fn kubectl_with(verb: &[&str], manifest: &Value) -> Result<String, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), manifest.to_string()).unwrap();
    answer(cluster().kubectl().args(verb).arg("--filename").arg(file.path()))
}

#[test]
fn the_longest_names_fit_everywhere() {
    cluster();
    let namespace = "s".repeat(63);
    let name = format!("{}.{}", "i".repeat(31), "j".repeat(31));
    kubectl(&["create", "namespace", &namespace]);
    let spec = json!({ "secretName": "s", "labels": { "example.com/team": "a.b_c" } });
    apply("create", &issuer(&namespace, &name, &spec)).unwrap();
    let mut object = attestation(
        &tcs_api::signer::quote_attestation_name(&namespace, &name),
        &json!({ "signerNames": [tcs_api::signer::signer_name(&namespace, &name)] }),
    );
    object["metadata"]["labels"] =
        json!({ "tcs.intel.com/issuer-namespace": namespace, "tcs.intel.com/issuer-name": name });
    apply("create", &object).unwrap();
}

#[tokio::test]
async fn self_sign_defaults_to_true_and_cannot_be_changed() {
    let client = client(&cluster().admin_kubeconfig()).await;
    kubectl(&["create", "namespace", "self-sign"]);
    apply("create", &issuer("self-sign", "a", &json!({ "secretName": "s" }))).unwrap();
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

#[tokio::test]
async fn kubectl_prints_and_waits_as_documented() {
    let client = client(&cluster().admin_kubeconfig()).await;
    kubectl(&["create", "namespace", "columns"]);
    apply("create", &attestation("columns.a.tcsissuer.tcs.intel.com", &json!({ "signerNames": ["s"] })))
        .unwrap();
    let get = ["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"];
    assert_eq!(columns(&get), ["NAME", "AGE"]);
    let wide = columns(&[&get[..], &["-o", "wide"]].concat());
    assert_eq!(wide, ["NAME", "AGE", "SIGNER", "KEYACCEPTED"]);

    apply("create", &issuer("columns", "a", &json!({ "secretName": "s" }))).unwrap();
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
    kubectl(&["wait", "--for=condition=Ready", "--timeout=10s", "tcsissuer/a", "--namespace", "columns"]);
    assert_eq!(
        columns(&["get", "tcsissuers", "-A"]),
        ["NAMESPACE", "NAME", "AGE", "READY", "REASON", "MESSAGE"]
    );
}

#[tokio::test]
async fn w_d14_the_documents_patch_repeated_loses_nothing() {
    let client = client(&cluster().admin_kubeconfig()).await;
    let name = "patched.external-ca.tcsissuer.tcs.intel.com";
    let signer = "tcsissuer.tcs.intel.com/patched.external-ca";
    apply("create", &attestation(name, &json!({ "signerNames": [signer] }))).unwrap();
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
    let client = client(&cluster().admin_kubeconfig()).await;
    let api: Api<QuoteAttestation> = Api::namespaced(client, "tcs-issuer");
    let versions = [
        ("s1", json!({ "serviceId": "SgxOperator", "quoteVersion": "ECDSA Quote 3", "signerNames": ["a"] })),
        ("s1b", json!({ "serviceId": "x", "signerNames": ["a"], "type": "QuoteAttestation" })),
        ("s3", json!({ "serviceId": "", "signerName": "a", "secretName": "s", "type": "KeyProvisioning" })),
        ("s4", json!({ "serviceId": "", "signerName": "a", "type": "KeyProvisioning", "nonce": "bm9uY2U=" })),
    ];
    for (name, spec) in &versions {
        let written = attestation(name, spec);
        apply("create", &written).unwrap();
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
        let error = apply("create", &attestation("refused", &spec)).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
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
    // As the service makes it; there is none here.
    apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": "ca", "namespace": "sandbox", "labels": { "app.kubernetes.io/managed-by": "tcs-issuer" },
            "ownerReferences": [{ "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
                                  "name": "external-ca", "uid": uid }],
        },
        "data": { "tls.key": "", "tls.crt": "" },
    }));
    apply(&attestation("sandbox.external-ca.tcsissuer.tcs.intel.com", &json!({ "signerName": "a" })));
    kubectl(&["create", "secret", "generic", "wrapped-key", "-n", "tcs-issuer", "--from-literal=tls.key=a"]);

    let page = std::fs::read_to_string(repository().join("docs/uninstall.md")).unwrap();
    let blocks = shell_blocks(&page);
    let namespace = blocks.iter().position(|block| block.contains("delete namespace")).unwrap();
    let shell = || {
        let kubectl = control_plane.kubectl().get_program().to_owned();
        let folder = std::path::Path::new(&kubectl).parent().unwrap().display().to_string();
        let mut shell = std::process::Command::new("bash");
        shell
            .current_dir(repository())
            .env("KUBECONFIG", control_plane.admin_kubeconfig())
            .env("HOME", dir.path());
        shell.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
        shell
    };
    document::run(&blocks[..namespace], shell(), &dir.path().join("before")).unwrap();
    kubectl(&["get", "secret", "wrapped-key", "-n", "tcs-issuer"]);
    document::run(&blocks[namespace..], shell(), &dir.path().join("after")).unwrap();

    // The page has waited: were it still there, nobody would ever delete it.
    assert_eq!(kubectl(&["get", "secret", "ca", "-n", "sandbox", "--ignore-not-found"]), "");
    let kinds = "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,\
                 validatingadmissionpolicies,validatingadmissionpolicybindings";
    let left = kubectl(&["get", kinds, "-o", "name"]);
    let ours: Vec<_> = left.lines().filter(|name| name.contains("tcs")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
