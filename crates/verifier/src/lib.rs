//! Appraisal of attestation evidence (RFC 9334): from evidence, collateral, trust anchor, policy and time to
//! a verdict.
//!
//! Pure: no file, network, clock or environment. dcap-qvl does the cryptographic verification, on aws-lc-rs.
//! The checks that Intel's own library makes in addition are in this crate (`docs/verification.md`;
//! `docs/conformance.md`, Q1 to Q16).
#![forbid(unsafe_code)]

mod appraisal;
mod attributes;
mod certificate;
mod checks;
mod claims;
mod collateral;
mod date;
mod dcap;
mod error;
mod inspection;
mod pck_chain;
mod policy;
mod refusal;
mod sgx_extension;
mod status;
mod tcb_info;
mod tcb_level;
mod trust_anchor;
mod validity;
mod workload;

pub use appraisal::{Verdict, check_binding, verify};
pub use certificate::PckCa;
pub use checks::{Check, Outcome};
pub use claims::{Claims, CollateralWindow, Enclave, Platform, TrustDomain, Workload};
pub use collateral::{Collateral, MAX_COLLATERAL};
pub use error::{Class, Error, Lacking};
pub use inspection::{CertificateSummary, Inspection, inspect};
pub use policy::{
    AcceptedIdentity, Kss, Masked, PlatformPolicy, Policy, SgxPolicy, TcbPolicy, TdReference, TdxPolicy,
};
pub use status::{QvResult, TcbStatus};
pub use trust_anchor::TrustAnchor;
pub use validity::Validity;
