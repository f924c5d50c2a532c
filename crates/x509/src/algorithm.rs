//! The algorithms of public keys and signatures.

use aws_lc_rs::signature::{self, VerificationAlgorithm};
use der::Encode;
use der::asn1::{AnyRef, ObjectIdentifier};
use spki::AlgorithmIdentifierRef;
use std::fmt;

/// All algorithms of RSA keys and signatures begin like this.
const PKCS1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1");
/// All algorithms of ECDSA signatures begin like this.
const ECDSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4");
pub const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
pub const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
pub const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
pub const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
pub const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
pub const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
pub const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
pub const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
pub const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
pub const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
pub const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
pub const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// The algorithm of a public key, with its parameters that determine its strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// RSA.
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// The name in status fields and policies: `RSA-3072`, `ECDSA-P256`, `Ed25519`.
impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::P256 => f.write_str("ECDSA-P256"),
            Self::P384 => f.write_str("ECDSA-P384"),
            Self::P521 => f.write_str("ECDSA-P521"),
            Self::Ed25519 => f.write_str("Ed25519"),
        }
    }
}

/// Kinds of keys that openssl tells apart by the algorithm of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFamily {
    Rsa,
    Ec,
    Ed25519,
}

impl KeyFamily {
    /// Whether a signature with this algorithm can be one of such a key.
    pub fn makes(self, signature: ObjectIdentifier) -> bool {
        match self {
            Self::Rsa => signature.starts_with(PKCS1),
            Self::Ec => signature.starts_with(ECDSA),
            Self::Ed25519 => signature == ED25519,
        }
    }
}

impl KeyAlgorithm {
    pub(crate) fn family(self) -> KeyFamily {
        match self {
            Self::Rsa { .. } => KeyFamily::Rsa,
            Self::P256 | Self::P384 | Self::P521 => KeyFamily::Ec,
            Self::Ed25519 => KeyFamily::Ed25519,
        }
    }

    /// How signatures of such a CA key are verified.
    pub(crate) fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rsa { .. } => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1,
            Self::Ed25519 => &signature::ED25519,
        }
    }

    /// The algorithm with which such a CA key signs, as DER `AlgorithmIdentifier`. It follows from the key
    /// alone.
    pub(crate) fn signature_algorithm(self) -> Result<Vec<u8>, crate::Error> {
        let (oid, parameters) = match self {
            Self::Rsa { .. } => (RSA_SHA256, Some(AnyRef::NULL)),
            Self::P256 => (ECDSA_SHA256, None),
            Self::P384 => (ECDSA_SHA384, None),
            Self::P521 => (ECDSA_SHA512, None),
            Self::Ed25519 => (ED25519, None),
        };
        AlgorithmIdentifierRef { oid, parameters }.to_der().map_err(|_| crate::Error::Encoding)
    }
}
