//! Vectors, rules by their ids in docs/conformance.md, and the openssl command as an independent verifier.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking, and clippy's own exemption does not reach functions that tests share"
)]

mod baseline;
mod cases;
mod chain;
mod documents;
mod go;
mod issuance;
mod memory;
mod policy;
mod profile;
mod property;
mod self_signed;
mod sub_ca;
mod vectors;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, SignatureAlgorithm};
use tcs_x509::{
    CaChain, CertificateProfile, CertificateRequest, Error, IssuanceRequest, IssuedCertificate, Signer,
    Usage, issue,
};

const NOW: i64 = 1_795_000_000;
const DAY: i64 = 86_400;

/// A self-signed CA and its key.
struct Ca {
    pair: KeyPair,
    der: Vec<u8>,
    pem: String,
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    parameters.use_authority_key_identifier_extension = true;
    (parameters.not_before, parameters.not_after) =
        (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2036, 1, 1));
    parameters
}

fn ca(algorithm: &'static SignatureAlgorithm) -> Ca {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    let certificate = parameters("CA").self_signed(&pair).unwrap();
    Ca { der: certificate.der().to_vec(), pem: certificate.pem(), pair }
}

impl Ca {
    fn chain(&self) -> CaChain {
        CaChain::from_delivered(&[&self.der], NOW).unwrap()
    }
}

impl Signer for Ca {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sign_with(&self.pair, message))
    }
}

/// Signs as the enclave's key provider does, for tests.
fn sign_with(pair: &KeyPair, message: &[u8]) -> Vec<u8> {
    let (der, random) = (pair.serialized_der(), SystemRandom::new());
    let curves = [
        &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    ];
    for curve in curves {
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(curve, der) {
            return key.sign(&random, message).unwrap().as_ref().to_vec();
        }
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8(der) {
        return key.sign(message).as_ref().to_vec();
    }
    let key = RsaKeyPair::from_pkcs8(der).unwrap();
    let mut out = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).unwrap();
    out
}

/// A request by rcgen.
fn request(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "workload");
    change(&mut parameters);
    let pair = KeyPair::generate().unwrap();
    parameters.serialize_request(&pair).unwrap().der().to_vec()
}

fn plain() -> CertificateRequest {
    CertificateRequest::from_der(&request(|_| {})).unwrap()
}

fn params<'a>(
    request: &'a CertificateRequest,
    usages: &'a [Usage],
    lifetime: Option<u64>,
) -> IssuanceRequest<'a> {
    let serial = [0xa5; 16];
    IssuanceRequest {
        profile: CertificateProfile::KubernetesCsr,
        request,
        usages,
        lifetime,
        now: NOW,
        serial,
        earliest: NOW - DAY,
        fixed: None,
        narrowing: None,
        is_ca: false,
    }
}

fn issued(ca: &Ca, request: &CertificateRequest, lifetime: Option<u64>) -> Result<IssuedCertificate, Error> {
    issue(&params(request, &[Usage::DigitalSignature, Usage::ServerAuth], lifetime), &ca.chain(), ca)
}
