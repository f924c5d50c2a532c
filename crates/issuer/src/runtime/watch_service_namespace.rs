//! Watches the objects in the service's namespace that belong to issuers.

use crate::context::Context;
use crate::runtime::watch::{GuardedEvent, Watch};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::Event;
use std::sync::Arc;
use tcs_api::labels::ISSUER_UID;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::QuoteAttestation;

/// Enqueues the issuer whose `QuoteAttestation` was changed or deleted. The name identifies the issuer,
/// because the labels may be what was changed.
pub async fn watch_attestations(
    mut watch: Watch<QuoteAttestation>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    while let Some(event) = watch.next().await {
        let name = match event {
            GuardedEvent::Event(Event::Apply(object) | Event::Delete(object)) => object.name_any(),
            GuardedEvent::Unreadable(object) | GuardedEvent::Deleted(object) => object.name().to_owned(),
            GuardedEvent::Event(Event::InitDone) => {
                context.enqueue_all_issuers();
                continue;
            }
            GuardedEvent::Event(Event::Init | Event::InitApply(_)) | GuardedEvent::UnknownKind => continue,
        };
        let signer = SignerName::of_quote_attestation(&name);
        if let Some(issuer) = signer.and_then(|signer| context.caches.issuer(&signer)) {
            context.queues.enqueue(&issuer);
        }
    }
    anyhow::bail!("the watch of QuoteAttestations ended")
}

/// Enqueues the issuers that a changed Secret may concern. Only metadata is watched: the content is read
/// once, when the key owner names the Secret.
pub async fn watch_secrets(
    mut watch: Watch<PartialObjectMeta<Secret>>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    let index = &context.caches.index;
    while let Some(event) = watch.next().await {
        let concerned = match event {
            GuardedEvent::Event(Event::Apply(secret) | Event::Delete(secret)) => {
                let label = secret.labels().get(ISSUER_UID).map(String::as_str);
                index.concerned_by(&secret.name_any(), label)
            }
            GuardedEvent::Unreadable(secret) | GuardedEvent::Deleted(secret) => {
                let labels = secret.metadata.labels.as_ref();
                let label = labels.and_then(|labels| labels.get(ISSUER_UID)).map(String::as_str);
                index.concerned_by(secret.name(), label)
            }
            GuardedEvent::Event(Event::InitDone) => index.awaiting().into_iter().collect(),
            GuardedEvent::Event(Event::Init | Event::InitApply(_)) | GuardedEvent::UnknownKind => continue,
        };
        for signer in &concerned {
            context.queues.enqueue_signer(signer);
        }
    }
    anyhow::bail!("the watch of Secrets ended")
}
