//! Attestation evidence: quote layouts, `report_data` profiles and the [`Evidence`] enum (RFC 9334 terms).
//!
//! Pure: bytes in, values out. Nothing here judges; that is `tcs-verifier`'s work.
#![forbid(unsafe_code)]

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
            Self::SgxQuote(b) => b,
        }
    }
}
