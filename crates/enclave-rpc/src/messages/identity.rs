//! The enclave's identity, and what it holds.

use super::ca::CaInfo;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Fields of [`Request::Health`](super::Request::Health).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Health {
    /// Reports this issuer only; `None` reports all.
    #[n(0)]
    pub issuer_uid: Option<String>,
}

/// Answer to [`Request::Identity`](super::Request::Identity).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// Random value chosen at process start, 16 bytes: a new value means that everything in memory is lost.
    #[n(0)]
    pub boot_id: ByteVec,
    /// Version of the program, from its manifest.
    #[n(1)]
    pub version: String,
    /// Platform by name, for example `simulation`.
    #[n(2)]
    pub platform: String,
    /// True if the platform protects nothing.
    #[n(3)]
    pub simulated: bool,
    /// Kind of the evidence that it makes, as in `tcs_evidence::Evidence::kind`.
    #[n(4)]
    pub evidence_kind: String,
    /// How far the key is protected and policy enforced: `enclave`, `token` or `simulated`.
    #[n(5)]
    pub assurance: String,
    /// Whether the platform can seal. If not, every CA key is lost with the process.
    #[n(6)]
    pub sealing: bool,
}

/// Answer to [`Request::Health`](super::Request::Health).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HealthReport {
    /// As in [`Identity::boot_id`].
    #[n(0)]
    pub boot_id: ByteVec,
    /// One entry for each requested issuer that takes one of the enclave's places.
    #[n(1)]
    pub issuers: Vec<IssuerState>,
    /// Offers whose key or evidence has not been made in time and is still being made. 0 if the field is
    /// absent.
    #[n(2)]
    #[cbor(default)]
    pub overdue_offers: u32,
    /// The same for keys of CAs.
    #[n(3)]
    #[cbor(default)]
    pub overdue_ca_keys: u32,
}

/// What the enclave holds for one issuer. There is neither an offer nor a CA while the first offer is being
/// made, and after an offer was closed because of too many refused deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IssuerState {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The open offer's id, if there is one.
    #[n(1)]
    pub offer_id: Option<ByteVec>,
    /// SHA-256 of the issuing CA certificate, if its key is held.
    #[n(2)]
    pub ca_fingerprint: Option<ByteVec>,
    /// The CA; only if [`Health::issuer_uid`] named this issuer.
    #[n(3)]
    pub ca: Option<CaInfo>,
}
