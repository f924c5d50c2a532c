//! Reads private key files: PEM in, PKCS#8 out.

use super::error::Error;
use crate::files::read_secret;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
};
use der::asn1::ObjectIdentifier;
use der::{Decode, SliceReader};
use spki::AlgorithmIdentifierRef;
use std::path::Path;
use tcs_pem::PrivateKeyEncoding;
use zeroize::Zeroizing;

/// Maximum length of a file, in bytes. An RSA-8192 key in PEM has about 7 KiB.
const MAX_FILE_LEN: usize = 64 * 1024;

/// rsaEncryption, RFC 8017 appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// id-ecPublicKey, RFC 5480 section 2.1.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// id-Ed25519, RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

static CURVES: [&EcdsaSigningAlgorithm; 3] =
    [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];

/// A private key that was parsed and checked.
pub(super) struct PrivateKey {
    /// Exactly one unencrypted PKCS#8 structure in DER.
    pub pkcs8: Zeroizing<Vec<u8>>,
    algorithm: KeyAlgorithm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyAlgorithm {
    Rsa,
    Ec,
    Ed25519,
}

impl PrivateKey {
    /// Refuses a key that cannot be wrapped in a token, before the token is used.
    pub(super) fn check_for_token(&self) -> Result<(), Error> {
        match self.algorithm {
            KeyAlgorithm::Rsa | KeyAlgorithm::Ec => Ok(()),
            KeyAlgorithm::Ed25519 => {
                Err(Error::PrivateKeyUnsupported { what: "it is an Ed25519 key, which tokens cannot wrap" })
            }
        }
    }
}

/// Reads a private key in PKCS#8, PKCS#1 or SEC 1 and converts it to PKCS#8.
pub(super) fn read_private_key(path: &Path) -> Result<PrivateKey, Error> {
    let text = read_secret(path, MAX_FILE_LEN)
        .map_err(|cause| Error::PrivateKeyUnreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let malformed = |found: String| Error::PrivateKeyMalformed { path: path.to_owned(), found };
    let key = match tcs_pem::private_key(&text) {
        Err(tcs_pem::Error::Encrypted) => return Err(Error::PrivateKeyEncrypted { path: path.to_owned() }),
        Err(error) => return Err(malformed(error.to_string())),
        Ok(key) => key,
    };
    match key.encoding {
        PrivateKeyEncoding::Pkcs8 => from_pkcs8(key.der),
        PrivateKeyEncoding::Pkcs1 => from_pkcs1(&key.der),
        PrivateKeyEncoding::Sec1 => from_sec1(&key.der),
    }
    .map_err(|error| match error {
        KeyError::Malformed(found) => malformed(found),
        KeyError::Unsupported(what) => Error::PrivateKeyUnsupported { what },
    })
}

enum KeyError {
    Malformed(String),
    Unsupported(&'static str),
}

fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Result<PrivateKey, KeyError> {
    tcs_keywrap::check_pkcs8(&der).map_err(|error| KeyError::Malformed(error.to_string()))?;
    let oid =
        algorithm_oid(&der).ok_or_else(|| KeyError::Malformed("its algorithm is damaged".to_owned()))?;
    let algorithm = match oid {
        RSA => {
            rsa::KeyPair::from_pkcs8(&der).map(|_| KeyAlgorithm::Rsa).map_err(|error| rsa_error(&error))?
        }
        EC if CURVES.iter().any(|curve| EcdsaKeyPair::from_pkcs8(curve, &der).is_ok()) => KeyAlgorithm::Ec,
        EC => return Err(ec_error()),
        ED25519 if Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).is_ok() => KeyAlgorithm::Ed25519,
        ED25519 => return Err(KeyError::Malformed("its Ed25519 key is not valid".to_owned())),
        _ => {
            return Err(KeyError::Unsupported("it is neither RSA nor an elliptic curve key of a known kind"));
        }
    };
    Ok(PrivateKey { pkcs8: der, algorithm })
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let key = rsa::KeyPair::from_der(der).map_err(|error| rsa_error(&error))?;
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key)
        .map_err(|_| KeyError::Malformed("it cannot be written as PKCS#8".to_owned()))?;
    Ok(PrivateKey { pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()), algorithm: KeyAlgorithm::Rsa })
}

fn from_sec1(der: &[u8]) -> Result<PrivateKey, KeyError> {
    let pkcs8 = CURVES
        .iter()
        .find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok()?.to_pkcs8v1().ok())
        .ok_or_else(ec_error)?;
    Ok(PrivateKey { pkcs8: Zeroizing::new(pkcs8.as_ref().to_vec()), algorithm: KeyAlgorithm::Ec })
}

fn algorithm_oid(pkcs8: &[u8]) -> Option<ObjectIdentifier> {
    let mut reader = SliceReader::new(pkcs8).ok()?;
    // Only the beginning of the structure is of interest, so its end is not read.
    der::Header::decode(&mut reader).ok()?;
    u8::decode(&mut reader).ok()?;
    Some(AlgorithmIdentifierRef::decode(&mut reader).ok()?.oid)
}

fn rsa_error(error: &aws_lc_rs::error::KeyRejected) -> KeyError {
    // The library distinguishes these two only by their documented texts.
    match error.to_string().as_str() {
        "TooSmall" => KeyError::Unsupported("its RSA modulus is shorter than 2048 bits"),
        "TooLarge" => KeyError::Unsupported("its RSA modulus is longer than 8192 bits"),
        _ => KeyError::Malformed("its RSA key is not valid".to_owned()),
    }
}

fn ec_error() -> KeyError {
    KeyError::Malformed("it is not a valid key on P-256, P-384 or P-521".to_owned())
}
