//! The admission policies and their bindings.

use super::difference::difference;
use super::finding::Finding;
use super::manifest::{APPLY, Manifest};
use crate::cluster::{Cluster, Kind};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use serde_json::Value;

/// Checks every policy and every binding of the manifest.
pub async fn check(cluster: &Cluster, manifest: &Manifest) -> Vec<Finding> {
    let mut findings =
        of_kind::<ValidatingAdmissionPolicy>(cluster, manifest, "ValidatingAdmissionPolicy").await;
    findings.extend(
        of_kind::<ValidatingAdmissionPolicyBinding>(cluster, manifest, "ValidatingAdmissionPolicyBinding")
            .await,
    );
    findings
}

async fn of_kind<K: Kind>(cluster: &Cluster, manifest: &Manifest, check: &'static str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, expected) in manifest.of_kind(check) {
        findings.push(match cluster.get::<K>(None, name).await {
            Ok(found) => compare(check, name, expected, found.as_ref()),
            Err(error) => Finding::of_error(check, name, &error),
        });
    }
    findings
}

fn compare(check: &'static str, name: &str, expected: &Value, found: Option<&Value>) -> Finding {
    let Some(found) = found else {
        let why = "it is missing, so the service signs nothing (AdmissionPolicyNotEnforced)";
        return Finding::wrong(check, name, why, APPLY);
    };
    if found.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return Finding::wrong(check, name, "it is being deleted", APPLY);
    }
    match difference("spec", expected.get("spec"), found.get("spec")) {
        None => Finding::good(check, name, "as in this version"),
        Some(difference) => Finding::wrong(check, name, difference, APPLY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use serde_json::json;

    #[test]
    fn a_policy_that_was_weakened_is_found() {
        let manifest = Manifest::read().unwrap();
        let (name, expected) = manifest.of_kind("ValidatingAdmissionPolicy").next().unwrap();
        let outcome = |found: Option<&Value>| compare("P", name, expected, found).outcome;
        assert_eq!(outcome(Some(expected)), Outcome::Good);
        assert_eq!(outcome(None), Outcome::Wrong);
        let mut weak = expected.clone();
        weak["spec"]["failurePolicy"] = json!("Ignore");
        assert_eq!(outcome(Some(&weak)), Outcome::Wrong);
        let mut narrowed = expected.clone();
        narrowed["spec"]["matchConditions"].as_array_mut().unwrap().push(json!({"name": "never"}));
        assert_eq!(outcome(Some(&narrowed)), Outcome::Wrong);
        let mut going = expected.clone();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(outcome(Some(&going)), Outcome::Wrong);
    }
}
