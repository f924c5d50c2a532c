//! The software key provider, with aws-lc-rs: keys exist only in the memory of this process.

use super::{CaSigner, KeyError, KeyProvider, QuoteKey, UnwrappedCaKey};
use crate::Error;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::OctetStringRef;
use der::{Reader as _, SliceReader};
use spki::AlgorithmIdentifierRef;
use std::sync::Arc;
use tcs_evidence::QuotePublicKey;
use tcs_keywrap::WrapFormat;
use tcs_x509::KeyAlgorithm;
use zeroize::Zeroizing;

/// Keys in the memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareKeys;

impl KeyProvider for SoftwareKeys {
    fn generate_quote_key(&self) -> Result<Box<dyn QuoteKey>, Error> {
        Ok(Box::new(SoftwareQuoteKey::generate()?))
    }

    fn generate_ca_key(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn CaSigner>, KeyError> {
        Ok(Arc::new(SoftwareCaKey::generate(algorithm)?))
    }

    fn restore_ca_key(&self, record: &[u8]) -> Result<Arc<dyn CaSigner>, KeyError> {
        Ok(Arc::new(SoftwareCaKey::from_pkcs8(record)?))
    }
}

struct SoftwareQuoteKey {
    private: PrivateDecryptingKey,
    public: QuotePublicKey,
}

impl SoftwareQuoteKey {
    fn generate() -> Result<Self, Error> {
        let failed = |_| Error::Crypto("RSA-3072 key generation");
        let private = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        let public = QuotePublicKey::from_der(spki.as_ref())
            .map_err(|_| Error::Crypto("encoding the public key of an offer"))?;
        Ok(Self { private, public })
    }
}

impl QuoteKey for SoftwareQuoteKey {
    fn public(&self) -> &QuotePublicKey {
        &self.public
    }

    /// The PKCS#8 structure is wiped however this function ends.
    fn unwrap(&self, wrapped: &[u8], allowed: &[WrapFormat]) -> Result<UnwrappedCaKey, KeyError> {
        let unwrapped = tcs_keywrap::unwrap(&self.private, wrapped, allowed)?;
        let signer = Arc::new(SoftwareCaKey::from_pkcs8(&unwrapped.pkcs8)?);
        Ok(UnwrappedCaKey { signer, format: unwrapped.format })
    }
}

/// aws-lc-rs wipes the key when it is dropped.
enum SoftwareCaKey {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SoftwareCaKey {
    /// Reads an unencrypted PKCS#8 structure (RFC 5208, RFC 5958), DER, with nothing after it.
    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let algorithm = pkcs8_algorithm(der).map_err(|_| KeyError::Malformed)?;
        if algorithm.oid == rfc5912::RSA_ENCRYPTION {
            return RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(|error| match error.description_() {
                "TooSmall" | "TooLarge" => KeyError::Unsupported,
                _ => KeyError::Malformed,
            });
        }
        if algorithm.oid == rfc5912::ID_EC_PUBLIC_KEY {
            let curve = algorithm.parameters_oid().map_err(|_| KeyError::Unsupported)?;
            let algorithm = ecdsa_algorithm(curve).ok_or(KeyError::Unsupported)?;
            return EcdsaKeyPair::from_pkcs8(algorithm, der)
                .map(Self::Ecdsa)
                .map_err(|_| KeyError::Malformed);
        }
        if algorithm.oid == rfc8410::ID_ED_25519 {
            return Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519).map_err(|_| KeyError::Malformed);
        }
        Err(KeyError::Unsupported)
    }

    fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let generated = match algorithm {
            KeyAlgorithm::P256 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::Ecdsa)
            }
            KeyAlgorithm::P384 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::Ecdsa)
            }
            KeyAlgorithm::Rsa { bits: 3072 } => RsaKeyPair::generate(KeySize::Rsa3072).map(Self::Rsa),
            KeyAlgorithm::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
            _ => return Err(KeyError::Unsupported),
        };
        generated.map_err(|_| Error::Crypto("key generation").into())
    }
}

impl CaSigner for SoftwareCaKey {
    fn spki(&self) -> Result<Vec<u8>, Error> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ecdsa(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        };
        Ok(spki.map_err(|_| Error::Crypto("encoding a public key"))?.as_ref().to_vec())
    }

    /// The key as unencrypted PKCS#8.
    fn to_record(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |_| Error::Crypto("encoding a key");
        // aws-lc-rs wipes its own copies.
        Ok(Zeroizing::new(match self {
            Self::Rsa(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).map_err(failed)?.as_ref().to_vec(),
            Self::Ecdsa(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Ed25519(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        }))
    }
}

impl tcs_x509::Signer for SoftwareCaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, tcs_x509::Error> {
        let failed = |_| tcs_x509::Error::Signing;
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let random = SystemRandom::new();
                key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Ecdsa(key) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Ed25519(key) => Ok(key.try_sign(message).map_err(failed)?.as_ref().to_vec()),
        }
    }
}

fn ecdsa_algorithm(curve: ObjectIdentifier) -> Option<&'static EcdsaSigningAlgorithm> {
    match curve {
        rfc5912::SECP_256_R_1 => Some(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
        rfc5912::SECP_384_R_1 => Some(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
        rfc5912::SECP_521_R_1 => Some(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
        _ => None,
    }
}

/// `PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm, privateKey OCTET STRING, … }` (RFC 5208,
/// section 5). An encrypted PKCS#8 structure, PKCS#1 and SEC 1 have other beginnings.
fn pkcs8_algorithm(der: &[u8]) -> der::Result<AlgorithmIdentifierRef<'_>> {
    let mut outer = SliceReader::new(der)?;
    let algorithm = outer.sequence(|inner| {
        inner.decode::<u8>()?;
        let algorithm = inner.decode()?;
        inner.decode::<&OctetStringRef>()?;
        while !inner.is_finished() {
            inner.tlv_bytes()?;
        }
        der::Result::Ok(algorithm)
    })?;
    outer.finish()?;
    Ok(algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::suite;

    fn error(der: &[u8]) -> Option<&'static str> {
        SoftwareCaKey::from_pkcs8(der).err().map(|error| match error {
            KeyError::Malformed => "Malformed",
            KeyError::Unsupported => "Unsupported",
            other => panic!("{other}"),
        })
    }

    #[test]
    fn software_keys_pass_the_suite_of_all_providers() {
        suite::run(&SoftwareKeys);
    }

    #[test]
    fn software_keys_are_of_these_algorithms() {
        let generates = |algorithm| match SoftwareKeys.generate_ca_key(algorithm) {
            Err(KeyError::Unsupported) => false,
            generated => generated.is_ok(),
        };
        for algorithm in
            [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa { bits: 3072 }, KeyAlgorithm::Ed25519]
        {
            assert!(generates(algorithm), "{algorithm:?}");
        }
        for algorithm in
            [KeyAlgorithm::P521, KeyAlgorithm::Rsa { bits: 2048 }, KeyAlgorithm::Rsa { bits: 4096 }]
        {
            assert!(!generates(algorithm), "{algorithm:?}");
        }
    }

    #[test]
    fn what_is_no_pkcs8_is_malformed_and_other_algorithms_are_unsupported() {
        let good =
            EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).unwrap().to_pkcs8v1().unwrap();
        let good = good.as_ref();
        let with = |from: &[u8], to: &[u8]| {
            let at = good.windows(from.len()).position(|window| window == from).unwrap();
            let mut changed = good.to_vec();
            changed[at..at + to.len()].copy_from_slice(to);
            changed
        };
        assert_eq!(error(good), None);
        assert_eq!(error(&[good, &[0]].concat()), Some("Malformed"));
        assert_eq!(error(&good[..good.len() - 1]), Some("Malformed"));
        assert_eq!(error(b"-----BEGIN PRIVATE KEY-----"), Some("Malformed"));
        assert_eq!(error(&[]), Some("Malformed"));
        // SEC1: SEQUENCE { INTEGER 1, OCTET STRING }.
        assert_eq!(error(&[0x30, 6, 2, 1, 1, 4, 1, 9]), Some("Malformed"));
        let p256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        assert_eq!(error(&with(p256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1])), Some("Unsupported"));
        let ec: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        assert_eq!(error(&with(ec, &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1])), Some("Unsupported"));
    }
}
