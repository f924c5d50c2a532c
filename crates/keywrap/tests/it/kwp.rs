//! The KWP of aws-lc-rs is that of RFC 5649. The RFC's own test vector uses AES-192, which aws-lc-rs does not
//! support.

use super::{AES_256, AesKek, KeyWrapPadded, kwp};
use aws_lc_rs::cipher::{AES_256 as AES_256_ECB, EncryptingKey, UnboundCipherKey};

/// RFC 3394 section 2.2.1 with a chosen initial value and whole blocks, so that each field of
/// KWP's initial value (RFC 5649 section 3) and its padding can be made wrong.
pub fn wrap_blocks(kek: &[u8; 32], initial: [u8; 8], payload: &[u8]) -> Vec<u8> {
    let cipher = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256_ECB, kek).unwrap()).unwrap();
    let (mut a, mut r) = (initial, payload.to_vec());
    let mut t = 0u64;
    for _ in 0..6 {
        for block in r.chunks_exact_mut(8) {
            t += 1;
            let mut both = [&a[..], block].concat();
            cipher.encrypt(&mut both).unwrap();
            a = (u64::from_be_bytes(both[..8].try_into().unwrap()) ^ t).to_be_bytes();
            block.copy_from_slice(&both[8..]);
        }
    }
    [&a[..], &r].concat()
}

/// `A65959A6 ‖ length`, RFC 5649 section 3.
pub fn initial(len: usize) -> [u8; 8] {
    let len = u32::try_from(len).unwrap().to_be_bytes();
    [&[0xa6, 0x59, 0x59, 0xa6], &len[..]].concat().try_into().unwrap()
}

fn key() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn kwp_of_one_byte() {
    assert_eq!(hex::encode(kwp(&key(), &[0xa0])), "ccc49fbf20f2ace7eb31a8dde226506a");
}

#[test]
fn kwp_of_twenty_bytes() {
    let plain: Vec<u8> = (0xa0..=0xb3).collect();
    let wrapped = "45af342463d7c908087662dbba4bbdcb5b717bc58911b629334060221a3fa24b";
    assert_eq!(hex::encode(kwp(&key(), &plain)), wrapped);
    let mut out = [0; 32];
    let opened = AesKek::new(&AES_256, &key())
        .unwrap()
        .unwrap_with_padding(&hex::decode(wrapped).unwrap(), &mut out)
        .unwrap();
    assert_eq!(opened, plain);
}

#[test]
fn kwp_of_nothing_is_refused() {
    assert!(AesKek::new(&AES_256, &key()).unwrap().wrap_with_padding(&[], &mut [0; 32]).is_err());
}
