//! Rights and admission with real `ServiceAccounts` (acceptance 1.7, conformance B10).

use crate::cluster::{
    SETTLE, answer, apply, apply_as, can_i, client, cluster, kubectl, namespace_with_account, service,
};
use crate::crds::attestation;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::path::Path;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::v1alpha1::QuoteAttestation;
use tcs_testkit::process::wait_for;

const ATTESTATION_VERBS: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// The Secret with a CA certificate as the service applies it.
fn ca_secret(name: &str, issuer_uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": { "name": name, "labels": {
            "app.kubernetes.io/managed-by": "tcs-issuer",
            "tcs.intel.com/issuer-uid": issuer_uid,
        } },
        "data": { "tls.key": "", "tls.crt": "Y2VydA==", "ca.crt": "Y2VydA==" },
    })
}

fn without(mut value: Value, pointer: &str, key: &str) -> Value {
    value.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    value
}

fn with(mut value: Value, pointer: &str, key: &str, new: &str) -> Value {
    value.pointer_mut(pointer).unwrap()[key] = json!(new);
    value
}

fn secrets(client: &kube::Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}

/// As the service writes.
async fn put(api: &Api<Secret>, object: &Value) -> Result<Secret, kube::Error> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let secret: Secret = serde_json::from_value(object.clone()).unwrap();
    match api.replace(name, &PostParams::default(), &secret).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => {
            api.create(&PostParams::default(), &secret).await
        }
        answer => answer,
    }
}

/// A refusal by RBAC, before the object is looked at.
fn assert_forbidden<T: std::fmt::Debug>(outcome: Result<T, kube::Error>, what: &str) {
    let error = outcome.expect_err(what).to_string();
    assert!(error.contains("cannot patch resource"), "{what}: {error}");
    assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{what}: {error}");
}

/// A refusal by our policy, and nothing of the object in it.
fn assert_refused_by_policy<T: std::fmt::Debug>(outcome: Result<T, kube::Error>, what: &str) {
    let error = outcome.expect_err(what).to_string();
    assert!(error.contains("ValidatingAdmissionPolicy 'tcs-issuer-secrets'"), "{what}: {error}");
    assert!(!error.contains("aHVzaA") && !error.contains("hush"), "{what}: {error}");
}

#[test]
fn a_workloads_account_cannot_write_quote_attestations() {
    let workload = namespace_with_account("workload", "workload");
    for verb in ATTESTATION_VERBS {
        for namespace in ["workload", "tcs-issuer"] {
            assert!(
                !can_i(&workload, &format!("{verb} quoteattestations.tcs.intel.com -n {namespace}")),
                "{verb}"
            );
            let status =
                format!("{verb} quoteattestations.tcs.intel.com --subresource=status -n {namespace}");
            assert!(!can_i(&workload, &status), "{verb}");
        }
    }
    let error =
        apply_as(&workload, "create", &attestation("planted", &json!({ "signerName": "a" }))).unwrap_err();
    assert!(error.contains("forbidden"), "{error}");
}

#[test]
fn the_standard_roles_serve_issuers_and_only_show_quote_attestations() {
    let editor = namespace_with_account("edited", "editor");
    let viewer = namespace_with_account("viewed", "viewer");
    kubectl(&[
        "create",
        "rolebinding",
        "e",
        "-n",
        "edited",
        "--clusterrole=edit",
        "--serviceaccount=edited:editor",
    ]);
    kubectl(&[
        "create",
        "rolebinding",
        "v",
        "-n",
        "viewed",
        "--clusterrole=view",
        "--serviceaccount=viewed:viewer",
    ]);
    for verb in ["get", "list", "watch"] {
        assert!(can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com -n edited")), "{verb}");
        assert!(can_i(&viewer, &format!("{verb} tcsissuers.tcs.intel.com -n viewed")), "{verb}");
        assert!(can_i(&editor, &format!("{verb} quoteattestations.tcs.intel.com -n edited")), "{verb}");
        assert!(can_i(&viewer, &format!("{verb} quoteattestations.tcs.intel.com -n viewed")), "{verb}");
    }
    for verb in ATTESTATION_VERBS {
        assert!(can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com -n edited")), "{verb}");
        assert!(!can_i(&viewer, &format!("{verb} tcsissuers.tcs.intel.com -n viewed")), "{verb}");
        assert!(
            !can_i(&editor, &format!("{verb} tcsissuers.tcs.intel.com --subresource=status -n edited")),
            "{verb}"
        );
        for (who, namespace) in [(&editor, "edited"), (&viewer, "viewed")] {
            assert!(!can_i(who, &format!("{verb} quoteattestations.tcs.intel.com -n {namespace}")), "{verb}");
        }
    }
}

#[tokio::test]
async fn the_key_owners_role_does_the_documents_steps_again_and_again() {
    let owner = key_owner("key-owner-steps");
    let name = "owned.external-ca.tcsissuer.tcs.intel.com";
    apply(
        "create",
        &attestation(name, &json!({ "signerNames": ["tcsissuer.tcs.intel.com/owned.external-ca"] })),
    )
    .unwrap();
    let admin: Api<QuoteAttestation> =
        Api::namespaced(client(&cluster().admin_kubeconfig()).await, "tcs-issuer");
    let init = json!({ "status": { "conditions": [{ "type": "Init", "status": "True" }] } });
    admin.patch_status(name, &PatchParams::default(), &Patch::Merge(init)).await.unwrap();

    let as_owner = |arguments: &[&str]| answer(cluster().kubectl_as(&owner).args(arguments));
    as_owner(&["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"]).unwrap();
    let key = as_owner(&[
        "get",
        "quoteattestations.tcs.intel.com",
        "-n",
        "tcs-issuer",
        name,
        "-o",
        "jsonpath={.spec.publicKey}",
    ]);
    assert_eq!(key.unwrap(), "cHVibGlj");
    let patch = r#"[{"op":"add","path":"/status/secrets","value":{"tcsissuer.tcs.intel.com/owned.external-ca":
        {"secretName":"wrapped-key","secretType":"KMRA"}}},
        {"op":"add","path":"/status/conditions/-","value":{"type":"CASecretReady","status":"true"}}]"#;
    let create = [
        "create",
        "secret",
        "generic",
        "-n",
        "tcs-issuer",
        "wrapped-key",
        "--from-literal=tls.key=a",
        "--from-literal=tls.crt=b",
    ];
    for _ in 0..2 {
        as_owner(&create).unwrap();
        as_owner(&[
            "patch",
            "quoteattestations.tcs.intel.com",
            name,
            "-n",
            "tcs-issuer",
            "--subresource=status",
            "--type=json",
            "-p",
            patch,
        ])
        .unwrap();
        let replacement = as_owner(&[&create[..], &["--dry-run=client", "-o", "json"]].concat()).unwrap();
        apply_as(&owner, "replace", &serde_json::from_str(&replacement).unwrap()).unwrap();
        apply_as(&owner, "apply", &serde_json::from_str(&replacement).unwrap()).unwrap();
        as_owner(&["get", "secret", "wrapped-key", "-n", "tcs-issuer"]).unwrap();
        as_owner(&["delete", "secret", "wrapped-key", "-n", "tcs-issuer"]).unwrap();
    }
}

#[test]
fn the_key_owners_role_allows_nothing_else() {
    let owner = key_owner("key-owner-limits");
    for verb in ATTESTATION_VERBS {
        assert!(!can_i(&owner, &format!("{verb} quoteattestations.tcs.intel.com -n tcs-issuer")), "{verb}");
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

/// Else the key owner could have a token of the service made under the one name that they may read.
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
    for who in [&owner, &cluster().admin_kubeconfig()] {
        // A policy takes effect a moment after it was written.
        wait_for(SETTLE, "the policy about tokens", || {
            let dry_run = ["create", "--dry-run=server", "--filename"];
            let refused = answer(cluster().kubectl_as(who).args(dry_run).arg(file.path()));
            Ok(refused.err().filter(|error| error.contains("'tcs-issuer-tokens'")))
        })
        .unwrap();
    }
    let mut elsewhere = token;
    elsewhere["metadata"]["namespace"] = json!("default");
    elsewhere["metadata"]["annotations"]["kubernetes.io/service-account.name"] = json!("default");
    apply("create", &elsewhere).unwrap();
    kubectl(&["delete", "secret", "wrapped-key", "-n", "default"]);
}

#[tokio::test]
async fn w_s9_the_service_neither_reads_nor_takes_over_a_foreign_secret() {
    kubectl(&["create", "namespace", "foreign"]);
    let ours = ca_secret("ours", "uid-1");
    let own_labels = &ours["metadata"]["labels"];
    let hush = "aHVzaA==";
    let foreign = [
        ("opaque", json!({ "type": "Opaque", "data": { "password": hush } })),
        ("tls", json!({ "type": "kubernetes.io/tls", "data": { "tls.key": hush, "tls.crt": hush } })),
        ("unlabelled", json!({ "type": "kubernetes.io/tls", "data": { "tls.key": "", "tls.crt": hush } })),
        (
            "labelled",
            json!({ "type": "Opaque", "data": { "tls.key": "" , "x": hush }, "metadata": { "labels": own_labels } }),
        ),
        (
            "with-key",
            json!({ "type": "kubernetes.io/tls", "data": { "tls.key": hush, "tls.crt": hush }, "metadata": { "labels": own_labels } }),
        ),
    ];
    let client = client(&service()).await;
    let api = secrets(&client, "foreign");
    for (name, mut object) in foreign {
        object["apiVersion"] = json!("v1");
        object["kind"] = json!("Secret");
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = json!("foreign");
        apply("create", &object).unwrap();
        let before = kubectl(&["get", "secret", name, "-n", "foreign", "-o", "json"]);

        // Of a patch that does not fit the API server shows what it was applied to, before any policy: no patch at all.
        let copied = json!([{ "op": "copy", "from": "/data", "path": "/type" }]);
        for (what, patch) in [
            ("empty merge patch", Patch::Merge(json!({}))),
            ("a merge patch that does not fit", Patch::Merge(json!({ "immutable": "x" }))),
            ("a takeover", Patch::Merge(json!({ "metadata": { "labels": own_labels } }))),
            ("empty JSON patch", Patch::Json(serde_json::from_value(json!([])).unwrap())),
            ("a JSON patch that copies", Patch::Json(serde_json::from_value(copied).unwrap())),
        ] {
            for dry_run in [false, true] {
                let parameters = PatchParams { dry_run, ..PatchParams::default() };
                assert_forbidden(api.patch(name, &parameters, &patch).await, &format!("{what}, {name}"));
            }
        }
        let apply = PatchParams::apply("tcs-issuer").force();
        let mine = with(ours.clone(), "/metadata", "name", name);
        assert_forbidden(api.patch(name, &apply, &Patch::Apply(&mine)).await, &format!("apply, {name}"));
        // Refused by the policy or, where it changes the type, by the API server; it shows what was sent.
        let refused = put(&api, &mine).await.unwrap_err().to_string();
        assert!(!refused.contains("aHVzaA") && !refused.contains("hush"), "{refused}");

        assert_eq!(kubectl(&["get", "secret", name, "-n", "foreign", "-o", "json"]), before);
        assert!(api.get(name).await.is_err());
        assert!(api.delete(name, &kube::api::DeleteParams::default()).await.is_err());
    }
    assert!(api.list(&kube::api::ListParams::default()).await.is_err());
}

/// A cluster issuer names any Secret of the service's namespace as its own; there the key owner's lie.
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
        apply("create", &owners).unwrap();
        let takeover = with(with(ca_secret("ca", "uid-1"), "/metadata", "name", name), "", "type", kind);
        assert_refused_by_policy(put(&api, &takeover).await, name);
        let labels = Patch::Merge(json!({ "metadata": { "labels": own } }));
        assert_refused_by_policy(api.patch(name, &PatchParams::default(), &labels).await, name);
    }
}

#[tokio::test]
async fn the_service_writes_its_own_ca_secrets_and_only_such() {
    kubectl(&["create", "namespace", "published"]);
    let client = client(&service()).await;
    let api = secrets(&client, "published");
    let good = ca_secret("ca", "uid-1");
    put(&api, &good).await.expect("create");
    put(&api, &good).await.expect("the same again");
    put(&api, &with(good.clone(), "/data", "tls.crt", "bmV3")).await.expect("a new certificate");

    let another = with(good.clone(), "/metadata/labels", "tcs.intel.com/issuer-uid", "uid-2");
    assert_refused_by_policy(put(&api, &another).await, "another issuer's");
    for (what, changed) in [
        ("a key", with(good.clone(), "/data", "tls.key", "a2V5")),
        ("no label", without(good.clone(), "/metadata/labels", "app.kubernetes.io/managed-by")),
        ("no issuer", without(good.clone(), "/metadata/labels", "tcs.intel.com/issuer-uid")),
    ] {
        assert_refused_by_policy(put(&api, &changed).await, what);
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
        assert_refused_by_policy(put(&api, &object).await, &format!("put, {what}"));
        let secret: Secret = serde_json::from_value(object).unwrap();
        assert_refused_by_policy(
            api.create(&PostParams::default(), &secret).await,
            &format!("create, {what}"),
        );
    }
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
        for outcome in [api.create(&PostParams::default(), &secret).await, put(&api, &object).await] {
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
    put(&api, &sealed).await.expect("in its own namespace it keeps what it seals");
    let elsewhere = put(&secrets(&client, "tokens"), &sealed).await;
    assert_refused_by_policy(elsewhere, "a sealed key elsewhere");
    for verb in ["create serviceaccounts --subresource=token", "create pods", "impersonate users"] {
        assert!(!can_i(&service(), &format!("{verb} -n tcs-issuer")), "{verb}");
    }
}

/// Of Secrets it deletes what it sealed itself, and not even that elsewhere.
#[tokio::test]
async fn the_service_deletes_only_what_it_sealed() {
    let client = client(&service()).await;
    let api = secrets(&client, "tcs-issuer");
    let object = |name: &str, kind: &str, label: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": { "name": name, "namespace": "tcs-issuer", "labels": { "app.kubernetes.io/managed-by": label } },
            "data": { "x": "AAAA" },
        })
    };
    for (name, kind, label) in [
        ("delete-opaque", "Opaque", "tcs-issuer"),
        ("delete-foreign", "tcs.intel.com/sealed-ca", "somebody"),
        ("delete-sealed", "tcs.intel.com/sealed-ca", "tcs-issuer"),
    ] {
        apply("create", &object(name, kind, label)).unwrap();
        let deleted = api.delete(name, &kube::api::DeleteParams::default()).await;
        if name == "delete-sealed" {
            deleted.expect("its own");
        } else {
            assert_refused_by_policy(deleted, name);
        }
    }
    assert!(!can_i(&service(), "delete secrets -n default"));
    assert!(!can_i(&service(), "deletecollection secrets -n tcs-issuer"));
}

#[tokio::test]
async fn b10_the_service_signs_for_every_spelling_and_approves_nothing() {
    let approver = namespace_with_account("approvers", "approver");
    kubectl(&[
        "create",
        "clusterrolebinding",
        "approver",
        "--clusterrole=tcs-issuer-approver",
        "--serviceaccount=approvers:approver",
    ]);
    let service_client = client(&service()).await;
    let api: Api<CertificateSigningRequest> = Api::all(service_client);
    let ours = ["tcsissuer", "tcsissuers", "tcsclusterissuer", "tcsclusterissuers"];
    let signers = ours.iter().map(|kind| (format!("{kind}.tcs.intel.com/a.b"), true));
    let foreign = ["example.com/signer", "kubernetes.io/kube-apiserver-client", "tcs.intel.com/a.b"];
    for (number, (signer, served)) in signers.chain(foreign.map(|name| (name.to_owned(), false))).enumerate()
    {
        let name = format!("b10-{number}");
        apply("create", &request(&name, &signer)).unwrap();
        let approve = |kubeconfig: &Path| {
            answer(cluster().kubectl_as(kubeconfig).args(["certificate", "approve", &name]))
        };
        let error = approve(&service()).unwrap_err();
        assert!(error.contains("forbidden"), "{signer}: {error}");
        assert_eq!(approve(&approver).is_ok(), served, "{signer}");

        let mut object = api.get(&name).await.unwrap();
        let failed = json!([{ "type": "Failed", "status": "True", "reason": "Test" }]);
        let status = object.status.get_or_insert_default();
        status.conditions.get_or_insert_default().extend(serde_json::from_value::<Vec<_>>(failed).unwrap());
        let written = api.replace_status(&name, &PostParams::default(), &object).await;
        assert_eq!(written.is_ok(), served, "{signer}: {written:?}");
    }
    for (verb, expected) in [("sign", true), ("approve", false), ("attest", false)] {
        let review = json!({ "spec": { "resourceAttributes": {
            "group": "certificates.k8s.io", "resource": "signers", "verb": verb, "name": "tcsissuer.tcs.intel.com/*",
        } } });
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        let reviews: Api<SelfSubjectAccessReview> = Api::all(client(&service()).await);
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(answer.status.is_some_and(|status| status.allowed), expected, "{verb}");
    }
    for verb in ["update", "patch"] {
        assert!(!can_i(
            &service(),
            &format!("{verb} certificatesigningrequests.certificates.k8s.io --subresource=approval")
        ));
    }
    for verb in ["create", "update", "patch", "delete"] {
        assert!(
            !can_i(&service(), &format!("{verb} certificatesigningrequests.certificates.k8s.io")),
            "{verb}"
        );
        assert!(!can_i(&service(), &format!("{verb} tcsissuers.tcs.intel.com -A")), "{verb}");
    }
}

/// A ServiceAccount with the key owner's role.
pub fn key_owner(namespace: &str) -> std::path::PathBuf {
    let owner = namespace_with_account(namespace, "owner");
    let account = format!("--serviceaccount={namespace}:owner");
    kubectl(&["create", "rolebinding", namespace, "-n", "tcs-issuer", "--role=tcs-key-owner", &account]);
    owner
}

fn request(name: &str, signer: &str) -> Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let csr =
        rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap().serialize_request(&key).unwrap();
    json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": { "name": name },
        "spec": {
            "request": base64::Engine::encode(&base64::engine::general_purpose::STANDARD, csr.pem().unwrap()),
            "signerName": signer,
            "usages": ["client auth"],
        },
    })
}
