//! dcap-qvl on aws-lc-rs: no second cryptographic library beside ours.

use crate::certificate::Reader;
use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, digest};
use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::signature::DerSigEncoder;
use rustls_pki_types::SignatureVerificationAlgorithm;

/// Configuration of dcap-qvl.
pub struct AwsLc;

impl Config for AwsLc {
    type X509 = Reader;
    type SigEncoder = DerSigEncoder;
    type Crypto = AwsLcCrypto;
}

/// Primitives for dcap-qvl.
pub struct AwsLcCrypto;

impl CryptoProvider for AwsLcCrypto {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        webpki::aws_lc_rs::ECDSA_P256_SHA256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        hash(&SHA256, data)
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        hash(&SHA384, data)
    }
}

fn hash<const LEN: usize>(algorithm: &'static Algorithm, data: &[u8]) -> [u8; LEN] {
    let mut out = [0; LEN];
    for (to, from) in out.iter_mut().zip(digest(algorithm, data).as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_fips_180_4() {
        assert_eq!(
            hex::encode(AwsLcCrypto::sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex::encode(AwsLcCrypto::sha384(b"abc")),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        );
    }
}
