//! The public key that a quote binds.

use aws_lc_rs::digest::{SHA256, digest};
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// rsaEncryption, RFC 8017, appendix A.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The bytes before the modulus in the only encoding that is accepted: the headers of `SubjectPublicKeyInfo`,
/// the algorithm rsaEncryption with NULL parameters (RFC 3279, section 2.3.1), and the headers of
/// `RSAPublicKey`.
const BEFORE_MODULUS: [u8; 33] = [
    0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00,
];
/// The bytes after the modulus: the exponent 65537.
const AFTER_MODULUS: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// The public key of a quote: RSA with a modulus of exactly 3072 bits and the exponent 65537.
///
/// No other key can be represented, and every key has exactly one encoding. So the key that was verified is
/// the key for which a CA key is wrapped, whichever program reads its bytes, and the boundary between
/// exponent and modulus in the concatenation that `report_data` hashes is unambiguous (`docs/protocol.md`,
/// "The public key of an offer").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotePublicKey {
    modulus: [u8; Self::MODULUS_LEN],
    der: Vec<u8>,
}

impl QuotePublicKey {
    /// Length of the modulus in bytes.
    pub const MODULUS_LEN: usize = 384;
    /// The exponent, big-endian.
    pub const EXPONENT: [u8; 3] = [0x01, 0x00, 0x01];

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7) in DER. Nothing may follow it.
    pub fn from_der(spki: &[u8]) -> Result<Self, PublicKeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(spki)
            .map_err(|_| PublicKeyError::Malformed("it is not a SubjectPublicKeyInfo in DER"))?;
        if info.algorithm.oid != RSA_ENCRYPTION {
            return Err(PublicKeyError::Unsupported("it is not an RSA key"));
        }
        let key = info.subject_public_key.as_bytes().unwrap_or_default();
        let (modulus, exponent) =
            rsa_numbers(key).map_err(|_| PublicKeyError::Malformed("it contains no RSA key"))?;
        let modulus = modulus.as_bytes();
        let top = modulus.first().copied().unwrap_or_default();
        let bits = modulus.len().saturating_mul(8).saturating_sub(top.leading_zeros() as usize);
        if bits < 3072 {
            return Err(PublicKeyError::TooSmall { bits });
        }
        let Ok(modulus) = <[u8; Self::MODULUS_LEN]>::try_from(modulus) else {
            return Err(PublicKeyError::Unsupported("its modulus is longer than 3072 bits"));
        };
        if exponent.as_bytes() != Self::EXPONENT {
            return Err(PublicKeyError::Unsupported("its public exponent is not 65537"));
        }
        let der = [&BEFORE_MODULUS, modulus.as_slice(), &AFTER_MODULUS].concat();
        if der == spki {
            Ok(Self { modulus, der })
        } else {
            Err(PublicKeyError::Malformed("it is not encoded as RFC 3279, section 2.3.1, says"))
        }
    }

    /// The key as DER `SubjectPublicKeyInfo`, 422 bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The modulus, big-endian; its top bit is set.
    #[must_use]
    pub fn modulus(&self) -> &[u8; Self::MODULUS_LEN] {
        &self.modulus
    }

    /// SHA-256 over [`Self::der`]: what `openssl pkey -pubin -outform DER | sha256sum` prints for the key.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, &self.der).as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// Why a public key is not one that a quote binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// It cannot be read, or does not have its only accepted encoding.
    #[error("the public key is malformed: {0}")]
    Malformed(&'static str),
    /// It is weaker than the protocol requires.
    #[error("the public key is RSA-{bits}; RSA-3072 is required")]
    TooSmall {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// It is a key of another kind.
    #[error("the public key is not supported: {0}; RSA-3072 with the exponent 65537 is required")]
    Unsupported(&'static str),
}

impl PublicKeyError {
    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed(_) => "PublicKeyMalformed",
            Self::TooSmall { .. } => "PublicKeyTooSmall",
            Self::Unsupported(_) => "PublicKeyUnsupported",
        }
    }
}

/// `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }` (RFC 8017, appendix A.1.1).
fn rsa_numbers(key: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(key)?;
    let numbers =
        reader.sequence(|inner| Ok::<_, der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
    reader.finish()?;
    Ok(numbers)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report_data::tests::spki;

    fn code(spki: &[u8]) -> Option<&'static str> {
        QuotePublicKey::from_der(spki).err().map(PublicKeyError::code)
    }

    /// A definite-length element; long lengths take two bytes.
    fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
        let header = match value.len() {
            ..0x80 => vec![tag, low],
            0x80..0x100 => vec![tag, 0x81, low],
            _ => vec![tag, 0x82, high, low],
        };
        [header, value].concat()
    }

    pub(crate) fn rsa(parameters: &[u8], modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let oid = element(0x06, &[RSA_ENCRYPTION.as_bytes()]);
        let key = element(0x30, &[&element(0x02, &[modulus]), &element(0x02, &[exponent])]);
        element(0x30, &[&element(0x30, &[&oid, parameters]), &element(0x03, &[&[0], &key])])
    }

    pub(crate) const NULL: &[u8] = &[5, 0];
    const EXPONENT: &[u8] = &[1, 0, 1];

    #[test]
    fn the_one_encoding_is_read_and_given_back() {
        let good = spki();
        let key = QuotePublicKey::from_der(&good).unwrap();
        assert_eq!((key.der(), key.der().len()), (good.as_slice(), 422));
        assert_eq!(rsa(NULL, &[&[0], key.modulus().as_slice()].concat(), EXPONENT), good);
        assert_eq!(key.sha256().as_slice(), digest(&SHA256, &good).as_ref());
    }

    #[test]
    fn review_m1_only_rsa_3072_with_65537_is_a_quotes_key() {
        let good = spki();
        let modulus = &good[32..417];
        let positive = |bytes: usize, top: u8| {
            let mut modulus = vec![0x55; bytes + 1];
            (modulus[0], modulus[1]) = (0, top);
            modulus
        };
        // An Ed25519 key (RFC 8410, section 10.1).
        let ed25519 =
            "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        for (spki, expected) in [
            (good[..421].to_vec(), "PublicKeyMalformed"),
            ([good.as_slice(), &[0]].concat(), "PublicKeyMalformed"),
            (Vec::new(), "PublicKeyMalformed"),
            (hex::decode(ed25519).unwrap(), "PublicKeyUnsupported"),
            (rsa(NULL, modulus, &[3]), "PublicKeyUnsupported"),
            (rsa(NULL, modulus, &[1, 0, 1, 0]), "PublicKeyUnsupported"),
            (rsa(NULL, &positive(256, 0x80), EXPONENT), "PublicKeyTooSmall"),
            (rsa(NULL, &modulus[1..], EXPONENT), "PublicKeyMalformed"),
            (rsa(NULL, &[&[0x7f], &modulus[2..]].concat(), EXPONENT), "PublicKeyTooSmall"),
            (rsa(NULL, &positive(385, 0x80), EXPONENT), "PublicKeyUnsupported"),
            (rsa(NULL, &positive(512, 0x80), EXPONENT), "PublicKeyUnsupported"),
            (rsa(NULL, &[&[0], modulus].concat(), EXPONENT), "PublicKeyMalformed"),
            (rsa(NULL, modulus, &[0, 1, 0, 1]), "PublicKeyMalformed"),
            // The same numbers in encodings that other programs take, too.
            (rsa(&[], modulus, EXPONENT), "PublicKeyMalformed"),
            (rsa(&[0x30, 0], modulus, EXPONENT), "PublicKeyMalformed"),
            (rsa(&[5, 0, 5, 0], modulus, EXPONENT), "PublicKeyMalformed"),
        ] {
            assert_eq!(code(&spki), Some(expected), "{}", hex::encode(spki));
        }
        let mut unused_bits = good.clone();
        unused_bits[23] = 1;
        assert_eq!(code(&unused_bits), Some("PublicKeyMalformed"));
    }
}
