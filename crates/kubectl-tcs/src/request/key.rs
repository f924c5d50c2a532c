//! The private key of a request.

use crate::cli::KeyChoice;
use crate::error::Error;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5912, rfc8410};
use der::asn1::{Any, AnyRef};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

/// A new key pair.
pub struct NewKey {
    pair: Pair,
    spki: Vec<u8>,
    pkcs8: Zeroizing<Vec<u8>>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair, ObjectIdentifier),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl NewKey {
    /// A new key pair of this kind.
    pub fn generate(choice: KeyChoice) -> Result<Self, Error> {
        make(choice).map_err(|_| Error::RequestNotMade("no key could be made".to_owned()))
    }

    /// The public key, DER `SubjectPublicKeyInfo`.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The private key as PEM, PKCS#8.
    pub fn pem(&self) -> Zeroizing<String> {
        Zeroizing::new(tcs_pem::encode("PRIVATE KEY", &self.pkcs8))
    }

    /// The algorithm of [`NewKey::sign`].
    pub fn algorithm(&self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match &self.pair {
            Pair::Ecdsa(_, oid) => (*oid, None),
            // RFC 4055, section 5: the parameters are NULL.
            Pair::Rsa(_) => (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(Any::from(AnyRef::NULL))),
            Pair::Ed25519(_) => (rfc8410::ID_ED_25519, None),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Ecdsa(pair, _) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        };
        signed.map_err(|_| Error::RequestNotMade("the key cannot sign".to_owned()))
    }
}

fn make(choice: KeyChoice) -> Result<NewKey, aws_lc_rs::error::Unspecified> {
    let ecdsa = |algorithm, oid| {
        let pair = EcdsaKeyPair::generate(algorithm)?;
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?.as_ref().to_vec();
        let pkcs8 = private(pair.to_pkcs8v1()?.as_ref());
        Ok(NewKey { pair: Pair::Ecdsa(pair, oid), spki, pkcs8 })
    };
    match choice {
        KeyChoice::EcdsaP256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING, rfc5912::ECDSA_WITH_SHA_256),
        KeyChoice::EcdsaP384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING, rfc5912::ECDSA_WITH_SHA_384),
        KeyChoice::Rsa3072 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072)?;
            let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?.as_ref().to_vec();
            let pkcs8 = private(AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref());
            Ok(NewKey { pair: Pair::Rsa(pair), spki, pkcs8 })
        }
        KeyChoice::Ed25519 => {
            let pair = Ed25519KeyPair::generate()?;
            let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())?.as_ref().to_vec();
            let pkcs8 = private(AsDer::<Pkcs8V1Der<'_>>::as_der(&pair)?.as_ref());
            Ok(NewKey { pair: Pair::Ed25519(pair), spki, pkcs8 })
        }
    }
}

fn private(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(bytes.to_vec())
}
