//! Appraisal by dcap-qvl on aws-lc-rs.

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::signature::DerSigEncoder;
use dcap_qvl::tcb_info::TcbStatus;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::x509::X509CertBackend;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy};
use rustls_pki_types::SignatureVerificationAlgorithm;
use tcs_sgx_sim::{Collateral, CollateralOptions, Enclave, Options, Platform, Td, Tee};

pub const NOW: i64 = 1_795_000_000;
pub const DAY: i64 = 86_400;

pub struct AwsLc;

impl Config for AwsLc {
    type X509 = X509CertBackend;
    type SigEncoder = DerSigEncoder;
    type Crypto = Self;
}

impl CryptoProvider for AwsLc {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        webpki::aws_lc_rs::ECDSA_P256_SHA256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        digest(&SHA256, data).as_ref().try_into().unwrap()
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        digest(&SHA384, data).as_ref().try_into().unwrap()
    }
}

pub fn platform(options: &Options) -> Platform {
    let dir = tempfile::tempdir().unwrap();
    Platform::create_with(&dir.path().join("p"), NOW, options).unwrap()
}

pub fn healthy() -> Platform {
    platform(&Options::default())
}

pub fn sgx(platform: &Platform) -> Vec<u8> {
    platform.sgx_quote(&Enclave::default()).unwrap()
}

pub fn td(platform: &Platform) -> Vec<u8> {
    platform.td_quote(&Td::default()).unwrap()
}

pub fn collateral(platform: &Platform, tee: Tee) -> Collateral {
    platform.collateral(NOW, tee, &CollateralOptions::default()).unwrap()
}

/// The verifier with the platform's own root, under which debug mode is accepted.
pub fn verifier(platform: &Platform) -> QuoteVerifier<AwsLc> {
    QuoteVerifier::new_with_config(platform.root_certificate().to_vec()).allow_debug(true)
}

/// The verdict at `now`; refusals as text, with their causes.
pub fn appraise_with(
    verifier: &QuoteVerifier<AwsLc>,
    quote: &[u8],
    collateral: &Collateral,
    now: i64,
) -> Result<QuoteClaims, String> {
    let collateral: QuoteCollateralV3 = serde_json::from_str(&collateral.to_json()).unwrap();
    let now = u64::try_from(now).unwrap();
    let claims = verifier.verify_with_policy(quote, collateral, now, &QuotePolicy::claims_only(now));
    claims.map_err(|error| format!("{error:#}"))
}

pub fn appraise_at(
    platform: &Platform,
    quote: &[u8],
    collateral: &Collateral,
    now: i64,
) -> Result<QuoteClaims, String> {
    appraise_with(&verifier(platform), quote, collateral, now)
}

pub fn appraise(platform: &Platform, quote: &[u8], collateral: &Collateral) -> Result<QuoteClaims, String> {
    appraise_at(platform, quote, collateral, NOW)
}

/// An SGX quote, or one of a trust domain, with collateral of these options.
pub fn appraise_collateral(
    platform: &Platform,
    tee: Tee,
    options: &CollateralOptions,
) -> Result<QuoteClaims, String> {
    let quote = if tee == Tee::Sgx { sgx(platform) } else { td(platform) };
    appraise(platform, &quote, &platform.collateral(NOW, tee, options).unwrap())
}

/// Refused, for this reason.
#[track_caller]
pub fn refused(result: Result<QuoteClaims, String>, reason: &str) {
    let error = result.map(|claims| claims.tcb.status).unwrap_err();
    assert!(error.contains(reason), "{error:?} instead of {reason:?}");
}

/// Accepted with this status and these advisories.
#[track_caller]
pub fn status(result: Result<QuoteClaims, String>, status: TcbStatus, advisories: &[&str]) {
    let tcb = result.unwrap().tcb;
    assert_eq!((tcb.status, tcb.advisory_ids), (status, advisories.iter().map(|&id| id.into()).collect()));
}
