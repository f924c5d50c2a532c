//! Asks the API server whether the admission policies are there, unchanged and in force.

use super::admission_policies::{Expected, Fault, Kind, OWN_POLICY, compare};
use kube::Client;
use kube::api::{GetParams, PostParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tcs_api::SERVICE_NAMESPACE;

/// The API of admission policies.
const API_VERSION: &str = "admissionregistration.k8s.io/v1";
/// Name of the Secret whose creation is tried and never carried out.
const PROBE: &str = "tcs-issuer-admission-probe";
/// How often what can be a matter of a moment is tried. An API server takes about a second to act on a policy that it was given, and one
/// that has just started refuses reads until it has read the roles.
const TRIES: u32 = 12;

/// Checks all, with `pause` between two tries. The inner result is what was found; the outer one fails if the API server could not be asked.
pub async fn check(
    client: &Client,
    expected: &[Expected],
    pause: Duration,
) -> Result<Result<(), Fault>, kube::Error> {
    let mut found = try_once(client, expected).await?;
    for _ in 1..TRIES {
        if !matches!(found, Err(Fault::Unreadable { .. } | Fault::NotEnforced { .. })) {
            break;
        }
        tokio::time::sleep(pause).await;
        found = try_once(client, expected).await?;
    }
    Ok(found)
}

async fn try_once(client: &Client, expected: &[Expected]) -> Result<Result<(), Fault>, kube::Error> {
    for expected in expected {
        let compared = match read(client, expected).await? {
            Ok(found) => compare(expected, found.as_ref()),
            Err(fault) => Err(fault),
        };
        if compared.is_err() {
            return Ok(compared);
        }
    }
    Ok(probe(client).await?.map_or(Ok(()), |answer| Err(Fault::NotEnforced { answer })))
}

/// What of an object bears on what it checks. The rest is skipped, so that metadata that cannot be decoded do not hide it.
#[derive(Deserialize)]
struct Checks {
    #[serde(default)]
    metadata: Leaving,
    #[serde(default)]
    spec: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Leaving {
    deletion_timestamp: Option<String>,
}

/// The object, as plain JSON.
async fn read(client: &Client, expected: &Expected) -> Result<Result<Option<Value>, Fault>, kube::Error> {
    let Expected { kind, name, .. } = expected;
    let get = Request::new(url(*kind)).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    let unreadable = |why: String| Err(Fault::Unreadable { kind: *kind, name: name.clone(), why });
    match client.request::<Checks>(get).await {
        Ok(Checks { metadata, spec }) => Ok(Ok(Some(json!({
            "metadata": { "deletionTimestamp": metadata.deletion_timestamp },
            "spec": spec,
        })))),
        // It is there, and nobody can say what it checks.
        Err(kube::Error::SerdeError(error)) => Ok(unreadable(error.to_string())),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => {
            Ok(if are_served(client).await? { Ok(None) } else { Err(Fault::Unsupported) })
        }
        Err(kube::Error::Api(answer)) if answer.is_forbidden() => Ok(unreadable(answer.message.clone())),
        Err(error) => Err(error),
    }
}

/// Whether the API server knows such objects at all: it answers 404 in either case.
async fn are_served(client: &Client) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(API_VERSION).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == Kind::Policy.plural())),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tries to create a Secret that the service's account may not create. `None`: the policy refused it; else what happened.
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
        Err(kube::Error::Api(answer)) if is_of_our_policy(&answer) => Ok(None),
        // An answer to the write. Anything else (not signed in, too many requests, a fault of the server) is none.
        Err(kube::Error::Api(answer)) if matches!(answer.code, 400 | 403 | 404 | 409 | 422) => {
            Ok(Some(format!("the answer was: {}", answer.message.chars().take(500).collect::<String>())))
        }
        Err(error) => Err(error),
    }
}

fn is_of_our_policy(answer: &kube::core::Status) -> bool {
    answer.is_forbidden() && answer.message.contains(&format!("ValidatingAdmissionPolicy '{OWN_POLICY}'"))
}

/// Where the objects of a kind are.
#[must_use]
pub fn url(kind: Kind) -> String {
    format!("/apis/{API_VERSION}/{}", kind.plural())
}

#[cfg(test)]
mod tests;
