//! The result of a decision.

use crate::issuer::delivery::Delivery;
use k8s_openapi::api::core::v1::Secret;
use std::time::Duration;
use tcs_api::v1alpha1::{IssuerStatus, QuoteAttestation, QuoteCondition};
use tcs_enclave_rpc::{GenerateCa, RenewCa};

/// What to do for an issuer.
pub enum Decision {
    /// Ask the enclave, then decide again.
    Ask(EnclaveStep),
    /// Carry out this plan.
    Settle(Box<Plan>),
}

/// What to request from the enclave.
#[derive(Clone, PartialEq, Eq)]
pub enum EnclaveStep {
    /// Deliver a wrapped CA key.
    Deliver(Delivery),
    /// Make a self-signed CA.
    Generate(Box<GenerateCa>),
    /// Make the next certificate of a self-signed CA.
    Renew(RenewCa),
    /// Make an offer for the next CA, which the key owner delivers.
    OfferNext,
}

/// What to write, in this order.
#[derive(Default)]
pub struct Plan {
    /// Seal the CA key that the enclave holds and store the blob, before anything is published.
    pub seal: bool,
    /// The CA certificate Secret to write.
    pub ca_secret: Option<Box<Secret>>,
    /// What to do with the `QuoteAttestation`.
    pub attestation: AttestationStep,
    /// The service's conditions that the `QuoteAttestation` must have.
    pub attestation_conditions: Vec<QuoteCondition>,
    /// The issuer's status.
    pub status: IssuerStatus,
    /// Events to publish after the status was written.
    pub events: Vec<EventNote>,
    /// Reconcile again after this time, even if no watch reports a change.
    pub requeue: Option<Duration>,
}

/// What to do with the `QuoteAttestation`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AttestationStep {
    /// Leave it unchanged.
    #[default]
    Keep,
    /// Create it.
    Create(Box<QuoteAttestation>),
    /// Restore its spec and labels. The status stays.
    Restore(Box<QuoteAttestation>),
    /// It does not publish this offer: delete it, then create this one.
    Recreate(Box<QuoteAttestation>),
    /// Delete it: the issuer has no open offer.
    Delete,
}

/// An Event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventNote {
    /// Warning instead of Normal.
    pub warning: bool,
    /// `CamelCase` reason.
    pub reason: String,
    /// One or two sentences.
    pub message: String,
    /// The objects that the Event is published for.
    pub about: About,
}

/// The objects that an Event is published for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The issuer only.
    Issuer,
    /// The issuer and its `QuoteAttestation`.
    IssuerAndAttestation,
}

impl From<Plan> for Decision {
    fn from(plan: Plan) -> Self {
        Self::Settle(Box::new(plan))
    }
}
