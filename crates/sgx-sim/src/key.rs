//! P-256 keys that sign certificates (by rcgen) and raw messages.

use crate::error::Error;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroizing;

/// All keys of a platform that sign.
pub struct Keys {
    pub root: Key,
    pub pck_ca: Key,
    pub tcb_signer: Key,
    pub pck: Key,
    pub attestation: Key,
}

impl Keys {
    pub fn make() -> Result<Self, Error> {
        Ok(Self {
            root: Key::make()?,
            pck_ca: Key::make()?,
            tcb_signer: Key::make()?,
            pck: Key::make()?,
            attestation: Key::make()?,
        })
    }
}

/// A key pair.
pub struct Key {
    /// For rcgen.
    pub pair: KeyPair,
    raw: EcdsaKeyPair,
}

impl Key {
    pub fn make() -> Result<Self, Error> {
        Self::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?)
    }

    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &PKCS_ECDSA_P256_SHA256)?;
        Self::new(pair)
    }

    fn new(pair: KeyPair) -> Result<Self, Error> {
        let raw = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der())
            .map_err(|_| Error::Key)?;
        Ok(Self { pair, raw })
    }

    pub fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.pair.serialized_der().to_vec())
    }

    /// r ‖ s (64 bytes) over SHA-256 of the message: the form of every DCAP signature outside certificates.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.raw.sign(&SystemRandom::new(), message).map_err(|_| Error::Key)?;
        Ok(signature.as_ref().to_vec())
    }

    /// x ‖ y of the public point, 64 bytes.
    pub fn point(&self) -> Result<[u8; 64], Error> {
        let uncompressed = self.raw.public_key().as_ref();
        uncompressed.get(1..).and_then(|point| point.try_into().ok()).ok_or(Error::Key)
    }
}
