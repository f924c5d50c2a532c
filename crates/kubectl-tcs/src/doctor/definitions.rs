//! The definitions of our kinds of resources, compared with those that are compiled in.

use super::difference::difference;
use super::finding::Finding;
use crate::cluster::{Cluster, decode, without_record};
use crate::error::Error;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

const CHECK: &str = "CustomResourceDefinition";
const APPLY: &str =
    "kubectl apply -f deployment/crds/   # in the repository of the service, at the version that runs";

/// Checks every definition.
pub async fn check(cluster: &Cluster) -> Vec<Finding> {
    let mut findings = Vec::new();
    for expected in tcs_api::v1alpha1::crds() {
        let name = expected.metadata.name.clone().unwrap_or_default();
        findings.push(match cluster.get::<CustomResourceDefinition>(None, &name).await {
            Ok(found) => compare(&name, &expected, found),
            Err(error) => Finding::of_error(CHECK, name, &error),
        });
    }
    findings
}

fn compare(name: &str, expected: &CustomResourceDefinition, found: Option<Value>) -> Finding {
    let Some(found) = found else {
        return Finding::wrong(CHECK, name, "it is missing", APPLY);
    };
    let found: CustomResourceDefinition = match read(name, found) {
        Ok(found) => found,
        Err(error) => return Finding::of_error(CHECK, name, &error),
    };
    let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_established = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Established" && condition.status == "True");
    if let Some(difference) = difference("spec", Some(&compared(expected)), Some(&compared(&found))) {
        return Finding::wrong(CHECK, name, difference, APPLY);
    }
    if !is_established {
        let advice = format!("kubectl describe customresourcedefinitions {name}");
        return Finding::wrong(CHECK, name, "it is not Established", advice);
    }
    Finding::good(CHECK, name, "as in this version, and established")
}

fn read(name: &str, found: Value) -> Result<CustomResourceDefinition, Error> {
    decode(&format!("{CHECK} {name}"), without_record(found))
}

/// What decides how objects are stored and checked. The API server adds names and a conversion.
fn compared(definition: &CustomResourceDefinition) -> Value {
    let spec = &definition.spec;
    let versions = spec.versions.iter().map(|version| {
        json!({
            "name": version.name,
            "served": version.served,
            "storage": version.storage,
            "schema": version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()),
            "hasStatus": version.subresources.as_ref().is_some_and(|all| all.status.is_some()),
        })
    });
    json!({
        "group": spec.group,
        "scope": spec.scope,
        "names": {"kind": spec.names.kind, "plural": spec.names.plural},
        "versions": versions.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    fn installed() -> (CustomResourceDefinition, Value) {
        let definition = tcs_api::v1alpha1::crds().remove(0);
        let mut object = serde_json::to_value(&definition).unwrap();
        object["status"] = json!({
            "acceptedNames": {"kind": "", "plural": ""}, "storedVersions": [],
            "conditions": [{"type": "Established", "status": "True"}],
        });
        (definition, object)
    }

    #[test]
    fn a_definition_of_another_version_is_found() {
        let (expected, object) = installed();
        let outcome = |object: Option<Value>| compare("x", &expected, object).outcome;
        assert_eq!(outcome(Some(object.clone())), Outcome::Good);
        assert_eq!(outcome(None), Outcome::Wrong);
        let mut other = object.clone();
        other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["quote"]
            ["maxLength"] = json!(1);
        let finding = compare("x", &expected, Some(other));
        assert!(finding.found.contains("quote.maxLength should be"), "{}", finding.found);
        let mut pending = object.clone();
        pending["status"]["conditions"][0]["status"] = json!("False");
        assert_eq!(outcome(Some(pending)), Outcome::Wrong);
        assert_eq!(outcome(Some(json!({"spec": 5}))), Outcome::Unchecked);
    }
}
