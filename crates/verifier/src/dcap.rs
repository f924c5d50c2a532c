//! Adapter to dcap-qvl. It supplies primitives on aws-lc-rs, so that there is no second cryptographic
//! library, and a reader of certificates.

use crate::Error;
use crate::certificate::RawCertificate;
use crate::checks::CheckId;
use crate::refusal::{self, Subject};
use crate::trust_anchor::TrustAnchor;
use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, digest};
use dcap_qvl::config::{Config, CryptoProvider, EcdsaSigEncoder, ParsedCert, PckCa, X509Codec};
use dcap_qvl::verify::{QuoteVerifier, VerifiedReport};
use der::asn1::UintRef;
use der::{Decode, Encode};
use rustls_pki_types::SignatureVerificationAlgorithm;

/// What the library refuses by itself although Intel's library leaves it to the relying party.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Refuse debug mode and service TDs. Under a simulated root, debug mode is accepted.
    Strict,
    /// Accept both: for the status that Intel's library would report, never to accept a quote.
    AsIntel,
}

/// Verifies signatures, revocation, quoting enclave and TCB level at the instant `now` (Unix seconds).
///
/// The claims of dcap-qvl are not used: to compute them it reads both CRLs a second time, which costs as much
/// as a signature. An error is returned with the check to which it belongs.
///
/// dcap-qvl takes certificates as PEM only. It is given the certificates that were checked before, written
/// anew, and never the PEM of the quote or the collateral: PEM has one reader, and no certificate is decoded
/// that is not needed below the trust anchor.
pub fn verify(
    bytes: &[u8],
    subject: &Subject<'_>,
    trust: &TrustAnchor,
    now: u64,
    scope: Scope,
) -> Result<VerifiedReport, (CheckId, Error)> {
    QuoteVerifier::<AwsLc>::new_with_config(trust.certificate().to_vec())
        .allow_debug(trust.is_simulated() || scope == Scope::AsIntel)
        .allow_service_td(scope == Scope::AsIntel)
        .verify(bytes, &subject.collateral.for_dcap(subject.chain.to_pem()), now)
        .map_err(|error| refusal::explain(&format!("{error:#}"), subject))
}

/// Configuration of dcap-qvl.
struct AwsLc;

impl Config for AwsLc {
    type X509 = CertificateCodec;
    type SigEncoder = SignatureCodec;
    type Crypto = AwsLcCrypto;
}

/// Cryptographic primitives for dcap-qvl.
struct AwsLcCrypto;

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

/// Encodes signatures for dcap-qvl, which has an encoder only together with a second reader of certificates.
struct SignatureCodec;

impl EcdsaSigEncoder for SignatureCodec {
    /// `Ecdsa-Sig-Value` (RFC 5480, appendix A).
    fn encode_ecdsa_sig(r: &[u8], s: &[u8]) -> anyhow::Result<Vec<u8>> {
        Ok([UintRef::new(r)?, UintRef::new(s)?].to_der()?)
    }
}

/// Reads certificates for dcap-qvl, which needs only the SGX extension of a PCK certificate that it has
/// verified. Its own reader decodes every name and extension for that.
struct CertificateCodec;

impl X509Codec for CertificateCodec {
    type Parsed<'a> = RawCertificate<'a>;

    fn from_der(der: &[u8]) -> anyhow::Result<RawCertificate<'_>> {
        Ok(RawCertificate::from_der(der)?)
    }
}

impl ParsedCert for RawCertificate<'_> {
    /// Used only if dcap-qvl fetches collateral itself.
    fn pck_ca(&self) -> Option<PckCa> {
        None
    }

    fn extension(&self, oid: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(RawCertificate::extension(self, oid)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_encoded_as_rfc_5480_says() {
        let encoded = |r: &[u8], s: &[u8]| hex::encode(SignatureCodec::encode_ecdsa_sig(r, s).unwrap());
        assert_eq!(encoded(&[0, 0, 0x7f], &[0, 0x80]), "300702017f02020080");
        assert_eq!(encoded(&[0, 0], &[1]), "3006020100020101");
    }

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
