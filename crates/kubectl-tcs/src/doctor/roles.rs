//! The roles of users of the service, compared with the manifest. Who has them is up to administrators.

use super::difference::difference;
use super::finding::Finding;
use super::manifest::{APPLY, Manifest};
use crate::cluster::Cluster;
use crate::error::Error;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use serde_json::{Value, json};
use tcs_api::{SERVICE_ACCOUNT, SERVICE_NAMESPACE};

const CHECK: &str = "Roles";

/// Checks every role of the manifest but those of the service's account, whose rights are checked one by one.
pub async fn check(cluster: &Cluster, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, expected) in of_users(manifest, "ClusterRole") {
        let found = cluster.get::<ClusterRole>(None, name).await;
        findings.push(finding(&format!("ClusterRole {name}"), expected, found));
    }
    for (name, expected) in of_users(manifest, "Role") {
        let found = cluster.get::<Role>(Some(SERVICE_NAMESPACE), name).await;
        findings.push(finding(&format!("Role {SERVICE_NAMESPACE}/{name}"), expected, found));
    }
    findings
}

fn of_users<'a>(manifest: &'a Manifest, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    manifest.of_kind(kind).filter(|(name, _)| *name != SERVICE_ACCOUNT)
}

fn finding(object: &str, expected: &Value, found: Result<Option<Value>, Error>) -> Finding {
    let found = match found {
        Ok(Some(found)) => found,
        Ok(None) => return Finding::wrong(CHECK, object, "it is missing", APPLY),
        Err(error) => return Finding::of_error(CHECK, object, &error),
    };
    match difference(object, Some(&compared(expected)), Some(&compared(&found))) {
        None => Finding::good(CHECK, object, "as in this version"),
        Some(difference) => Finding::wrong(CHECK, object, difference, APPLY),
    }
}

/// The rules, and the labels by which standard roles contain this one. Others may add labels.
fn compared(role: &Value) -> Value {
    let labels = role.pointer("/metadata/labels").and_then(Value::as_object);
    let aggregates = labels.into_iter().flatten().filter(|(name, _)| name.contains("aggregate-to-"));
    let aggregates: serde_json::Map<String, Value> =
        aggregates.map(|(name, value)| (name.clone(), value.clone())).collect();
    json!({"rules": role.get("rules"), "labels": aggregates})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;

    #[test]
    fn a_role_that_was_changed_is_found() {
        let manifest = Manifest::read().unwrap();
        let names =
            |kind: &str| of_users(&manifest, kind).map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let expected =
            ["tcs-issuer-approver", "tcs-issuer-cert-manager-approver", "tcs-issuer-view", "tcs-issuer-edit"];
        assert_eq!(names("ClusterRole"), expected);
        assert_eq!(names("Role"), ["tcs-key-owner"]);
        let (_, expected) = of_users(&manifest, "ClusterRole").nth(3).unwrap();
        let outcome = |found: &Value| finding("R", expected, Ok(Some(found.clone()))).outcome;
        assert_eq!(outcome(expected), Outcome::Good);
        assert_eq!(finding("R", expected, Ok(None)).outcome, Outcome::Wrong);
        assert_eq!(finding("R", expected, Err(Error::NotFound("x".into()))).outcome, Outcome::Unchecked);
        let mut less = expected.clone();
        less["rules"][0]["verbs"] = json!(["get"]);
        assert_eq!(outcome(&less), Outcome::Wrong);
        let mut alone = expected.clone();
        alone["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] = json!("false");
        assert_eq!(outcome(&alone), Outcome::Wrong);
        let mut labelled = expected.clone();
        labelled["metadata"]["labels"]["mine"] = json!("x");
        assert_eq!(outcome(&labelled), Outcome::Good);
    }
}
