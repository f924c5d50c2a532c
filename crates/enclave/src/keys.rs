//! The software key provider, on aws-lc-rs: keys live in this process's memory and nowhere else.

use crate::Error;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::OctetStringRef;
use der::{Reader as _, SliceReader};
use spki::AlgorithmIdentifierRef;
use tcs_evidence::QuotePublicKey;
use zeroize::Zeroizing;

/// `N` bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Crypto("random numbers"))?;
    Ok(bytes)
}

/// The key pair of an offer: RSA-3072 with e = 65537.
pub(crate) struct QuoteKey {
    private: PrivateDecryptingKey,
    public: QuotePublicKey,
}

impl QuoteKey {
    /// Makes a new key pair. Takes 0.05 to 0.4 seconds.
    pub(crate) fn generate() -> Result<Self, Error> {
        let failed = |_| Error::Crypto("RSA-3072 key generation");
        let private = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(failed)?;
        let spki: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        let public = QuotePublicKey::from_der(spki.as_ref())
            .map_err(|_| Error::Crypto("encoding the public key of an offer"))?;
        Ok(Self { private, public })
    }

    /// What opens the wraps made to this key.
    pub(crate) fn private(&self) -> &PrivateDecryptingKey {
        &self.private
    }

    /// The public half.
    pub(crate) fn public(&self) -> &QuotePublicKey {
        &self.public
    }
}

/// Why bytes are no key to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFault {
    /// Not an unencrypted PKCS#8 private key, or one whose parts contradict each other.
    Malformed,
    /// Another algorithm, curve or size than are supported.
    Unsupported,
}

/// The private key of a CA: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
///
/// What it signs with follows the key alone (X.509 reference, 4.3). aws-lc-rs wipes it when it is dropped.
pub(crate) enum CaKey {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl CaKey {
    /// Reads an unencrypted PKCS#8 (RFC 5208, RFC 5958), DER, nothing after it.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, KeyFault> {
        let algorithm = pkcs8_algorithm(der).map_err(|_| KeyFault::Malformed)?;
        if algorithm.oid == rfc5912::RSA_ENCRYPTION {
            return RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(|error| match error.description_() {
                "TooSmall" | "TooLarge" => KeyFault::Unsupported,
                _ => KeyFault::Malformed,
            });
        }
        if algorithm.oid == rfc5912::ID_EC_PUBLIC_KEY {
            let curve = algorithm.parameters_oid().map_err(|_| KeyFault::Unsupported)?;
            let algorithm = ecdsa_algorithm(curve).ok_or(KeyFault::Unsupported)?;
            return EcdsaKeyPair::from_pkcs8(algorithm, der)
                .map(Self::Ecdsa)
                .map_err(|_| KeyFault::Malformed);
        }
        if algorithm.oid == rfc8410::ID_ED_25519 {
            return Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519).map_err(|_| KeyFault::Malformed);
        }
        Err(KeyFault::Unsupported)
    }
}

impl CaKey {
    /// Makes a new key. An RSA key takes 0.05 to 0.4 seconds.
    pub(crate) fn generate(kind: KeyKind) -> Result<Self, Error> {
        let failed = |_| Error::Crypto("key generation");
        match kind {
            KeyKind::P256 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::Ecdsa)
            }
            KeyKind::P384 => {
                EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::Ecdsa)
            }
            KeyKind::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).map(Self::Rsa),
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
        }
        .map_err(failed)
    }

    /// The key as unencrypted PKCS#8, to be sealed.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = |_| Error::Crypto("encoding a key");
        // aws-lc-rs wipes its own copies.
        Ok(Zeroizing::new(match self {
            Self::Rsa(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).map_err(failed)?.as_ref().to_vec(),
            Self::Ecdsa(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Self::Ed25519(key) => key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        }))
    }

    /// The public half, DER `SubjectPublicKeyInfo`.
    pub(crate) fn spki(&self) -> Result<Vec<u8>, Error> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ecdsa(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.public_key().as_der(),
        };
        Ok(spki.map_err(|_| Error::Crypto("encoding a public key"))?.as_ref().to_vec())
    }
}

/// The kinds of CA keys that are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256,
    P384,
    Rsa3072,
    Ed25519,
}

impl KeyKind {
    /// By the name that CA certificates show ([`tcs_x509::CaCertificate::key_algorithm`]).
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "ECDSA-P256" => Some(Self::P256),
            "ECDSA-P384" => Some(Self::P384),
            "RSA-3072" => Some(Self::Rsa3072),
            "Ed25519" => Some(Self::Ed25519),
            _ => None,
        }
    }
}

impl tcs_x509::Signer for CaKey {
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

/// `PrivateKeyInfo ::= SEQUENCE { version, privateKeyAlgorithm, privateKey OCTET STRING, … }`. The encrypted form,
/// PKCS#1 and SEC1 do not begin so.
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
    use aws_lc_rs::signature::UnparsedPublicKey;
    use tcs_x509::Signer as _;

    fn fault(der: &[u8]) -> Option<KeyFault> {
        CaKey::from_pkcs8(der).err()
    }

    #[test]
    fn quote_keys_are_rsa_3072_and_new_each_time() {
        let (one, other) = (QuoteKey::generate().unwrap(), QuoteKey::generate().unwrap());
        assert_ne!(one.public(), other.public());
    }

    #[test]
    fn every_kind_of_ca_key_signs_what_its_public_half_verifies() {
        let message = b"to be signed";
        for (algorithm, verify) in [
            (&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &signature::ECDSA_P256_SHA256_ASN1),
            (&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &signature::ECDSA_P384_SHA384_ASN1),
            (&signature::ECDSA_P521_SHA512_ASN1_SIGNING, &signature::ECDSA_P521_SHA512_ASN1),
        ] {
            let der = EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap();
            let key = CaKey::from_pkcs8(der.as_ref()).unwrap();
            let public = UnparsedPublicKey::new(verify, key.spki().unwrap());
            public.verify(message, &key.sign(message).unwrap()).unwrap();
        }
        let der = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let key = CaKey::from_pkcs8(der.as_ref()).unwrap();
        let public = UnparsedPublicKey::new(&signature::ED25519, key.spki().unwrap());
        public.verify(message, &key.sign(message).unwrap()).unwrap();

        let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let key = CaKey::from_pkcs8(der.as_ref()).unwrap();
        let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key.spki().unwrap());
        public.verify(message, &key.sign(message).unwrap()).unwrap();
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
        assert_eq!(fault(good), None);
        assert_eq!(fault(&[good, &[0]].concat()), Some(KeyFault::Malformed));
        assert_eq!(fault(&good[..good.len() - 1]), Some(KeyFault::Malformed));
        assert_eq!(fault(b"-----BEGIN PRIVATE KEY-----"), Some(KeyFault::Malformed));
        assert_eq!(fault(&[]), Some(KeyFault::Malformed));
        // SEC1: SEQUENCE { INTEGER 1, OCTET STRING }.
        assert_eq!(fault(&[0x30, 6, 2, 1, 1, 4, 1, 9]), Some(KeyFault::Malformed));
        let p256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        assert_eq!(fault(&with(p256, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1])), Some(KeyFault::Unsupported));
        let ec: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        assert_eq!(fault(&with(ec, &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1])), Some(KeyFault::Unsupported));
    }
}
