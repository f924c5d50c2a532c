//! Attestation evidence: quote layouts, `report_data` profiles and the [`Evidence`] enum (RFC 9334 terms).
//!
//! Pure: bytes in, values out. Nothing here judges; that is `tcs-verifier`'s work.
#![forbid(unsafe_code)]

mod quote;
pub mod report_data;

pub use quote::{MAX_QUOTE, SgxQuoteV3};

/// What an attester hands out to prove what it is.
///
/// An enum, because platforms differ in what binds the application's data (see the platform reference); each
/// variant carries the exact bytes that the platform produced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// A raw Intel SGX ECDSA quote (version 3), without padding.
    SgxQuote(Vec<u8>),
}

impl Evidence {
    /// The stable name of the kind, as it stands in `TCSIssuer.status.evidence` and on the RPC wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SgxQuote(_) => "sgx-quote-v3",
        }
    }

    /// The bytes of the evidence.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::SgxQuote(bytes) => bytes,
        }
    }
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not an SGX quote of version 3, or its length does not fit.
    #[error("not an SGX quote of version 3: {0}")]
    QuoteMalformed(&'static str),
    /// Not a DER `SubjectPublicKeyInfo` of an RSA key.
    #[error("not an RSA public key (DER SubjectPublicKeyInfo)")]
    PublicKeyMalformed,
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::QuoteMalformed(_) => "QuoteMalformed",
            Self::PublicKeyMalformed => "PublicKeyMalformed",
        }
    }
}
