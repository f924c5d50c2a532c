//! The interface between the engine and what holds private keys.
//!
//! A private key is never handed out, except as the record that is sealed. A [`QuoteKey`] unwraps a delivered
//! key itself and returns a [`CaSigner`], and a `CaSigner` signs itself. So a PKCS#11 token, whose keys
//! cannot be read, can be a [`KeyProvider`] like the software one.

mod software;
#[cfg(test)]
mod suite;

pub use software::SoftwareKeys;

use crate::Error;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use tcs_evidence::QuotePublicKey;
use tcs_keywrap::WrapFormat;
use tcs_x509::KeyAlgorithm;
use zeroize::Zeroizing;

/// Generates keys, and restores those that were sealed.
pub trait KeyProvider: Send + Sync {
    /// Generates the key pair of an offer: RSA-3072 with the exponent 65537. May take half a second.
    fn generate_quote_key(&self) -> Result<Box<dyn QuoteKey>, Error>;

    /// Generates a CA key. An RSA key may take half a second.
    ///
    /// Fails with [`KeyError::Unsupported`] if the provider does not generate keys of this algorithm.
    fn generate_ca_key(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn CaSigner>, KeyError>;

    /// Restores a CA key from the result of [`CaSigner::to_record`].
    fn restore_ca_key(&self, record: &[u8]) -> Result<Arc<dyn CaSigner>, KeyError>;
}

/// The key pair of an offer. The quote binds its public half.
pub trait QuoteKey: Send + Sync {
    /// The public half.
    fn public(&self) -> &QuotePublicKey;

    /// Unwraps a CA key that was wrapped for this key (docs/protocol.md, "Wrapped keys"), if its format is
    /// one of `allowed`.
    ///
    /// Does not check that the key belongs to a certificate.
    fn unwrap(&self, wrapped: &[u8], allowed: &[WrapFormat]) -> Result<UnwrappedCaKey, KeyError>;
}

/// A CA key that was delivered.
pub struct UnwrappedCaKey {
    /// The key.
    pub signer: Arc<dyn CaSigner>,
    /// The format in which it was wrapped.
    pub format: WrapFormat,
}

/// The private key of a CA: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
///
/// The key alone determines the signature algorithm: [`tcs_x509::Signer::sign`].
pub trait CaSigner: tcs_x509::Signer + Send + Sync {
    /// The public half, DER `SubjectPublicKeyInfo`.
    fn spki(&self) -> Result<Vec<u8>, Error>;

    /// What the provider needs to restore this key after a restart. It may be the private key itself, so it
    /// is only ever written into a sealed blob (docs/protocol.md, "Sealed CA keys").
    fn to_record(&self) -> Result<Zeroizing<Vec<u8>>, Error>;
}

/// Why there is no key that can sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The wrapped key does not open.
    #[error(transparent)]
    Unwrap(#[from] tcs_keywrap::Error),
    /// The private key is not an unencrypted PKCS#8 structure, or its parts contradict each other.
    #[error("the private key is damaged")]
    Malformed,
    /// The private key's algorithm, curve or size is not supported.
    #[error("the algorithm of the private key is not supported")]
    Unsupported,
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] Error),
}

/// `N` bytes from the system's random number generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Crypto("random numbers"))?;
    Ok(bytes)
}
