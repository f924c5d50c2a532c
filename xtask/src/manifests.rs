//! What the manifests in `deployment/` must not contain.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tcs_testkit::repository;

/// The objects of all manifests below `deployment/`.
fn objects() -> Vec<Value> {
    let mut objects = Vec::new();
    add(&repository().join("deployment"), &mut objects);
    objects
}

fn add(folder: &Path, objects: &mut Vec<Value>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(&path, objects);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            objects.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
        }
    }
}

/// What is wrong with an object that may contain a secret.
fn secrets_in(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if object["kind"] == "Secret" || object["kind"] == "ConfigMap" {
        found.push(format!("there is a {}", object["kind"]));
    }
    let spec = &object["spec"]["template"]["spec"];
    let containers = ["containers", "initContainers"].map(|kind| spec[kind].as_array());
    for container in containers.into_iter().flatten().flatten() {
        let arguments = ["args", "command"].map(|field| container[field].as_array());
        let texts = arguments.into_iter().flatten().flatten();
        let texts = texts.chain(container["env"].as_array().into_iter().flatten());
        for text in texts.map(Value::to_string) {
            // A name in one piece, so that "pinned" is none.
            let words = text.split(|one: char| !one.is_ascii_alphanumeric()).map(str::to_ascii_lowercase);
            let is_secret = |word: &String| {
                ["pin", "sopin", "userpin", "password", "secret", "secretkeyref", "key"]
                    .contains(&word.as_str())
            };
            found.extend(words.into_iter().filter(is_secret).map(|word| format!("{text}: {word}")));
        }
    }
    found
}

#[test]
fn w_d13_no_pin_and_no_secret_stands_in_a_manifest() {
    let objects = objects();
    assert!(objects.iter().any(|object| object["kind"] == "Deployment"), "all manifests are read");
    for object in &objects {
        assert_eq!(secrets_in(object), Vec::<String>::new(), "{}", object["metadata"]["name"]);
    }
    // What the original did is found.
    let container = |field: &str, value: Value| serde_json::json!({"spec": {"template": {"spec": {"initContainers": [{field: value}]}}}});
    for bad in [
        serde_json::json!({"kind": "Secret"}),
        container("args", serde_json::json!(["--so-pin=12345678"])),
        container("env", serde_json::json!([{"name": "USER_PIN", "value": "1234"}])),
    ] {
        assert_eq!(secrets_in(&bad).len(), 1, "{bad}");
    }
}

/// The verbs of rules for Secrets in roles that apply to the whole cluster.
fn verbs_for_secrets(object: &Value) -> BTreeSet<&str> {
    let rules = object["rules"].as_array().into_iter().flatten();
    let is_for_secrets = |rule: &&Value| {
        let has = |field: &str, wanted: &[&str]| {
            let values = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            values.into_iter().any(|value| wanted.contains(&value))
        };
        has("apiGroups", &["", "*"]) && has("resources", &["secrets", "secrets/*", "*", "*/*"])
    };
    let verbs = rules.filter(is_for_secrets).filter_map(|rule| rule["verbs"].as_array()).flatten();
    verbs.filter_map(Value::as_str).collect()
}

#[test]
fn w_d13_no_role_reads_or_deletes_the_secrets_of_the_whole_cluster() {
    let objects = objects();
    let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
    let mut writers = 0;
    for role in roles {
        let verbs = verbs_for_secrets(role);
        writers += usize::from(!verbs.is_empty());
        let only = BTreeSet::from(["create", "update"]);
        assert!(verbs.is_subset(&only), "{}: {verbs:?}", role["metadata"]["name"]);
    }
    // In the manifest and in deployment/access.yaml.
    assert_eq!(writers, 2, "nobody but the service writes Secrets");
    let all = serde_json::json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    assert_eq!(verbs_for_secrets(&all), ["*"].into());
}
