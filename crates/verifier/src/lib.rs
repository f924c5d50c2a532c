//! Appraisal of attestation evidence (RFC 9334): evidence, collateral, trust root, policy and time in; a verdict out.
//!
//! Pure: no file, network, clock or environment. The cryptographic verification is dcap-qvl's, on aws-lc-rs; the checks
//! that Intel's own library makes beyond it are in this crate (quote-verification reference, sections 2 to 5).
#![forbid(unsafe_code)]

mod backend;
mod collateral;
mod error;
mod parity;
mod policy;
mod trust;
mod verdict;

pub use collateral::{Collateral, MAX_COLLATERAL};
pub use error::{Class, Error};
pub use policy::{AcceptedIdentity, Policy};
pub use trust::TrustRoot;
pub use verdict::{Identity, TcbStatus, Verdict};

use backend::AwsLc;
use dcap_qvl::QuotePolicy;
use dcap_qvl::verify::QuoteVerifier;
use tcs_evidence::{Evidence, SgxQuoteV3, report_data};

/// Judges evidence at the instant `now` (Unix seconds).
///
/// In this order: layout, chains ending in the root, validity at `now`, debug mode, signatures and revocation, TCB
/// level, status by policy, enclave identity by policy. What `report_data` binds is judged by [`check_binding`].
pub fn verify(
    evidence: &Evidence,
    collateral: &Collateral,
    trust: &TrustRoot,
    policy: &Policy,
    now: i64,
) -> Result<Verdict, Error> {
    let Evidence::SgxQuote(bytes) = evidence else {
        return Err(Error::EvidenceUnsupported(evidence.kind()));
    };
    let quote = SgxQuoteV3::parse(bytes).map_err(|error| Error::QuoteMalformed(error.to_string()))?;
    // A clock before 1970 is before everything.
    let now = u64::try_from(now).unwrap_or(0);
    let chains = parity::Chains::read(bytes, &collateral.parts)?;
    chains.check(trust)?;
    chains.check_times(&collateral.parts, trust, now)?;
    let identity = Identity::from(&quote);
    if identity.debug && !trust.is_simulated() {
        return Err(Error::DebugEnclave);
    }
    // dcap-qvl's own policies are not used: the strict one refuses ordinary server platforms.
    let claims = QuoteVerifier::<AwsLc>::new_with_config(trust.certificate().to_vec())
        .allow_debug(trust.is_simulated())
        .verify_with_policy(bytes, &collateral.parts, now, &QuotePolicy::claims_only(now))
        .map_err(|error| Error::from_dcap(format!("{error:#}")))?;
    chains.check_platform(&collateral.parts, &claims.platform.pck)?;

    policy.check_status(claims.tcb.status.into(), &claims.tcb.advisory_ids)?;
    // The merged status leaves out states of the quoting enclave that are neither out of date nor revoked.
    policy.check_status(claims.qe.tcb_level.tcb_status.into(), &claims.qe.tcb_level.advisory_ids)?;
    policy.check_identity(&identity)?;
    Ok(Verdict {
        status: claims.tcb.status.into(),
        advisory_ids: claims.tcb.advisory_ids,
        identity,
        report_data: quote.report_data(),
        valid_until: claims.earliest_expiration_date,
        simulated: trust.is_simulated(),
    })
}

/// Whether `report_data` binds this key and nonce by profile `ctk-v1` ([`report_data::ctk_v1`]).
///
/// `spki`: DER `SubjectPublicKeyInfo` of an RSA key. Says nothing about the quote that carried `report_data`.
pub fn check_binding(report_data: &[u8; 64], spki: &[u8], nonce: &[u8; 32]) -> Result<(), Error> {
    // All public: no constant-time comparison needed.
    if report_data::ctk_v1(spki, nonce).map_err(Error::PublicKeyMalformed)? == *report_data {
        Ok(())
    } else {
        Err(Error::BindingMismatch)
    }
}
