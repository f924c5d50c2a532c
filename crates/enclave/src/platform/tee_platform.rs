//! What the engine needs of a trusted execution environment.

use crate::Error;
use tcs_evidence::Evidence;
use zeroize::Zeroizing;

/// A trusted execution environment, as far as the engine needs one.
pub trait TeePlatform: Send + Sync {
    /// The platform's name on the command line.
    fn name(&self) -> &'static str;

    /// The kind of evidence that it makes: [`Evidence::kind`].
    fn evidence_kind(&self) -> &'static str;

    /// How far it protects keys and enforces the policy.
    fn assurance(&self) -> Assurance;

    /// Makes evidence over 64 bytes of the caller's choice (`report_data`).
    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error>;

    /// The key with which this enclave seals on this machine; `None` if the platform cannot seal.
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error>;
}

/// How far a platform protects keys and enforces the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assurance {
    /// Keys and policy are inside a trusted execution environment.
    Enclave,
    /// Nothing is protected.
    Simulated,
}

impl Assurance {
    /// The name in `TCSIssuer.status.assurance` and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enclave => "enclave",
            Self::Simulated => "simulated",
        }
    }
}

/// A key that the platform gives to one enclave on one machine. It is the same after every start.
pub struct SealingKey {
    /// The key, 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
    /// What the key is bound to: MRENCLAVE, 32 bytes.
    pub measurement: [u8; 32],
}
