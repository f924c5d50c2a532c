//! `kubectl tcs doctor`.

use super::{Run, program_as, tcs};
use crate::support::test_cluster::TestCluster;
use serde_json::{Value, json};
use tcs_testkit::repository;

/// The findings with this outcome: check and object.
fn findings(document: &Value, outcome: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = document["findings"].as_array().unwrap();
    let with = all.iter().filter(|finding| finding["outcome"] == outcome);
    with.map(|finding| (text(&finding["check"]), text(&finding["object"]))).collect()
}

fn doctor(cluster: &TestCluster) -> Run {
    tcs(cluster, &["doctor", "-o", "json"])
}

/// What a kubelet and the controller manager would write.
fn pretend_that_pods_run(cluster: &TestCluster) {
    let image = "tcs.example/tcs-issuer:0.1.0";
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "tcs-issuer-1", "namespace": "tcs-issuer", "labels": {"app.kubernetes.io/name": "tcs-issuer"}},
        "spec": {
            "containers": [
                {"name": "tcs-issuer", "image": image},
                {"name": "tcs-enclave", "image": "tcs.example/tcs-enclave:0.1.0"},
            ],
            "serviceAccountName": "tcs-issuer",
            "automountServiceAccountToken": false,
        },
    }));
    let ready = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    let generation =
        cluster.get_json(&["-n", "tcs-issuer", "deployment/tcs-issuer"])["metadata"]["generation"].clone();
    let counts = json!({
        "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
        "availableReplicas": 1,
    });
    let available = json!({"status": counts}).to_string();
    for (object, status) in [("pod/tcs-issuer-1", ready), ("deployment/tcs-issuer", available.as_str())] {
        cluster.kubectl(&[
            "patch",
            object,
            "-n",
            "tcs-issuer",
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ]);
    }
}

#[test]
fn case_9_8_doctor_finds_what_is_missing_what_was_changed_and_nothing_else() {
    let cluster = TestCluster::without_service();
    let bare = doctor(&cluster);
    bare.failed(7, "Faults");
    let wrong = findings(&bare.json(), "Wrong");
    for expected in [
        ("CustomResourceDefinition", "tcsissuers.tcs.intel.com"),
        ("ValidatingAdmissionPolicy", "tcs-issuer-secrets"),
        ("ValidatingAdmissionPolicyBinding", "tcs-issuer-tokens"),
        ("Deployment", "tcs-issuer/tcs-issuer"),
        ("Pods", "tcs-issuer"),
    ] {
        assert!(wrong.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{expected:?}: {wrong:?}");
    }
    assert!(wrong.iter().any(|(check, _)| check == "Rights"), "{wrong:?}");
    let text = tcs(&cluster, &["doctor"]);
    text.failed(7, "Faults");
    let steps = text.out.matches("  Next: kubectl apply -f deployment/").count();
    assert_eq!(steps, 3, "each step is told once, for kinds, rights and workload: {text:?}");
    let missing = tcs(&cluster, &["status"]);
    assert!(missing.failed(6, "KindMissing").contains("kubectl apply -f deployment/crds/"), "{missing:?}");

    let cluster = cluster.with_service();
    pretend_that_pods_run(&cluster);
    let whole = doctor(&cluster);
    assert_eq!((findings(&whole.json(), "Wrong"), findings(&whole.json(), "Unchecked")), (vec![], vec![]));
    let table = tcs(&cluster, &["doctor"]);
    assert!(table.done().starts_with("CHECK"), "{table:?}");

    for (role, resource, finding) in [
        (
            "clusterrole/tcs-issuer",
            "subjectaccessreviews",
            "create subjectaccessreviews.authorization.k8s.io",
        ),
        (
            "role/tcs-issuer",
            "leases",
            "create leases.coordination.k8s.io; get leases.coordination.k8s.io tcs-issuer",
        ),
    ] {
        remove_rules(&cluster, role, resource);
        let found = doctor(&cluster);
        found.failed(7, "Faults");
        let findings = found.json()["findings"].clone();
        let told = |one: &&Value| one["found"].as_str().unwrap().contains(finding);
        let told = findings.as_array().unwrap().iter().find(told).unwrap_or_else(|| panic!("{findings}"));
        assert_eq!((&told["check"], &told["outcome"]), (&json!("Rights"), &json!("Wrong")), "{told}");
        assert!(told["found"].as_str().unwrap().contains("not signed") || resource == "leases", "{told}");
        assert!(told["advice"].as_str().unwrap().contains("deployment/access.yaml"), "{told}");
    }

    let weaker = r#"{"spec":{"failurePolicy":"Ignore"}}"#;
    let other_image = "tcs-enclave=tcs.example/enclave:0.0.9";
    let changes: [(&[&str], &str, &str); 6] = [
        (&["delete", "clusterrole", "tcs-issuer-edit"], "Roles", "ClusterRole tcs-issuer-edit"),
        (
            &["label", "clusterrole", "tcs-issuer-view", "rbac.authorization.k8s.io/aggregate-to-view-"],
            "Roles",
            "ClusterRole tcs-issuer-view",
        ),
        (
            &["delete", "validatingadmissionpolicybinding", "tcs-issuer-tokens"],
            "ValidatingAdmissionPolicyBinding",
            "tcs-issuer-tokens",
        ),
        (
            &["patch", "validatingadmissionpolicy", "tcs-issuer-secrets", "--type=merge", "-p", weaker],
            "ValidatingAdmissionPolicy",
            "tcs-issuer-secrets",
        ),
        (
            &["set", "image", "deployment/tcs-issuer", "-n", "tcs-issuer", other_image],
            "Versions",
            "tcs-issuer/tcs-issuer",
        ),
        (
            &["delete", "clusterrolebinding", "tcs-issuer"],
            "Rights",
            "ClusterRole tcs-issuer for ServiceAccount tcs-issuer/tcs-issuer",
        ),
    ];
    for (change, check, object) in changes {
        cluster.kubectl(change);
        let found = doctor(&cluster);
        found.failed(7, "Faults");
        let wrong = findings(&found.json(), "Wrong");
        assert!(wrong.contains(&(check.to_owned(), object.to_owned())), "{change:?}: {wrong:?}");
    }
    older_definition(&cluster);
}

/// Removes the rules of a role that name a resource.
fn remove_rules(cluster: &TestCluster, role: &str, resource: &str) {
    let mut object = cluster.get_json(&["-n", "tcs-issuer", role]);
    let rules = object["rules"].as_array_mut().unwrap();
    let before = rules.len();
    rules.retain(|rule| !rule["resources"].as_array().unwrap().contains(&json!(resource)));
    assert!(rules.len() < before, "{role} has no rule of {resource}");
    cluster.try_kubectl_with(&["replace"], &object).unwrap();
}

/// A definition of an earlier version is found.
fn older_definition(cluster: &TestCluster) {
    let path = repository().join("deployment/crds/tcs.intel.com_tcsissuers.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let older = cluster.new_file("crd.yaml", text.replace("maxLength: 253", "maxLength: 252"));
    cluster.kubectl(&["apply", "-f", older.to_str().unwrap()]);
    let found = doctor(cluster).json();
    let of_crd = |finding: &&Value| finding["object"] == "tcsissuers.tcs.intel.com";
    let finding = found["findings"].as_array().unwrap().iter().find(of_crd).unwrap();
    assert_eq!(finding["outcome"], "Wrong", "{finding}");
    assert!(finding["found"].as_str().unwrap().contains("maxLength should be 253 and is 252"), "{finding}");
}

#[test]
fn case_9_8_doctor_never_takes_for_good_what_it_may_not_read() {
    let cluster = crate::support::test_cluster::shared();
    let account = cluster.stack.cluster.service_account_kubeconfig("default", "default").unwrap();
    let run = Run::of(program_as(cluster, &account).args(["doctor", "-o", "json"]));
    run.failed(8, "Unchecked");
    let document = run.json();
    assert_eq!(findings(&document, "Good"), [("Version".to_owned(), "API server".to_owned())]);
    assert!(findings(&document, "Wrong").is_empty(), "{document}");
    assert!(findings(&document, "Unchecked").len() > 10, "{document}");
}
