//! Reconciles issuers: observes, lets [`super::decide`] decide, and carries the decision out.

use super::decide::{
    Decision, DeliverySecret, EnclaveState, EnclaveStep, Observed, Plan, RefusedWrite, confirm, decide,
    must_be_recorded, named_secret, record_ca, unsupported,
};
use super::enclave_session::EnclaveSession;
use super::sealed_secret::SealedSecret;
use super::{apply, previous_keys, sealed_secret};
use crate::clock::{ClockComparison, now};
use crate::context::Context;
use crate::context::events::EventText;
use crate::enclave_client::Connected;
use crate::error::ReconcileError;
use crate::issuer::Issuer;
use crate::runtime::guarded::Guarded;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::runtime::controller::Action;
use std::sync::Arc;
use std::time::Duration;
use tcs_api::v1alpha1::{IssuerStatus, QuoteAttestation};
use tcs_api::{SERVICE_NAMESPACE, reasons};
use tracing::Instrument as _;

/// Reconciles one issuer.
pub async fn reconcile(issuer: Issuer, context: Arc<Context>) -> Result<Action, ReconcileError> {
    if issuer.meta().deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let span = tracing::debug_span!("issuer", signer = issuer.signer_name(), uid = issuer.uid());
    let settled = settle(&issuer, &context).instrument(span).await;
    // If the issuer was deleted meanwhile, what this reconcile made must be deleted, too.
    let present = context.caches.issuer(&issuer.signer());
    if present.is_none_or(|present| present.uid() != issuer.uid()) {
        context.forget_issuer(issuer.meta());
    }
    if let Err(ReconcileError::Unreadable(unreadable)) = &settled {
        let message = format!("{unreadable}; this is tried again until the object is corrected or deleted");
        let (reason, action) = (reasons::OBJECT_UNREADABLE, "Reconcile");
        let text = EventText { warning: true, reason, action, message: &message };
        context.events.publish(&issuer.reference(), text);
    }
    match settled {
        Ok(requeue) => Ok(requeue.map_or_else(Action::await_change, Action::requeue)),
        // The watch reports the change, or has already; or this controller ends, and the next leader
        // reconciles the issuer.
        Err(ReconcileError::Outdated | ReconcileError::Ending) => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

/// Decides and acts until a plan is carried out. Returns when to reconcile again.
async fn settle(issuer: &Issuer, context: &Context) -> Result<Option<Duration>, ReconcileError> {
    let mut reconciliation = Reconciliation::observe(issuer, context).await?;
    loop {
        let now = now();
        let clock = context.clock.compare(now);
        match decide(&reconciliation.observed(clock), now) {
            Decision::Ask(step) => reconciliation.ask(step).await?,
            Decision::Settle(mut plan) => {
                reconciliation.note_lifetime();
                confirm(&mut plan.status, &reconciliation.status, &issuer.uid(), now);
                let requeue = plan.requeue;
                if reconciliation.carry_out(*plan, clock.trusted(now)).await? {
                    return Ok(requeue);
                }
            }
        }
    }
}

/// One reconcile and what it has observed.
struct Reconciliation<'a> {
    issuer: &'a Issuer,
    context: &'a Context,
    attestations: Api<Guarded<QuoteAttestation>>,
    secrets: Api<Guarded<Secret>>,
    status: IssuerStatus,
    withheld: Option<Arc<str>>,
    session: EnclaveSession,
    sealed: Option<SealedSecret>,
    attestation: Option<QuoteAttestation>,
    secret: DeliverySecret,
    refused_write: Option<RefusedWrite>,
    /// Whether this reconcile recorded the CA before publishing it.
    ca_recorded: bool,
    /// Whether a sealed key may have been replaced.
    sealed_key_replaced: bool,
}

impl<'a> Reconciliation<'a> {
    async fn observe(issuer: &'a Issuer, context: &'a Context) -> Result<Self, ReconcileError> {
        let attestations: Api<Guarded<QuoteAttestation>> =
            Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
        let secrets: Api<Guarded<Secret>> = Api::namespaced(context.client.clone(), SERVICE_NAMESPACE);
        let status = context.statuses.newest(issuer);
        let withheld = context.admission.settled().await;
        let served = withheld.is_none() && unsupported(issuer).is_none();
        let connected = if served { connected(context).await? } else { None };
        let sealed = sealed_secret::find(&secrets, &issuer.uid()).await?;
        let session = EnclaveSession::open(connected, issuer, sealed.as_ref(), context).await?;
        let attestation = attestations.get_opt(&issuer.attestation_name()).await?;
        let attestation = attestation.map(Guarded::read).transpose()?;
        let secret = read_delivery(attestation.as_ref(), issuer, &secrets).await?;
        Ok(Self {
            issuer,
            context,
            attestations,
            secrets,
            ca_recorded: false,
            status,
            withheld,
            session,
            sealed,
            attestation,
            secret,
            refused_write: None,
            sealed_key_replaced: false,
        })
    }

    fn observed(&self, clock: ClockComparison) -> Observed<'_> {
        Observed {
            issuer: self.issuer,
            status: &self.status,
            withheld: self.withheld.as_deref(),
            enclave: &self.session.state,
            next: &self.session.next,
            attestation: self.attestation.as_ref(),
            secret: &self.secret,
            refusal: self.session.refusal.as_ref(),
            sealed: self.sealed.as_ref().map(|sealed| &sealed.key),
            restore_refusal: self.session.restore_refusal.as_ref(),
            policy_refusal: self.session.policy_refusal.as_ref(),
            refused_write: self.refused_write.as_ref(),
            clock,
        }
    }

    async fn ask(&mut self, step: EnclaveStep) -> Result<(), ReconcileError> {
        // What the API server refused concerned the CA of before this step.
        self.refused_write = None;
        self.session.perform(step, self.issuer, self.context).await
    }

    /// The metrics show CAs whose renewal is overdue.
    fn note_lifetime(&self) {
        if let EnclaveState::Holding(_, ca) = &self.session.state {
            let lifetime = ca.not_after.saturating_sub(ca.not_before);
            self.context.lifetimes.record(self.issuer.uid(), lifetime);
        }
    }

    /// Records the CA that the enclave holds in the status, if nothing of it may be published before.
    async fn record_ca(&mut self, trusted: Option<Timestamp>) -> Result<(), ReconcileError> {
        let EnclaveState::Holding(_, ca) = &self.session.state else { return Ok(()) };
        if self.ca_recorded || !must_be_recorded(self.issuer, &self.status, ca) {
            return Ok(());
        }
        let status = record_ca(&self.status, self.issuer, ca, trusted);
        if !apply::put_status(&status, self.issuer, self.context).await? {
            return Err(ReconcileError::CaNotRecorded);
        }
        self.ca_recorded = true;
        Ok(())
    }

    /// Carries a plan out. Returns false if the API server refused a Secret: then decide again.
    async fn carry_out(&mut self, plan: Plan, trusted: Option<Timestamp>) -> Result<bool, ReconcileError> {
        if self.status.ca.is_none() {
            self.record_ca(trusted).await?;
        }
        if plan.seal {
            self.refused_write = self.store_sealed_key().await?.map(RefusedWrite::SealedKey);
            self.sealed_key_replaced = true;
            if self.refused_write.is_some() {
                return Ok(false);
            }
        }
        // A CA in place of a lost one is recorded once it is sealed: without that a restart would lose it,
        // too.
        self.record_ca(trusted).await?;
        if let Some(secret) = &plan.ca_secret {
            let refused = apply::write_ca_secret(secret, self.context).await?;
            self.refused_write = refused.map(RefusedWrite::CaCertificate);
            if self.refused_write.is_some() {
                return Ok(false);
            }
        }
        apply::write(
            &plan,
            self.issuer,
            &self.status,
            self.attestation.as_ref(),
            &self.attestations,
            self.context,
        )
        .await?;
        if self.sealed_key_replaced || plan.status.previous_cas.len() < self.status.previous_cas.len() {
            // A CA was replaced or has expired, so sealed keys of earlier CAs may have become superfluous.
            self.context.queues.enqueue_garbage_collection();
        }
        Ok(true)
    }

    /// Seals the CA key and stores the blob. Returns why the API server refused the Secret, if it did.
    async fn store_sealed_key(&self) -> Result<Option<String>, ReconcileError> {
        let EnclaveState::Holding(_, ca) = &self.session.state else { return Ok(None) };
        let blob = self.session.seal(self.issuer).await?;
        let before = self.sealed.as_ref().map(|sealed| (sealed, &self.status));
        let stored = previous_keys::replace(&self.secrets, self.issuer, before, ca, blob).await;
        if matches!(&stored, Err(kube::Error::Api(answer)) if answer.is_conflict()) {
            return Err(ReconcileError::Outdated);
        }
        let refused = apply::refused_for_good(stored)?;
        if let Some(why) = &refused
            && self.sealed.as_ref().is_some_and(|sealed| sealed.key.is_key_of(ca))
        {
            // The key is stored already; only the labels of the Secret would have changed.
            let issuer = self.issuer.signer_name();
            tracing::warn!(issuer, why, "the labels of the Secret with the sealed key could not be updated");
            return Ok(None);
        }
        Ok(refused)
    }
}

/// The enclave, if one answers. While this controller ends, an enclave that ends as well is no news about the
/// issuer.
async fn connected(context: &Context) -> Result<Option<Connected>, ReconcileError> {
    match context.draining.run_until_cancelled(context.enclave.settled()).await {
        Some(connected) => Ok(connected),
        None => context.enclave.connected().map(Some).ok_or(ReconcileError::Ending),
    }
}

/// Reads the Secret that the key owner names in the `QuoteAttestation`.
async fn read_delivery(
    attestation: Option<&QuoteAttestation>,
    issuer: &Issuer,
    secrets: &Api<Guarded<Secret>>,
) -> Result<DeliverySecret, ReconcileError> {
    let Some(name) = attestation.and_then(|attestation| named_secret(attestation, issuer)) else {
        return Ok(DeliverySecret::NotNamed);
    };
    if name.is_empty() {
        return Ok(DeliverySecret::Missing(String::new()));
    }
    Ok(match secrets.get_opt(name).await?.map(Guarded::read).transpose()? {
        Some(secret) => DeliverySecret::Found(Box::new(secret)),
        None => DeliverySecret::Missing(name.to_owned()),
    })
}
