//! Public keys and signatures: which are supported, and their verification by aws-lc-rs.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, ParsedPublicKey, UnparsedPublicKey, VerificationAlgorithm};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Reader, Sequence, SliceReader};
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a key or signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Cannot be read.
    Malformed(&'static str),
    /// Can be read, and is too weak or of another kind.
    Unsupported(&'static str),
    /// The signature does not verify.
    Signature,
}

/// The kind of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rsa { bits: usize },
    P256,
    P384,
    P521,
    Ed25519,
}

impl Kind {
    /// The name in status fields.
    pub fn name(self) -> String {
        match self {
            Self::Rsa { bits } => format!("RSA-{bits}"),
            Self::P256 => "ECDSA-P256".into(),
            Self::P384 => "ECDSA-P384".into(),
            Self::P521 => "ECDSA-P521".into(),
            Self::Ed25519 => "Ed25519".into(),
        }
    }

    /// How signatures of such a CA key are verified.
    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rsa { .. } => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1,
            Self::Ed25519 => &signature::ED25519,
        }
    }

    /// The algorithm with which such a CA key signs, as DER `AlgorithmIdentifier`: it follows the key alone.
    pub fn signature_algorithm(self) -> Result<Vec<u8>, crate::Error> {
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

/// A public key that is strong enough.
#[derive(Clone, Debug)]
pub struct PublicKey {
    kind: Kind,
    /// `RSAPublicKey`, the uncompressed point, or the 32 bytes of an Edwards point.
    key: Vec<u8>,
    /// Ready for signatures with the algorithm of a CA key of this kind: a CA's is used for every certificate.
    parsed: ParsedPublicKey,
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.key == other.key
    }
}

impl PublicKey {
    /// Reads a DER `SubjectPublicKeyInfo`.
    pub fn from_spki(spki: &[u8]) -> Result<Self, Fault> {
        let malformed = |_| Fault::Malformed("the public key cannot be read");
        let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(malformed)?;
        let key =
            info.subject_public_key.as_bytes().ok_or(Fault::Malformed("the public key cannot be read"))?;
        let kind = match info.algorithm.oid {
            RSA => rsa(&info.algorithm, key)?,
            EC => ec(&info.algorithm, key)?,
            ED25519 if info.algorithm.parameters.is_none() && key.len() == 32 => Kind::Ed25519,
            ED25519 => return Err(Fault::Malformed("the Ed25519 key cannot be read")),
            _ => return Err(Fault::Unsupported("keys are RSA, ECDSA (P-256, P-384, P-521) or Ed25519")),
        };
        // aws-lc-rs checks what needs arithmetic: that a point is on its curve, that RSA numbers can be.
        let parsed = ParsedPublicKey::new(kind.verification(), key);
        let parsed = parsed.map_err(|_| Fault::Malformed("the public key is not valid"))?;
        Ok(Self { kind, key: key.to_vec(), parsed })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The first 20 bytes of SHA-256 over the contents of the key's BIT STRING (RFC 7093, method 1; Go since 1.25).
    pub fn key_id(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.key).as_ref().iter().take(20).copied().collect()
    }

    /// Verifies a signature with the algorithm that a CA key of this kind uses.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Fault> {
        self.parsed.verify_sig(message, signature).map_err(|_| Fault::Signature)
    }

    /// Verifies a signature with the algorithm named beside it.
    pub fn verify_with(
        &self,
        algorithm: &AlgorithmIdentifierRef<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Fault> {
        match self.other_verification(algorithm)? {
            None => self.verify(message, signature),
            Some(by) => {
                let key = UnparsedPublicKey::new(by, &self.key);
                key.verify(message, signature).map_err(|_| Fault::Signature)
            }
        }
    }

    /// The family must fit the key; the hash is free among SHA-256, 384 and 512. `None`: it is that of a CA key of this kind.
    fn other_verification(
        &self,
        algorithm: &AlgorithmIdentifierRef<'_>,
    ) -> Result<Option<&'static dyn VerificationAlgorithm>, Fault> {
        let wrong = Fault::Unsupported("the signature algorithm is not supported, or does not fit the key");
        let plain = algorithm.parameters.is_none();
        // RFC 4055 wants NULL; some writers leave it out.
        let null = algorithm.parameters.is_none_or(der::AnyRef::is_null);
        match (self.kind, algorithm.oid) {
            (Kind::P256, ECDSA_SHA256)
            | (Kind::P384, ECDSA_SHA384)
            | (Kind::P521, ECDSA_SHA512)
            | (Kind::Ed25519, ED25519)
                if plain =>
            {
                Ok(None)
            }
            (Kind::Rsa { .. }, RSA_SHA256) if null => Ok(None),
            (Kind::Rsa { .. }, RSA_SHA384) if null => Ok(Some(&signature::RSA_PKCS1_2048_8192_SHA384)),
            (Kind::Rsa { .. }, RSA_SHA512) if null => Ok(Some(&signature::RSA_PKCS1_2048_8192_SHA512)),
            (Kind::Rsa { .. }, RSA_PSS) => pss(algorithm).ok_or(wrong).map(Some),
            (Kind::P256, ECDSA_SHA384) if plain => Ok(Some(&signature::ECDSA_P256_SHA384_ASN1)),
            (Kind::P256, ECDSA_SHA512) if plain => Ok(Some(&signature::ECDSA_P256_SHA512_ASN1)),
            (Kind::P384, ECDSA_SHA256) if plain => Ok(Some(&signature::ECDSA_P384_SHA256_ASN1)),
            (Kind::P384, ECDSA_SHA512) if plain => Ok(Some(&signature::ECDSA_P384_SHA512_ASN1)),
            (Kind::P521, ECDSA_SHA256) if plain => Ok(Some(&signature::ECDSA_P521_SHA256_ASN1)),
            (Kind::P521, ECDSA_SHA384) if plain => Ok(Some(&signature::ECDSA_P521_SHA384_ASN1)),
            _ => Err(wrong),
        }
    }
}

/// NULL parameters, 2048 to 8192 bits, an odd exponent from 65537 to 2³¹ − 1.
fn rsa(algorithm: &AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Kind, Fault> {
    let malformed = |_| Fault::Malformed("the RSA key cannot be read");
    if !algorithm.parameters.is_some_and(der::AnyRef::is_null) {
        return Err(Fault::Malformed("the RSA key has no NULL parameters"));
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
        return Err(Fault::Unsupported("RSA keys have 2048 to 8192 bits"));
    }
    let wrong = Fault::Unsupported("the RSA exponent is odd, at least 65537 and below 2^31");
    let exponent = match exponent.as_bytes() {
        bytes if bytes.len() <= 4 => bytes.iter().fold(0u32, |value, byte| (value << 8) | u32::from(*byte)),
        _ => return Err(wrong),
    };
    if exponent < 65537 || exponent % 2 == 0 || exponent > i32::MAX.unsigned_abs() {
        return Err(wrong);
    }
    Ok(Kind::Rsa { bits })
}

/// A named curve and an uncompressed point.
fn ec(algorithm: &AlgorithmIdentifierRef<'_>, key: &[u8]) -> Result<Kind, Fault> {
    let curve = algorithm.parameters_oid().map_err(|_| Fault::Unsupported("the curve is not named"))?;
    let (kind, length) = match curve {
        P256 => (Kind::P256, 65),
        P384 => (Kind::P384, 97),
        P521 => (Kind::P521, 133),
        _ => return Err(Fault::Unsupported("curves are P-256, P-384 and P-521")),
    };
    if key.len() != length || key.first() != Some(&4) {
        return Err(Fault::Malformed("the point is not uncompressed"));
    }
    Ok(kind)
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

/// The mask's hash is the hash, the salt is as long as it; the defaults (SHA-1) are not supported.
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

    /// An RSA `SubjectPublicKeyInfo` with an odd modulus of so many bits. No key fits it, and none is needed to read it.
    fn rsa_key(bits: usize, exponent: u32) -> Result<PublicKey, Fault> {
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
        let length = Fault::Unsupported("RSA keys have 2048 to 8192 bits");
        for bits in [2048, 2049, 8191, 8192] {
            assert_eq!(rsa_key(bits, 65537).unwrap().kind(), Kind::Rsa { bits });
        }
        for bits in [1024, 2047, 8193, 16384] {
            assert_eq!(rsa_key(bits, 65537).unwrap_err(), length, "{bits}");
        }
    }

    #[test]
    fn rsa_exponents_are_odd_from_65537_to_below_2_to_the_31() {
        let wrong = Fault::Unsupported("the RSA exponent is odd, at least 65537 and below 2^31");
        for exponent in [65537, 65539, 0x7fff_ffff] {
            assert!(rsa_key(2048, exponent).is_ok(), "{exponent}");
        }
        for exponent in [1, 3, 65535, 65536, 65538, 0x7fff_fffe, 0x8000_0001, u32::MAX] {
            assert_eq!(rsa_key(2048, exponent).unwrap_err(), wrong, "{exponent}");
        }
    }
}
