//! What goes into `report_data`, by profile.

use crate::Error;
use aws_lc_rs::digest::{Context, SHA256};
use der::asn1::UintRef;
use der::{Decode, Reader, SliceReader};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

/// The nonce of profile `ctk-v1` in the manual flow: bytes 00, 01, … 1f (provisioning-protocol reference, section 1).
pub const FIXED_NONCE: [u8; 32] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
];

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Profile `ctk-v1`: SHA-256(e ‖ n ‖ nonce) in bytes 0..32, zeros in 32..64; e and n big-endian without leading zeros
/// (provisioning-protocol reference, section 7).
///
/// `spki` is a DER `SubjectPublicKeyInfo` of an RSA key (RFC 3279, 2.3.1).
pub fn ctk_v1(spki: &[u8], nonce: &[u8; 32]) -> Result<[u8; 64], Error> {
    let malformed = |_| Error::PublicKeyMalformed;
    let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(malformed)?;
    if info.algorithm.oid != RSA {
        return Err(Error::PublicKeyMalformed);
    }
    let key = info.subject_public_key.as_bytes().ok_or(Error::PublicKeyMalformed)?;
    let (modulus, exponent) = rsa_numbers(key).map_err(malformed)?;
    let mut hash = Context::new(&SHA256);
    hash.update(exponent.as_bytes());
    hash.update(modulus.as_bytes());
    hash.update(nonce);
    let mut data = [0; 64];
    for (to, from) in data.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    Ok(data)
}

/// `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
fn rsa_numbers(key: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(key)?;
    let numbers =
        reader.sequence(|inner| Ok::<_, der::Error>((UintRef::decode(inner)?, UintRef::decode(inner)?)))?;
    reader.finish()?;
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> serde_json::Value {
        serde_json::from_str(include_str!("../tests/data/kmra-wrap.json")).unwrap()
    }

    fn spki() -> Vec<u8> {
        let pem = vector()["quote_public_key_spki_pem"].as_str().unwrap().to_owned();
        pem_rfc7468::decode_vec(pem.trim_end().as_bytes()).unwrap().1
    }

    #[test]
    fn ctk_v1_gives_the_recorded_value() {
        let data = ctk_v1(&spki(), &FIXED_NONCE).unwrap();
        assert_eq!(hex::encode(data), vector()["report_data_hex_fixed_nonce"].as_str().unwrap());
        assert_eq!(hex::encode(FIXED_NONCE), vector()["fixed_nonce_hex"].as_str().unwrap());
        let mut other = FIXED_NONCE;
        other[31] ^= 1;
        assert_ne!(ctk_v1(&spki(), &other).unwrap(), data);
    }

    #[test]
    fn what_is_not_an_rsa_key_is_refused() {
        let good = spki();
        assert_eq!(ctk_v1(&good[..good.len() - 1], &FIXED_NONCE), Err(Error::PublicKeyMalformed));
        assert_eq!(ctk_v1(&[good.as_slice(), &[0]].concat(), &FIXED_NONCE), Err(Error::PublicKeyMalformed));
        assert_eq!(ctk_v1(b"", &FIXED_NONCE), Err(Error::PublicKeyMalformed));
        // An Ed25519 key (RFC 8410, section 10.1).
        let ed25519 = hex::decode(
            "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
        );
        assert_eq!(ctk_v1(&ed25519.unwrap(), &FIXED_NONCE), Err(Error::PublicKeyMalformed));
    }
}
