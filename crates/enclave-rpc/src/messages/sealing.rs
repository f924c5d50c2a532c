//! Sealed CA keys.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Maximum length of a sealed CA key, in bytes. The longest chain (8 certificates of 64 KiB) and policy (64
/// KiB) fit into it, and it fits into a Secret.
pub const MAX_SEALED_BLOB: usize = 640 << 10;

/// Fields of [`Request::Seal`](super::Request::Seal).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
}

/// Fields of [`Request::Restore`](super::Request::Restore).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Restore {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// [`Sealed::blob`], at most [`MAX_SEALED_BLOB`] bytes.
    #[n(1)]
    pub blob: ByteVec,
    /// Caller's time, Unix seconds. It has no effect: an expired CA is restored, too. Earlier versions
    /// refused it.
    #[n(2)]
    pub now: i64,
}

/// Answer to [`Request::Seal`](super::Request::Seal).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// The sealed CA key (docs/protocol.md, "Sealed CA keys"): only this enclave on this machine can open it,
    /// for this issuer.
    #[n(0)]
    pub blob: ByteVec,
    /// Number of the key among those of the issuer. It grows with every new key.
    #[n(1)]
    pub generation: u64,
}
