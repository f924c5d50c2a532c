//! From certificate requests to certificates: parsing of PKCS#10 requests with proof of possession,
//! certificate profiles, the check of the final to-be-signed certificate, self-signed CAs, and checks of CA
//! certificates and chains. Pure: bytes and `now` come in, values come out.
//!
//! The order of an issuance ([`issue`]): parse and verify the request, build the to-be-signed certificate,
//! parse and check it, sign it, assemble both, verify the signature with the key of the CA certificate.
//! Subject, subject alternative names and public key are copied byte for byte.
//!
//! The rules follow RFC 5280 and RFC 2986. docs/conformance.md lists them with their sources.
#![forbid(unsafe_code)]

mod algorithm;
mod ca;
mod certificate;
mod constraints;
mod encode;
mod error;
mod extension;
mod host;
mod issuance;
mod name;
mod policy;
mod profile;
mod public_key;
mod quote;
mod request;
mod san;
mod self_signed;
mod signer;
mod uri;
mod usage;
mod validity;

pub use algorithm::KeyAlgorithm;
pub use ca::{CaCertificate, CaChain};
pub use error::Error;
pub use issuance::{IssuanceRequest, IssuedCertificate, Tbs, assemble, check_tbs, issue, verify_issued};
pub use policy::{Policy, PolicyRules};
pub use profile::{CertificateProfile, End, Lifetimes};
pub use request::{CertificateRequest, MAX_REQUEST};
pub use self_signed::{CaSubject, LONGEST_CA_LIFETIME, SHORTEST_CA_LIFETIME, SelfSignedCa};
pub use signer::Signer;
pub use usage::Usage;
pub use validity::{BACKDATE, LONGEST_LIFETIME, SHORTEST_LIFETIME};

/// Limits of the baseline policy. Anything beyond them is refused.
pub mod limits {
    pub use crate::extension::MAX_EXTENSIONS;
    pub use crate::issuance::MAX_TBS;
    pub use crate::name::{MAX_ATTRIBUTES, MAX_SUBJECT};
    pub use crate::san::{MAX_NAME, MAX_NAMES};
}
