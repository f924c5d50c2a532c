//! Wrapping and unwrapping with the stored vectors, and everything that must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

mod kwp;
mod refusals;
mod vectors;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

fn stored() -> Value {
    serde_json::from_str(include_str!("../data/kmra-wrap.json")).unwrap()
}

fn b64(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn pem(value: &Value) -> Vec<u8> {
    pem_rfc7468::decode_vec(value.as_str().unwrap().as_bytes()).unwrap().1
}

fn quote_key() -> PrivateDecryptingKey {
    PrivateDecryptingKey::from_pkcs8(&pem(&stored()["quote_private_key_pkcs8_pem"])).unwrap()
}

fn quote_spki() -> Vec<u8> {
    pem(&stored()["quote_public_key_spki_pem"])
}

fn spki_of(key: &PrivateDecryptingKey) -> Vec<u8> {
    AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).unwrap().as_ref().to_vec()
}

fn p256_pkcs8() -> Vec<u8> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    key.to_pkcs8v1().unwrap().as_ref().to_vec()
}

const SHA1: &OaepAlgorithm = &OAEP_SHA1_MGF1SHA1;
const SHA256: &OaepAlgorithm = &OAEP_SHA256_MGF1SHA256;

/// A wrapped key that is made step by step, so that each step can be made wrong.
fn oaep(algorithm: &'static OaepAlgorithm, kek: &[u8], label: Option<&[u8]>) -> Vec<u8> {
    let key = OaepPublicEncryptingKey::new(quote_key().public_key()).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(algorithm, kek, &mut out, label).unwrap().to_vec()
}

fn kwp(kek: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; payload.len() + 15];
    AesKek::new(&AES_256, kek).unwrap().wrap_with_padding(payload, &mut out).unwrap().to_vec()
}

fn kwp_wrap(payload: &[u8]) -> Vec<u8> {
    [oaep(SHA256, &[7; 32], None), kwp(&[7; 32], payload)].concat()
}
