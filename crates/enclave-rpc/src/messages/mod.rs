//! The messages of the RPC, one file for each group of calls. They are CBOR arrays with numbered fields,
//! written by `minicbor` (docs/protocol.md, "Enclave RPC"). [`crate::codec`] says what happens to fields that
//! a peer does not know.
//!
//! Times are Unix seconds (`i64`) as the caller claims them: the enclave trusts no clock, and limits what a
//! time can cause. Issuers are identified by the UIDs of their Kubernetes objects, as text of at most
//! [`MAX_ISSUER_UID`] bytes.

mod ca;
mod identity;
mod issuing;
mod lists;
mod policy;
mod provisioning;
mod refusal;
mod sealing;

pub use ca::{CaInfo, CaSubject, GenerateCa, RenewCa};
pub use identity::{Health, HealthReport, Identity, IssuerState};
pub use issuing::{Issue, Issued, RequestApi};
pub use lists::{MAX_LIST, Texts};
pub use policy::Policy;
pub use provisioning::{BeginProvisioning, CompleteProvisioning, Destroy, Offer};
pub use refusal::{Refusal, RefusalCode};
pub use sealing::{MAX_SEALED_BLOB, Restore, Seal, Sealed};

use minicbor::{Decode, Encode};

/// Maximum length of an issuer UID, in bytes. A UID of Kubernetes has 36.
pub const MAX_ISSUER_UID: usize = 64;

/// The requests of the controller. None of them signs bytes that the caller chooses.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Request {
    /// Asks for the enclave's identity: answered by [`Response::Identity`].
    #[n(0)]
    Identity,
    /// Makes or repeats the offer of an issuer: answered by [`Response::Offer`].
    #[n(1)]
    BeginProvisioning(#[n(0)] BeginProvisioning),
    /// Delivers a wrapped CA key: answered by [`Response::Provisioned`].
    #[n(2)]
    CompleteProvisioning(#[n(0)] CompleteProvisioning),
    /// Issues a certificate: answered by [`Response::Issued`].
    #[n(3)]
    Issue(#[n(0)] Issue),
    /// Forgets an issuer's offer and CA key: answered by [`Response::Destroyed`], even if there was neither.
    #[n(4)]
    Destroy(#[n(0)] Destroy),
    /// Asks what the enclave holds: answered by [`Response::Health`].
    #[n(5)]
    Health(#[n(0)] Health),
    /// Generates a self-signed CA whose key never leaves the enclave: answered by [`Response::Provisioned`].
    #[n(6)]
    GenerateCa(#[n(0)] GenerateCa),
    /// Seals the issuer's CA key: answered by [`Response::Sealed`].
    #[n(7)]
    Seal(#[n(0)] Seal),
    /// Restores a sealed CA key: answered by [`Response::Provisioned`].
    #[n(8)]
    Restore(#[n(0)] Restore),
    /// Replaces the certificate of a generated CA, with its key or a new one: answered by
    /// [`Response::Provisioned`].
    #[n(9)]
    RenewCa(#[n(0)] RenewCa),
    /// Asks whether the rules of a policy can be read: answered by [`Response::PolicyReadable`]. The enclave
    /// is the only reader of policies.
    #[n(10)]
    CheckPolicy(#[n(0)] Policy),
}

/// Which threads of the server answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those that sign.
    Quick,
    /// The one that makes offers. It may wait for a platform that makes no evidence.
    Offers,
    /// The one that makes keys of CAs, which takes up to half a second for RSA.
    CaKeys,
}

impl Request {
    /// The name of the request, for logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::BeginProvisioning(_) => "BeginProvisioning",
            Self::CompleteProvisioning(_) => "CompleteProvisioning",
            Self::Issue(_) => "Issue",
            Self::Destroy(_) => "Destroy",
            Self::Health(_) => "Health",
            Self::GenerateCa(_) => "GenerateCa",
            Self::Seal(_) => "Seal",
            Self::Restore(_) => "Restore",
            Self::RenewCa(_) => "RenewCa",
            Self::CheckPolicy(_) => "CheckPolicy",
        }
    }

    /// Which threads answer the request. What may take long never holds up signing.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::BeginProvisioning(_) => Lane::Offers,
            Self::GenerateCa(_) | Self::RenewCa(_) => Lane::CaKeys,
            Self::Identity
            | Self::CompleteProvisioning(_)
            | Self::Issue(_)
            | Self::Destroy(_)
            | Self::Health(_)
            | Self::Seal(_)
            | Self::Restore(_)
            | Self::CheckPolicy(_) => Lane::Quick,
        }
    }
}

/// The responses. Every request is answered exactly once; responses may come out of order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Response {
    /// Answer to [`Request::Identity`].
    #[n(0)]
    Identity(#[n(0)] Identity),
    /// Answer to [`Request::BeginProvisioning`].
    #[n(1)]
    Offer(#[n(0)] Offer),
    /// Answer to [`Request::CompleteProvisioning`].
    #[n(2)]
    Provisioned(#[n(0)] CaInfo),
    /// Answer to [`Request::Issue`].
    #[n(3)]
    Issued(#[n(0)] Issued),
    /// Answer to [`Request::Destroy`].
    #[n(4)]
    Destroyed,
    /// Answer to [`Request::Health`].
    #[n(5)]
    Health(#[n(0)] HealthReport),
    /// The request was refused. It changed nothing, except that a delivery costs an attempt from the moment
    /// at which the enclave begins to unwrap the key; the last attempt closes the offer.
    #[n(6)]
    Refused(#[n(0)] Refusal),
    /// Answer to [`Request::Seal`].
    #[n(7)]
    Sealed(#[n(0)] Sealed),
    /// Answer to [`Request::CheckPolicy`].
    #[n(8)]
    PolicyReadable,
}

impl Response {
    /// What it is, for logs: the name of the response, or the code of a refusal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identity(_) => "Identity",
            Self::Offer(_) => "Offer",
            Self::Provisioned(_) => "Provisioned",
            Self::Issued(_) => "Issued",
            Self::Destroyed => "Destroyed",
            Self::Health(_) => "Health",
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::Sealed(_) => "Sealed",
            Self::PolicyReadable => "PolicyReadable",
        }
    }

    /// A refusal.
    pub(crate) fn refused(code: RefusalCode, message: &str) -> Self {
        Self::Refused(Refusal::new(code, message))
    }
}
