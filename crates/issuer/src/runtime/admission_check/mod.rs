//! Asks the API server whether the admission policies exist, are unchanged and are in force.

use super::admission_policies::{Expected, OWN_POLICY, ObjectKind, PolicyFault, compare};
use kube::Client;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tcs_api::SERVICE_NAMESPACE;

/// The API of admission policies.
const API_VERSION: &str = "admissionregistration.k8s.io/v1";
/// Name of the Secret whose creation is tried as a dry run.
const PROBE: &str = "tcs-issuer-admission-probe";
/// How often a check is tried whose failure may be temporary. An API server needs about a second to act on a
/// new policy, and one that has just started refuses reads until it has loaded the roles.
const MAX_TRIES: u32 = 12;

/// Checks all policies, with `pause` between two tries. The outer result is an error if the API server could
/// not be asked; the inner one is the result of the check.
pub async fn check(
    client: &Client,
    expected: &[Expected],
    pause: Duration,
) -> Result<Result<(), PolicyFault>, kube::Error> {
    let mut found = try_once(client, expected).await?;
    for _ in 1..MAX_TRIES {
        if !matches!(found, Err(PolicyFault::Unreadable { .. } | PolicyFault::NotEnforced { .. })) {
            break;
        }
        tokio::time::sleep(pause).await;
        found = try_once(client, expected).await?;
    }
    Ok(found)
}

async fn try_once(client: &Client, expected: &[Expected]) -> Result<Result<(), PolicyFault>, kube::Error> {
    for expected in expected {
        let compared = match read(client, expected).await? {
            Ok(found) => compare(expected, found.as_ref()),
            Err(fault) => Err(fault),
        };
        if compared.is_err() {
            return Ok(compared);
        }
    }
    Ok(probe(client).await?.map_or(Ok(()), |answer| Err(PolicyFault::NotEnforced { answer })))
}

/// The fields that determine what an object checks. All others are skipped, so that the object can be read
/// even if the rest of its metadata cannot be decoded.
#[derive(Deserialize)]
struct PolicyObject {
    #[serde(default)]
    metadata: PolicyMetadata,
    #[serde(default)]
    spec: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PolicyMetadata {
    deletion_timestamp: Option<String>,
}

/// Reads an object as plain JSON; `None` if it does not exist.
async fn read(
    client: &Client,
    expected: &Expected,
) -> Result<Result<Option<Value>, PolicyFault>, kube::Error> {
    let Expected { kind, name, .. } = expected;
    let get = Request::new(url(*kind)).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    let unreadable = |why: String| Err(PolicyFault::Unreadable { kind: *kind, name: name.clone(), why });
    match client.request::<PolicyObject>(get).await {
        Ok(PolicyObject { metadata, spec }) => Ok(Ok(Some(json!({
            "metadata": { "deletionTimestamp": metadata.deletion_timestamp },
            "spec": spec,
        })))),
        // It exists, and nobody knows what it checks.
        Err(kube::Error::SerdeError(error)) => Ok(unreadable(error.to_string())),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => {
            Ok(if are_served(client).await? { Ok(None) } else { Err(PolicyFault::Unsupported) })
        }
        Err(kube::Error::Api(answer)) if answer.is_forbidden() => Ok(unreadable(answer.message.clone())),
        Err(error) => Err(error),
    }
}

/// Whether the API server supports such objects: it answers 404 both if it does not and if an object does not
/// exist.
async fn are_served(client: &Client) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(API_VERSION).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == ObjectKind::Policy.plural())),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tries to create a Secret that the service's account may not create. Returns `None` if the policy refused
/// it, otherwise what happened.
async fn probe(client: &Client) -> Result<Option<String>, kube::Error> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": PROBE, "namespace": SERVICE_NAMESPACE },
    });
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let secrets = Request::new(format!("/api/v1/namespaces/{SERVICE_NAMESPACE}/secrets"));
    let create = secrets.create(&parameters, secret.to_string().into_bytes());
    match client.request::<Value>(create.map_err(kube::Error::BuildRequest)?).await {
        Ok(_) => Ok(Some("it was accepted".to_owned())),
        Err(kube::Error::Api(answer)) if is_from_own_policy(&answer) => Ok(None),
        // Only these codes answer the write. Others (unauthenticated, too many requests, a server error) do
        // not.
        Err(kube::Error::Api(answer)) if matches!(answer.code, 400 | 403 | 404 | 409 | 422) => {
            Ok(Some(format!("the answer was: {}", answer.message.chars().take(500).collect::<String>())))
        }
        Err(error) => Err(error),
    }
}

fn is_from_own_policy(answer: &kube::core::Status) -> bool {
    answer.is_forbidden() && answer.message.contains(&format!("ValidatingAdmissionPolicy '{OWN_POLICY}'"))
}

/// The URL of the objects of a kind.
#[must_use]
pub fn url(kind: ObjectKind) -> String {
    format!("/apis/{API_VERSION}/{}", kind.plural())
}

#[cfg(test)]
mod tests;
