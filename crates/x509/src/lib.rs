//! Certificate requests in, certificates out: PKCS#10 parsing with proof of possession, the leaf profile, the judgement
//! of the final to-be-signed certificate, self-signed CAs, chain and CA checks. Pure: bytes and `now` come in, values come out.
//!
//! The order of an issuance ([`issue`]): parse and verify the request, build the to-be-signed certificate, judge *that* (parsed
//! anew), sign it, assemble, verify the signature with the CA certificate's key. Subject, subject alternative names and
//! public key are carried byte for byte.
//!
//! Rules and their sources: crypto-and-x509 reference, section 4; RFC 5280; RFC 2986.
#![forbid(unsafe_code)]

mod algorithm;
mod ca;
mod certificate;
mod constraints;
mod encode;
mod error;
mod extension;
mod leaf;
mod name;
mod policy;
mod profile;
mod public_key;
mod request;
mod san;
mod self_signed;
mod usage;

pub use algorithm::KeyAlgorithm;
pub use ca::{CaCertificate, CaChain};
pub use error::Error;
pub use leaf::{
    BACKDATE, IssuanceRequest, IssuedCertificate, LONGEST_LIFETIME, SHORTEST_LIFETIME, Signer, Tbs, assemble,
    issue, verify_issued,
};
pub use policy::{Policy, PolicyRules};
pub use profile::{CertificateProfile, End, Lifetimes};
pub use request::{CertificateRequest, MAX_REQUEST};
pub use self_signed::{CaSubject, LONGEST_CA_LIFETIME, SHORTEST_CA_LIFETIME, SelfSignedCa};
pub use usage::Usage;

/// Limits of the floor: more is refused.
pub mod limits {
    pub use crate::extension::MAX_EXTENSIONS;
    pub use crate::leaf::MAX_TBS;
    pub use crate::name::{MAX_ATTRIBUTES, MAX_SUBJECT};
    pub use crate::san::{MAX_NAME, MAX_NAMES};
}
