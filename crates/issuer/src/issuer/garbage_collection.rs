//! Deletes what belongs to deleted issuers: offers and CA keys in the enclave, `QuoteAttestation`s and sealed
//! keys in the service's namespace.
//!
//! Issuers have no finalizer, so they can be deleted while the service is down. What belongs to them is known
//! by their UID.

use super::{deletion, previous_keys};
use crate::context::Context;
use crate::enclave_client::Connected;
use crate::error::ReconcileError;
use crate::runtime::guarded::Guarded;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt as _};
use std::collections::HashSet;
use std::fmt::Debug;
use tcs_api::v1alpha1::{QuoteAttestation, TCSClusterIssuer, TCSIssuer};
use tcs_api::{SERVICE_NAMESPACE, labels, sealed};

/// Objects in one page of a list. Strangers make issuers, and each may have half a MiB of annotations and
/// labels.
const PAGE_SIZE: u32 = 16;

/// Collects once. Only objects with the service's label are considered: other objects are not the service's
/// to delete.
///
/// Nothing is deleted on the word of the watch cache alone: that of a controller that has just taken over may
/// be older than what the previous leader made. If anything seems to belong to no issuer, all issuers are
/// listed anew.
///
/// An issuer that cannot be decoded exists, so what belongs to it stays. A failure for one object does not
/// stop the collection of others.
pub async fn collect(context: &Context) -> Result<(), ReconcileError> {
    if context.admission.refusal().is_some() {
        return Ok(()); // when the policies are in force again, the next collection is enqueued
    }
    // The issuers are listed last, so that an issuer that is created meanwhile is among them.
    let attestations: Api<Metadata<QuoteAttestation>> =
        Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let listed_attestations = list(&attestations, &ours()).await?;
    let secrets: Api<Metadata<Secret>> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
    let listed_secrets = list(&secrets, &ours()).await?;
    let connected = context.enclave.connected();
    let held = match &connected {
        Some(connected) => connected.holdings().await?,
        None => Vec::new(),
    };
    let mut existing = match context.caches.existing_issuers() {
        Ok(existing) => existing,
        Err(why) => {
            tracing::warn!(
                "nothing that belongs to deleted issuers is deleted until this is corrected: {why}"
            );
            return Ok(());
        }
    };
    let is_candidate = held.iter().any(|state| !existing.contains(&state.issuer_uid))
        || listed_attestations.iter().any(|attestation| is_orphan(attestation, &existing))
        || listed_secrets.iter().any(|secret| is_key_of_none(&secret.name_any(), &existing));
    if is_candidate {
        let Some(listed) = list_issuers(&context.client).await? else { return Ok(()) };
        existing.extend(listed);
    }
    context.statuses.retain(|uid| existing.contains(uid));
    context.lifetimes.retain(|uid| existing.contains(uid));

    let mut outcome = Ok(());
    if let Some(connected) = &connected {
        let held = held.iter().map(|state| state.issuer_uid.as_str());
        outcome = destroy(connected, held.filter(|uid| !existing.contains(*uid))).await;
    }
    for attestation in listed_attestations.iter().filter(|attestation| is_orphan(attestation, &existing)) {
        outcome = outcome.and(delete(attestation, &attestations, "deleted issuer's QuoteAttestation").await);
    }
    outcome.and(collect_secrets(&listed_secrets, &existing, &secrets, context).await)
}

/// The UIDs of the issuers of both kinds at this moment, or `None` if one cannot be read.
async fn list_issuers(client: &Client) -> Result<Option<HashSet<String>>, kube::Error> {
    let namespaced: Api<Metadata<TCSIssuer>> = Api::all(client.clone());
    let cluster: Api<Metadata<TCSClusterIssuer>> = Api::all(client.clone());
    let mut uids: Vec<_> = list(&namespaced, &ListParams::default()).await?.iter().map(uid_of).collect();
    uids.extend(list(&cluster, &ListParams::default()).await?.iter().map(uid_of));
    let uids = uids.into_iter().collect::<Option<_>>();
    if uids.is_none() {
        tracing::warn!(
            "nothing that belongs to deleted issuers is deleted: an issuer has no UID that can be read"
        );
    }
    Ok(uids)
}

fn uid_of<K: Resource<DynamicType = ()>>(object: &Metadata<K>) -> Option<String> {
    object.uid().filter(|uid| !uid.is_empty())
}

/// Selects the service's objects.
fn ours() -> ListParams {
    ListParams::default().labels(&format!("{}={}", labels::MANAGED_BY, labels::MANAGED_BY_US))
}

/// The metadata of objects of one kind. They are listed in pages, because a page is in memory with everything
/// that others added. Without a resource version such a list is a consistent read.
async fn list<K>(api: &Api<Metadata<K>>, parameters: &ListParams) -> Result<Vec<Metadata<K>>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let mut parameters = parameters.clone().limit(PAGE_SIZE);
    let mut all = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        all.extend(page.items);
        match page.metadata.continue_ {
            Some(token) if !token.is_empty() => parameters = parameters.continue_token(&token),
            _ => return Ok(all),
        }
    }
}

/// Destroys what the enclave holds for deleted issuers.
async fn destroy<'a>(
    connected: &Connected,
    uids: impl Iterator<Item = &'a str>,
) -> Result<(), ReconcileError> {
    let mut outcome = Ok(());
    for issuer_uid in uids {
        let destroyed = connected.destroy(issuer_uid).await;
        if destroyed.is_ok() {
            tracing::info!(issuer_uid, "destroyed the offer and the CA key of a deleted issuer");
        }
        outcome = outcome.and(destroyed.map_err(ReconcileError::from));
    }
    outcome
}

/// Deletes sealed keys of deleted issuers and of CAs that were replaced long ago.
async fn collect_secrets(
    listed: &[Metadata<Secret>],
    existing: &HashSet<String>,
    secrets: &Api<Metadata<Secret>>,
    context: &Context,
) -> Result<(), ReconcileError> {
    let trusted = context.clock.trusted_now().map(Timestamp::as_second);
    let outdated = previous_keys::outdated(listed.iter().map(Resource::meta), trusted);
    let mut outcome = Ok(());
    for secret in listed {
        // The name decides, not a label that somebody may have removed: a sealed key that is deleted here
        // cannot be recovered.
        let name = secret.name_any();
        if is_key_of_none(&name, existing) {
            outcome = outcome.and(delete(secret, secrets, "deleted issuer's sealed key").await);
        } else if outdated.contains(&name) {
            outcome = outcome.and(delete(secret, secrets, "replaced CA's sealed key").await);
        }
    }
    outcome
}

/// Only the metadata of objects is read.
type Metadata<K> = Guarded<PartialObjectMeta<K>>;

/// Whether this is the name of a sealed key of none of these issuers.
fn is_key_of_none(name: &str, existing: &HashSet<String>) -> bool {
    sealed::issuer_uid(name).is_some_and(|uid| !existing.contains(uid))
}

/// Whether a `QuoteAttestation` of the service belongs to none of these issuers. If its label cannot be read,
/// the answer is no.
fn is_orphan(attestation: &Metadata<QuoteAttestation>, existing: &HashSet<String>) -> bool {
    match attestation.labels().get(labels::ISSUER_UID) {
        Some(uid) => !existing.contains(uid),
        None => attestation.is_readable(),
    }
}

/// Deletes this object. An object whose UID cannot be read is not deleted, because another one may have its
/// name by now.
async fn delete<K>(found: &Metadata<K>, api: &Api<Metadata<K>>, what: &str) -> Result<(), ReconcileError>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let name = found.name_any();
    if found.uid().is_some() {
        deletion::delete(api, &name, found.uid()).await?;
        tracing::info!(name, "deleted: {what}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use tower::service_fn;

    #[test]
    fn review_h1_a_quote_attestation_whose_labels_cannot_be_read_is_not_deleted() {
        let existing = HashSet::from(["existing".to_owned()]);
        let is_orphan = |labels: Value, more: Value| {
            let object = json!({"metadata": {"name": "a", "labels": labels, "generation": more}});
            is_orphan(&serde_json::from_value(object).unwrap(), &existing)
        };
        let label = |uid: &str| json!({labels::ISSUER_UID: uid});
        for generation in [json!(1), json!("unreadable")] {
            assert!(!is_orphan(label("existing"), generation.clone()));
            assert!(is_orphan(label("deleted"), generation));
        }
        assert!(is_orphan(json!({}), json!(1)));
        assert!(!is_orphan(json!({}), json!("unreadable")));
        assert!(!is_orphan(json!({labels::ISSUER_UID: 5}), json!(1)));
    }

    /// The UIDs that a server of these answers lets us know, and the URLs of the requests.
    async fn issuers_of(
        answer: impl Fn(&str) -> Option<Value> + Clone + Send + 'static,
    ) -> (Result<Option<HashSet<String>>, kube::Error>, Vec<String>) {
        let urls = Arc::new(Mutex::new(Vec::new()));
        let requested = Arc::clone(&urls);
        let service = service_fn(move |request: Request<Body>| {
            let url = request.uri().to_string();
            let answer = answer(&url);
            requested.lock().unwrap().push(url);
            let status = if answer.is_some() { 200 } else { 500 };
            let body = Body::from(answer.unwrap_or_default().to_string().into_bytes());
            std::future::ready(Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()))
        });
        let listed = list_issuers(&Client::new(service, "default")).await;
        let urls = urls.lock().unwrap().clone();
        (listed, urls)
    }

    fn page(items: &[Value], token: &str) -> Value {
        let metadata = json!({"continue": token});
        json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items})
    }

    #[tokio::test]
    async fn issuers_that_no_cache_knows_are_listed_consistently_from_the_api_server() {
        let named = |uid: &str| json!({"metadata": {"name": uid, "uid": uid}});
        let (listed, urls) = issuers_of(move |url| {
            let broken = json!({"metadata": {"name": "c", "uid": "c", "generation": "unreadable"}});
            Some(match (url.contains("/tcsissuers?"), url.contains("continue=next")) {
                (true, false) => page(&[named("a")], "next"),
                (true, true) => page(&[named("b"), broken], ""),
                _ => page(&[named("d")], ""),
            })
        })
        .await;
        assert_eq!(listed.unwrap().unwrap(), ["a", "b", "c", "d"].map(str::to_owned).into());
        assert_eq!(urls.len(), 3, "{urls:?}");
        assert!(urls.iter().all(|url| !url.contains("resourceVersion")), "{urls:?}");
    }

    #[tokio::test]
    async fn a_list_that_fails_or_lacks_a_uid_names_no_issuers() {
        let (listed, _) = issuers_of(|url| url.contains("/tcsissuers?").then(|| page(&[], ""))).await;
        assert!(listed.is_err());
        let (listed, _) = issuers_of(|_| Some(page(&[json!({"metadata": {"name": "a"}})], ""))).await;
        assert_eq!(listed.unwrap(), None);
    }
}
