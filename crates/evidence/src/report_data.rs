//! The profiles of `report_data`: how a quote binds the public key of an offer (`docs/protocol.md`,
//! "`report_data` profiles").

use crate::public_key::QuotePublicKey;
use aws_lc_rs::digest::{Context, SHA256};

/// The nonce of profile `ctk-v1` in the manual flow: bytes 00, 01, … 1f.
pub const FIXED_NONCE: [u8; 32] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,
    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
];

/// Profile `ctk-v1`: SHA-256(e ‖ n ‖ nonce) in bytes 0..32, zeros in 32..64; e and n big-endian without
/// leading zeros.
///
/// The concatenation carries no lengths. It is unambiguous only because e always has 3 bytes and n always
/// 384, which the type of the key guarantees.
#[must_use]
pub fn ctk_v1(key: &QuotePublicKey, nonce: &[u8; 32]) -> [u8; 64] {
    let mut hash = Context::new(&SHA256);
    hash.update(&QuotePublicKey::EXPONENT);
    hash.update(key.modulus());
    hash.update(nonce);
    let mut data = [0; 64];
    for (to, from) in data.iter_mut().zip(hash.finish().as_ref()) {
        *to = *from;
    }
    data
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::public_key::tests::{NULL, rsa};

    fn vector() -> serde_json::Value {
        serde_json::from_str(include_str!("../tests/data/kmra-wrap.json")).unwrap()
    }

    pub(crate) fn spki() -> Vec<u8> {
        let pem = vector()["quote_public_key_spki_pem"].as_str().unwrap().to_owned();
        pem_rfc7468::decode_vec(pem.trim_end().as_bytes()).unwrap().1
    }

    #[test]
    fn ctk_v1_gives_the_recorded_value() {
        let key = QuotePublicKey::from_der(&spki()).unwrap();
        let data = ctk_v1(&key, &FIXED_NONCE);
        assert_eq!(hex::encode(data), vector()["report_data_hex_fixed_nonce"].as_str().unwrap());
        assert_eq!(hex::encode(FIXED_NONCE), vector()["fixed_nonce_hex"].as_str().unwrap());
        let mut other = FIXED_NONCE;
        other[31] ^= 1;
        assert_ne!(ctk_v1(&key, &other), data);
    }

    /// Another split of the bytes that are hashed is another key with the same hash: an exponent that
    /// includes the first bytes of the modulus leaves a modulus that can be arbitrarily short.
    #[test]
    fn review_m1_no_other_split_of_the_concatenation_is_a_key() {
        let good = spki();
        let hashed = [&[1, 0, 1], &good[33..417]].concat();
        let positive = |bytes: &[u8]| if bytes[0] < 0x80 { bytes.to_vec() } else { [&[0], bytes].concat() };
        let mut read = 0;
        for split in 1..hashed.len() {
            let (exponent, modulus) = hashed.split_at(split);
            let spki = rsa(NULL, &positive(modulus), &positive(exponent));
            if let Ok(key) = QuotePublicKey::from_der(&spki) {
                assert_eq!((split, key.der()), (3, good.as_slice()));
                read += 1;
            }
        }
        assert_eq!(read, 1);
    }
}
