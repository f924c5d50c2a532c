//! Watches what all issuers and requests depend on.

use crate::context::Context;
use crate::context::events::EventText;
use crate::enclave_client::{EnclaveHealth, EnclaveLink};
use crate::runtime::admission_gate::AdmissionGate;
use crate::runtime::guarded::Unreadable;
use std::sync::Arc;
use tcs_api::reasons;
use tokio::sync::mpsc::Receiver;

/// A new connection to an enclave, and the end of one, concern every issuer.
pub async fn watch_enclave(mut link: EnclaveLink, context: Arc<Context>) -> anyhow::Result<()> {
    loop {
        let connected = link.connected();
        context.metrics.enclave_up.set(i64::from(link.is_up()));
        if let Some(connected) = connected {
            context.metrics.simulated.set(i64::from(connected.identity.simulated));
            context.queues.enqueue_garbage_collection();
        }
        if context.caches.are_listed() {
            context.enqueue_all_issuers();
            // Requests may have found no enclave, and an issuer that stays ready does not change.
            context.enqueue_all_requests();
        }
        link.changed().await;
    }
}

/// What the enclave waits for is shown in the metrics. Issuers that wait for it try again as soon as all of
/// it has ended.
pub async fn watch_enclave_health(mut link: EnclaveLink, context: Arc<Context>) -> anyhow::Result<()> {
    loop {
        link.health_changed().await;
        let health = link.health();
        context.metrics.enclave_up.set(i64::from(link.is_up()));
        context.metrics.enclave_overdue_offers.set(i64::from(health.overdue_offers));
        context.metrics.enclave_overdue_ca_keys.set(i64::from(health.overdue_ca_keys));
        for reason in health.reasons() {
            tracing::warn!("{reason}");
        }
        if health == EnclaveHealth::default() && context.caches.are_listed() {
            let issuers = context.caches.all_issuers();
            issuers
                .iter()
                .filter(|issuer| issuer.awaits_enclave())
                .for_each(|one| context.queues.enqueue(one));
        }
    }
}

/// Admission policies that are in force again, or no longer, concern everything.
pub async fn watch_admission(mut gate: AdmissionGate, context: Arc<Context>) -> anyhow::Result<()> {
    loop {
        gate.changed().await;
        context.metrics.admission_policies_ok.set(i64::from(gate.refusal().is_none()));
        context.queues.enqueue_garbage_collection();
        context.enqueue_all_issuers();
        context.enqueue_all_requests();
    }
}

/// Publishes an Event for every object that cannot be decoded, because its owner does not see the log.
pub async fn announce_unreadable(
    mut unreadable: Receiver<Box<Unreadable>>,
    context: Arc<Context>,
) -> anyhow::Result<()> {
    context.leadership.acquired().await;
    while let Some(object) = unreadable.recv().await {
        let message = format!("{object}; it is ignored until it is corrected");
        if !object.name().is_empty() {
            let (reason, action) = (reasons::OBJECT_UNREADABLE, "Watch");
            let text = EventText { warning: true, reason, action, message: &message };
            context.events.publish(&object.reference(), text);
        }
    }
    anyhow::bail!("the queue of unreadable objects ended")
}
