//! Digests of names, which are used as measurements and signers.

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, digest};

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    hash(&SHA256, bytes)
}

pub fn sha384(bytes: &[u8]) -> [u8; 48] {
    hash(&SHA384, bytes)
}

fn hash<const LEN: usize>(algorithm: &'static Algorithm, bytes: &[u8]) -> [u8; LEN] {
    let mut hash = [0; LEN];
    for (to, from) in hash.iter_mut().zip(digest(algorithm, bytes).as_ref()) {
        *to = *from;
    }
    hash
}
