//! Why a key was not wrapped or unwrapped.

use crate::WrapFormat;
use crate::layout::{MAX_LEN, MIN_LEN, OAEP_LEN};

/// Why a key was not wrapped or unwrapped. Texts contain no key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The wrapped key has an impossible length.
    #[error(
        "the wrapped key has {len} bytes; it must have {MIN_LEN} to {MAX_LEN}, and those after the first {OAEP_LEN} in blocks of 8"
    )]
    WrappedKeyLength {
        /// Its length in bytes.
        len: usize,
    },
    /// The wrapped key does not open with this key. There is one error for all faults of OAEP and KWP, so
    /// that no answer helps to guess the padding.
    #[error("the wrapped key does not open with the key of this quote")]
    WrappedKeyInvalid,
    /// The wrapped key opens, but only in a format that is not allowed.
    #[error(
        "the key was wrapped as {format}, which the issuer does not accept; wrap it in another format (km-wrap --format)"
    )]
    WrapFormatForbidden {
        /// The format in which it opened.
        format: WrapFormat,
    },
    /// The private key is not exactly one unencrypted PKCS#8 structure.
    #[error("the private key is not an unencrypted PKCS#8 structure but {found}")]
    PrivateKeyMalformed {
        /// What it is instead.
        found: &'static str,
    },
    /// The private key cannot be delivered.
    #[error("the private key is not supported: {what}")]
    PrivateKeyUnsupported {
        /// Why.
        what: &'static str,
    },
    /// The public key of the quote is not an RSA key in DER, or cannot encrypt.
    #[error("the public key is not a valid RSA key")]
    PublicKeyMalformed,
    /// The public key of the quote does not have the size that the formats need.
    #[error("the public key is RSA-{bits}; RSA-3072 is required")]
    PublicKeyUnsupported {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// No wrap format has this name.
    #[error("unknown wrap format; kmra-v1-sha256 and kmra-v1 are known")]
    UnknownFormat,
    /// The cryptographic library failed. With valid input it does not.
    #[error("the cryptographic library failed")]
    Internal,
}

impl Error {
    /// The stable name of the case, as it appears in conditions, Events and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrappedKeyLength { .. } => "WrappedKeyLength",
            Self::WrappedKeyInvalid => "WrappedKeyInvalid",
            Self::WrapFormatForbidden { .. } => "WrapFormatForbidden",
            Self::PrivateKeyMalformed { .. } => "PrivateKeyMalformed",
            Self::PrivateKeyUnsupported { .. } => "PrivateKeyUnsupported",
            Self::PublicKeyMalformed => "PublicKeyMalformed",
            Self::PublicKeyUnsupported { .. } => "PublicKeyUnsupported",
            Self::UnknownFormat => "UnknownFormat",
            Self::Internal => "Internal",
        }
    }
}
