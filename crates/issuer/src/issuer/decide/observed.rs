//! What a decision is based on.

use super::sealed_key::SealedKey;
use crate::clock::ClockComparison;
use crate::issuer::Issuer;
use k8s_openapi::api::core::v1::Secret;
use tcs_api::v1alpha1::{IssuerStatus, QuoteAttestation};
use tcs_enclave_rpc::{CaInfo, Identity, Offer, Refusal};

/// Everything that a decision is based on.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// The newest known status of the issuer, which may be newer than the one in `issuer`.
    pub status: &'a IssuerStatus,
    /// Why nothing may be signed or written for any issuer, if the admission policies that limit the service
    /// are not in force.
    pub withheld: Option<&'a str>,
    /// What the enclave holds for the issuer.
    pub enclave: &'a EnclaveState,
    /// The enclave's response to the request for the next CA.
    pub next: &'a NextCa,
    /// The object with the name of the issuer's `QuoteAttestation`, if it exists.
    pub attestation: Option<&'a QuoteAttestation>,
    /// The Secret of the delivery.
    pub secret: &'a DeliverySecret,
    /// How the enclave refused, in this reconcile, the delivery or the CA that it was asked to make.
    pub refusal: Option<&'a Refusal>,
    /// The key whose sealed blob is stored, as its Secret describes it; `None` if there is no such Secret.
    pub sealed: Option<&'a SealedKey>,
    /// Why the enclave refused to restore the sealed key.
    pub restore_refusal: Option<&'a Refusal>,
    /// Why the enclave cannot read the rules of `spec.policy`, if it cannot.
    pub policy_refusal: Option<&'a Refusal>,
    /// A Secret that the API server refused to write in this reconcile.
    pub refused_write: Option<&'a RefusedWrite>,
    /// The service's clock compared with the API server's.
    pub clock: ClockComparison,
}

/// What the enclave holds for an issuer.
#[derive(Clone, Debug)]
pub enum EnclaveState {
    /// No enclave answers.
    Unavailable,
    /// The CA key.
    Holding(Identity, CaInfo),
    /// No CA key, but this open offer.
    Offering(Identity, Offer),
    /// Nothing: it refused to make an offer.
    Refused(Identity, Refusal),
    /// Nothing. The issuer is self-signed and therefore has no offer.
    Vacant(Identity),
}

/// The enclave's response to the request for the next CA.
#[derive(Clone, Debug)]
pub enum NextCa {
    /// It was not asked in this reconcile.
    NotRequested,
    /// The offer for the delivery of the next CA.
    Offer(Offer),
    /// It refused to make the next CA, or an offer for it.
    Refused(Refusal),
}

/// The Secret of a delivery. It has no `Debug`: the key owner may name any Secret of the namespace.
#[derive(Clone)]
pub enum DeliverySecret {
    /// The key owner has not named a Secret.
    NotNamed,
    /// The Secret of this name does not exist.
    Missing(String),
    /// It exists.
    Found(Box<Secret>),
}

/// A Secret that the API server refused to write, and its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusedWrite {
    /// The Secret that publishes the CA certificate.
    CaCertificate(String),
    /// The Secret with the sealed CA key.
    SealedKey(String),
}
