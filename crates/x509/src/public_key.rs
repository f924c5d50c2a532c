//! Public keys: which ones are supported, and the verification of their signatures by aws-lc-rs.

use crate::algorithm::{
    EC, ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512, ED25519, KeyAlgorithm, MGF1, P256, P384, P521, RSA,
    RSA_PSS, RSA_SHA256, RSA_SHA384, RSA_SHA512, SHA256, SHA384, SHA512,
};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use der::asn1::UintRef;
use der::{Decode, Reader, Sequence, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key or signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// It cannot be read.
    Malformed(&'static str),
    /// It can be read, but it is too weak or its algorithm is not supported.
    Unsupported(&'static str),
    /// The signature does not verify.
    Signature,
}

/// A public key that is strong enough.
#[derive(Clone, Debug)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    /// `RSAPublicKey`, the uncompressed point, or the 32 bytes of an Edwards point.
    key: Vec<u8>,
    /// Prepared for signatures with the algorithm that such a CA key uses, because one key verifies every
    /// certificate.
    parsed: ParsedPublicKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.key == other.key
    }
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        let malformed = |_| KeyError::Malformed("the public key cannot be read");
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(malformed)?;
        let key =
            info.subject_public_key.as_bytes().ok_or(KeyError::Malformed("the public key cannot be read"))?;
        let algorithm = match info.algorithm.oid {
            RSA => rsa(&info.algorithm, key)?,
            EC => ec(&info.algorithm, key)?,
            ED25519 if info.algorithm.parameters.is_none() && key.len() == 32 => KeyAlgorithm::Ed25519,
            ED25519 => return Err(KeyError::Malformed("the Ed25519 key cannot be read")),
            _ => {
                return Err(KeyError::Unsupported(
                    "the key must be RSA, ECDSA (P-256, P-384, P-521) or Ed25519",
                ));
            }
        };
        // aws-lc-rs checks what needs arithmetic: that a point is on its curve, and that RSA numbers are
        // possible.
        let parsed = ParsedPublicKey::new(algorithm.verification(), key);
        let parsed = parsed.map_err(|_| KeyError::Malformed("the public key is not valid"))?;
        Ok(Self { algorithm, key: key.to_vec(), parsed })
    }

    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The first 20 bytes of SHA-256 over the contents of the key's BIT STRING (RFC 7093, method 1; Go since
    /// 1.25).
    pub fn key_id(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.key).as_ref().iter().take(20).copied().collect()
    }

    /// Verifies a signature with the algorithm that such a CA key uses.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        self.parsed.verify_sig(message, signature).map_err(|_| KeyError::Signature)
    }

    /// Verifies a signature with the given algorithm.
    pub fn verify_with(
        &self,
        algorithm: &AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyError> {
        match self.other_verification(algorithm)? {
            None => self.verify(message, signature),
            Some(by) => {
                let key = UnparsedPublicKey::new(by, &self.key);
                key.verify(message, signature).map_err(|_| KeyError::Signature)
            }
        }
    }

    /// The family must fit the key; the hash may be SHA-256, SHA-384 or SHA-512. `None` if the algorithm is
    /// the one that such a CA key uses.
    fn other_verification(
        &self,
        algorithm: &AlgorithmIdentifierRef<'_>,
    ) -> Result<Option<&'static dyn VerificationAlgorithm>, KeyError> {
        let wrong =
            KeyError::Unsupported("the signature algorithm is not supported, or does not fit the key");
        let plain = algorithm.parameters.is_none();
        // RFC 4055 requires NULL; some writers omit it.
        let null = algorithm.parameters.is_none_or(der::AnyRef::is_null);
        match (self.algorithm, algorithm.oid) {
            (KeyAlgorithm::P256, ECDSA_SHA256)
            | (KeyAlgorithm::P384, ECDSA_SHA384)
            | (KeyAlgorithm::P521, ECDSA_SHA512)
            | (KeyAlgorithm::Ed25519, ED25519)
                if plain =>
            {
                Ok(None)
            }
            (KeyAlgorithm::Rsa { .. }, RSA_SHA256) if null => Ok(None),
            (KeyAlgorithm::Rsa { .. }, RSA_SHA384) if null => {
                Ok(Some(&signature::RSA_PKCS1_2048_8192_SHA384))
            }
            (KeyAlgorithm::Rsa { .. }, RSA_SHA512) if null => {
                Ok(Some(&signature::RSA_PKCS1_2048_8192_SHA512))
            }
            (KeyAlgorithm::Rsa { .. }, RSA_PSS) => pss(algorithm).ok_or(wrong).map(Some),
            (KeyAlgorithm::P256, ECDSA_SHA384) if plain => Ok(Some(&signature::ECDSA_P256_SHA384_ASN1)),
            (KeyAlgorithm::P256, ECDSA_SHA512) if plain => Ok(Some(&signature::ECDSA_P256_SHA512_ASN1)),
            (KeyAlgorithm::P384, ECDSA_SHA256) if plain => Ok(Some(&signature::ECDSA_P384_SHA256_ASN1)),
            (KeyAlgorithm::P384, ECDSA_SHA512) if plain => Ok(Some(&signature::ECDSA_P384_SHA512_ASN1)),
            (KeyAlgorithm::P521, ECDSA_SHA256) if plain => Ok(Some(&signature::ECDSA_P521_SHA256_ASN1)),
            (KeyAlgorithm::P521, ECDSA_SHA384) if plain => Ok(Some(&signature::ECDSA_P521_SHA384_ASN1)),
            _ => Err(wrong),
        }
    }
}

/// NULL parameters, 2048 to 8192 bits, an odd exponent from 65537 to 2³¹ − 1.
fn rsa(algorithm: &AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let malformed = |_| KeyError::Malformed("the RSA key cannot be read");
    if !algorithm.parameters.is_some_and(der::AnyRef::is_null) {
        return Err(KeyError::Malformed("the RSA key has no NULL parameters"));
    }
    let mut reader = SliceReader::new(key).map_err(malformed)?;
    let (modulus, exponent) = reader
        .sequence(|inner| Ok::<_, der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?)))
        .map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    let modulus = modulus.as_bytes();
    let first = modulus.first().copied().unwrap_or(0);
    let bits = (modulus.len() * 8).saturating_sub(first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(KeyError::Unsupported("an RSA key must have 2048 to 8192 bits"));
    }
    let wrong = KeyError::Unsupported("the RSA exponent must be odd, at least 65537 and below 2^31");
    let exponent = match exponent.as_bytes() {
        bytes if bytes.len() <= 4 => bytes.iter().fold(0u32, |value, byte| (value << 8) | u32::from(*byte)),
        _ => return Err(wrong),
    };
    if exponent < 65537 || exponent % 2 == 0 || exponent > i32::MAX.unsigned_abs() {
        return Err(wrong);
    }
    Ok(KeyAlgorithm::Rsa { bits })
}

/// A named curve and an uncompressed point.
fn ec(algorithm: &AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<KeyAlgorithm, KeyError> {
    let curve = algorithm.parameters_oid().map_err(|_| KeyError::Unsupported("the curve is not named"))?;
    let (curve, length) = match curve {
        P256 => (KeyAlgorithm::P256, 65),
        P384 => (KeyAlgorithm::P384, 97),
        P521 => (KeyAlgorithm::P521, 133),
        _ => return Err(KeyError::Unsupported("the curve must be P-256, P-384 or P-521")),
    };
    if key.len() != length || key.first() != Some(&4) {
        return Err(KeyError::Malformed("the point must be uncompressed"));
    }
    Ok(curve)
}

/// RFC 4055, section 3.1.
#[derive(Sequence)]
struct PssParameters<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    hash: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    mask: Option<AlgorithmIdentifierRef<'a>>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    salt: Option<u8>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT", optional = "true")]
    trailer: Option<u8>,
}

/// The hash of the mask must be the hash of the signature, and the salt must have its length. The defaults
/// (SHA-1) are not supported.
fn pss(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let parameters: PssParameters<'_> = algorithm.parameters?.decode_as().ok()?;
    let (hash, mask) = (parameters.hash?, parameters.mask?);
    let inner: AlgorithmIdentifierRef<'_> = mask.parameters?.decode_as().ok()?;
    let bare = |id: &AlgorithmIdentifierRef<'_>| id.parameters.is_none_or(der::AnyRef::is_null);
    if mask.oid != MGF1 || inner.oid != hash.oid || !bare(&hash) || !bare(&inner) {
        return None;
    }
    if parameters.trailer.is_some_and(|trailer| trailer != 1) {
        return None;
    }
    match (hash.oid, parameters.salt?) {
        (SHA256, 32) => Some(&signature::RSA_PSS_2048_8192_SHA256),
        (SHA384, 48) => Some(&signature::RSA_PSS_2048_8192_SHA384),
        (SHA512, 64) => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::Encode as _;
    use der::asn1::AnyRef;

    /// An RSA `SubjectPublicKeyInfo` with an odd modulus of so many bits. No key fits it, and none is needed
    /// to read it.
    fn rsa_key(bits: usize, exponent: u32) -> Result<PublicKey, KeyError> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        let numbers = [modulus.as_slice(), &exponent.to_be_bytes()].map(|number| {
            let number = crate::encode::unsigned(number);
            number.unwrap()
        });
        let key = crate::encode::sequence(&[&numbers[0], &numbers[1]]).unwrap();
        let algorithm = AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) }.to_der().unwrap();
        let spki = [algorithm.as_slice(), &crate::encode::bits(&key).unwrap()];
        PublicKey::from_spki(&crate::encode::sequence(&spki).unwrap())
    }

    #[test]
    fn rsa_keys_have_2048_to_8192_bits() {
        let length = KeyError::Unsupported("an RSA key must have 2048 to 8192 bits");
        for bits in [2048, 2049, 8191, 8192] {
            assert_eq!(rsa_key(bits, 65537).unwrap().algorithm(), KeyAlgorithm::Rsa { bits });
        }
        for bits in [1024, 2047, 8193, 16384] {
            assert_eq!(rsa_key(bits, 65537).unwrap_err(), length, "{bits}");
        }
    }

    #[test]
    fn rsa_exponents_are_odd_from_65537_to_below_2_to_the_31() {
        let wrong = KeyError::Unsupported("the RSA exponent must be odd, at least 65537 and below 2^31");
        for exponent in [65537, 65539, 0x7fff_ffff] {
            assert!(rsa_key(2048, exponent).is_ok(), "{exponent}");
        }
        for exponent in [1, 3, 65535, 65536, 65538, 0x7fff_fffe, 0x8000_0001, u32::MAX] {
            assert_eq!(rsa_key(2048, exponent).unwrap_err(), wrong, "{exponent}");
        }
    }
}
