//! The rights of the service's account: the API server is asked about each right of the manifest.

use super::finding::Finding;
use super::manifest::{APPLY, Manifest};
use crate::cluster::{self, Cluster, decode};
use crate::error::Error;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde_json::Value;
use tcs_api::{SERVICE_ACCOUNT, SERVICE_NAMESPACE};

const CHECK: &str = "Rights";

/// How many missing rights are named.
const SHOWN: usize = 8;

/// Checks the rights of the `ClusterRole` and of the `Role` of the service.
pub async fn check(cluster: &Cluster, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (kind, namespace) in [("ClusterRole", None), ("Role", Some(SERVICE_NAMESPACE))] {
        let object =
            format!("{kind} {SERVICE_ACCOUNT} for ServiceAccount {SERVICE_NAMESPACE}/{SERVICE_ACCOUNT}");
        let role = manifest.of_kind(kind).find(|(name, _)| *name == SERVICE_ACCOUNT);
        let Some((_, role)) = role else { continue };
        let rights = rights(role, namespace);
        findings.push(match missing(cluster, &rights).await {
            Ok(missing) if missing.is_empty() => Finding::good(CHECK, object, "complete"),
            Ok(missing) => {
                Finding::wrong(CHECK, object, format!("missing: {}", told(&missing, rights.len())), APPLY)
            }
            Err(error) => Finding::of_error(CHECK, object, &error),
        });
    }
    findings
}

/// Every right that the rules of a role name.
fn rights(role: &Value, namespace: Option<&str>) -> Vec<ResourceAttributes> {
    let rules = role.get("rules").cloned().unwrap_or_default();
    let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap_or_default();
    rules.iter().flat_map(|rule| of_rule(rule, namespace)).collect()
}

fn of_rule(rule: &PolicyRule, namespace: Option<&str>) -> Vec<ResourceAttributes> {
    let names: Vec<Option<String>> = match rule.resource_names.as_deref() {
        None | Some([]) => vec![None],
        Some(names) => names.iter().cloned().map(Some).collect(),
    };
    let mut all = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            let (resource, subresource) = match resource.split_once('/') {
                Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
                None => (resource.as_str(), None),
            };
            for verb in &rule.verbs {
                all.extend(names.iter().map(|name| ResourceAttributes {
                    group: Some(group.clone()),
                    resource: Some(resource.to_owned()),
                    subresource: subresource.clone(),
                    verb: Some(verb.clone()),
                    name: name.clone(),
                    namespace: namespace.map(str::to_owned),
                    ..ResourceAttributes::default()
                }));
            }
        }
    }
    all
}

/// The rights that the account does not have, in words.
async fn missing(cluster: &Cluster, rights: &[ResourceAttributes]) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for right in rights {
        if !is_allowed(cluster, right).await? {
            missing.push(shown(right));
        }
    }
    Ok(missing)
}

/// The missing rights, with what follows where it is not obvious.
fn told(missing: &[String], of: usize) -> String {
    const CONSEQUENCES: [(&str, &str); 2] = [
        (
            "subjectaccessreviews.",
            "so nobody can learn who may use a TCSIssuer, and requests for TCSIssuers are not signed",
        ),
        ("leases.", "so no controller can lead (docs/ha.md), and nothing is signed"),
    ];
    let mut told = match (missing.len(), missing.get(..SHOWN)) {
        // Every right: the role is not bound, or does not exist.
        (all, Some(_)) if all == of => format!("every one of its {of} rights"),
        (all, Some(first)) if all > SHOWN => {
            format!("{}; and {} more", first.join("; "), all.saturating_sub(SHOWN))
        }
        _ => missing.join("; "),
    };
    for (resource, consequence) in CONSEQUENCES {
        if missing.iter().any(|right| right.contains(resource)) {
            told = format!("{told}; {consequence}");
        }
    }
    told
}

async fn is_allowed(cluster: &Cluster, right: &ResourceAttributes) -> Result<bool, Error> {
    let group = |name: &str| name.to_owned();
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{SERVICE_NAMESPACE}:{SERVICE_ACCOUNT}")),
            groups: Some(vec![
                group("system:serviceaccounts"),
                format!("system:serviceaccounts:{SERVICE_NAMESPACE}"),
                group("system:authenticated"),
            ]),
            resource_attributes: Some(right.clone()),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = cluster.create::<SubjectAccessReview>(None, &review).await?;
    let status = answer.get("status").cloned().unwrap_or(Value::Null);
    decode::<SubjectAccessReviewStatus>("SubjectAccessReview", status).and_then(cluster::is_allowed)
}

fn shown(right: &ResourceAttributes) -> String {
    let part = |prefix: &str, text: Option<&String>| {
        text.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!("{prefix}{text}"))
    };
    format!(
        "{} {}{}{}{}",
        part("", right.verb.as_ref()),
        part("", right.resource.as_ref()),
        part(".", right.group.as_ref()),
        part("/", right.subresource.as_ref()),
        part(" ", right.name.as_ref())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_are_named_with_what_follows_and_never_by_the_dozen() {
        let missing = |count: usize| (0..count).map(|at| format!("get x{at}")).collect::<Vec<_>>();
        assert_eq!(told(&missing(2), 20), "get x0; get x1");
        assert_eq!(told(&missing(20), 20), "every one of its 20 rights");
        assert!(told(&missing(12), 20).ends_with("get x7; and 4 more"));
        let lease = ["create leases.coordination.k8s.io".to_owned()];
        assert!(told(&lease, 20).contains("nothing is signed"));
        let review = ["create subjectaccessreviews.authorization.k8s.io".to_owned()];
        assert!(told(&review, 20).contains("requests for TCSIssuers are not signed"));
    }

    #[test]
    fn every_right_of_the_manifest_is_asked_for() {
        let manifest = Manifest::read().unwrap();
        let all = |kind: &str, namespace| {
            let (_, role) = manifest.of_kind(kind).find(|(name, _)| *name == SERVICE_ACCOUNT).unwrap();
            rights(role, namespace)
        };
        let of_cluster: Vec<String> = all("ClusterRole", None).iter().map(shown).collect();
        for right in [
            "watch tcsissuers.tcs.intel.com",
            "update certificatesigningrequests.certificates.k8s.io/status",
            "watch certificaterequests.cert-manager.io",
            "patch certificaterequests.cert-manager.io/status",
            "sign signers.certificates.k8s.io tcsissuer.tcs.intel.com/*",
            "create secrets",
            "create subjectaccessreviews.authorization.k8s.io",
        ] {
            assert!(of_cluster.contains(&right.to_owned()), "{right}: {of_cluster:?}");
        }
        let own = all("Role", Some(SERVICE_NAMESPACE));
        assert!(own.iter().all(|right| right.namespace.as_deref() == Some(SERVICE_NAMESPACE)));
        let own: Vec<String> = own.iter().map(shown).collect();
        for right in [
            "delete quoteattestations.tcs.intel.com",
            "create leases.coordination.k8s.io",
            "get leases.coordination.k8s.io tcs-issuer",
            "update leases.coordination.k8s.io tcs-issuer",
        ] {
            assert!(own.contains(&right.to_owned()), "{right}: {own:?}");
        }
    }
}
