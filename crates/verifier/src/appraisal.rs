//! Makes the checks in their order and collects the result.

use crate::certificate::PckCa;
use crate::checks::{Check, CheckId, Record};
use crate::claims::{Claims, Workload};
use crate::collateral::Collateral;
use crate::date::date;
use crate::pck_chain::PckChain;
use crate::policy::Policy;
use crate::sgx_extension::SgxExtension;
use crate::status::{QvResult, TcbStatus};
use crate::trust_anchor::TrustAnchor;
use crate::{Error, dcap, tcb_level};
use tcs_evidence::{Evidence, Quote, QuotePublicKey, SignatureData, report_data};

/// The result of an appraisal: whether the evidence was accepted, all checks, and the claims of genuine
/// evidence.
#[derive(Clone, Debug)]
#[must_use = "evidence is accepted only if `accepted` says so"]
pub struct Verdict {
    checks: Vec<Check>,
    claims: Option<Claims>,
    outcome: Result<(), Error>,
}

impl Verdict {
    /// The claims of evidence that is genuine **and** accepted by the policy; else the first check that
    /// refused.
    pub fn accepted(&self) -> Result<&Claims, &Error> {
        match (&self.outcome, &self.claims) {
            (Ok(()), Some(claims)) => Ok(claims),
            (Err(error), _) => Err(error),
            // Unreachable: without claims the outcome is an error.
            (Ok(()), None) => Err(&Error::NoIdentityConfigured),
        }
    }

    /// As [`Self::accepted`], by value.
    pub fn into_accepted(self) -> Result<Claims, Error> {
        self.outcome.and(self.claims.ok_or(Error::NoIdentityConfigured))
    }

    /// The claims of genuine evidence, **also if the policy refuses it**: for explanations and state, never
    /// for trust.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Every check in order, including those that were not made because an earlier one failed.
    #[must_use]
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The result of Intel's library: the status of the platform if the evidence is genuine, otherwise the
    /// kind of failure.
    #[must_use]
    pub fn qv_result(&self) -> Option<QvResult> {
        match (&self.claims, &self.outcome) {
            (Some(claims), _) => Some(claims.status.result()),
            (None, Err(error)) => error.qv_result(),
            (None, Ok(())) => None,
        }
    }
}

/// Appraises evidence at the instant `now` (Unix seconds).
///
/// In this order: layout, chains ending in the root, validity at `now`, debug mode, signatures and
/// revocation, TCB level; then, for genuine evidence, every check of the policy. [`check_binding`] tells what
/// `report_data` binds.
///
/// Memory is bounded by the limits of quote and collateral ([`tcs_evidence::MAX_QUOTE`],
/// [`crate::MAX_COLLATERAL`]).
pub fn verify(
    evidence: &Evidence,
    collateral: &Collateral,
    trust: &TrustAnchor,
    policy: &Policy,
    now: i64,
) -> Verdict {
    let mut record = Record::new();
    // If the clock is before 1970, nothing is valid.
    let now = u64::try_from(now).unwrap_or(0);
    let (claims, outcome) = match authenticate(evidence, collateral, trust, now, &mut record) {
        Ok(claims) => {
            let outcome = policy.appraise(&claims, &mut record);
            (Some(claims), outcome)
        }
        Err(error) => (None, Err(error)),
    };
    let not_applicable: &[CheckId] = match evidence {
        Evidence::TdxQuote(_) => &[CheckId::MiscSelect],
        _ => &[CheckId::Xfam, CheckId::TdModule],
    };
    Verdict { checks: record.into_checks(not_applicable), claims, outcome }
}

/// Whether `report_data` binds this key and nonce by profile `ctk-v1` ([`report_data::ctk_v1`]).
///
/// This says nothing about the quote that contains `report_data`.
pub fn check_binding(report_data: &[u8; 64], key: &QuotePublicKey, nonce: &[u8; 32]) -> Result<(), Error> {
    // All values are public, so no constant-time comparison is needed.
    if report_data::ctk_v1(key, nonce) == *report_data { Ok(()) } else { Err(Error::BindingMismatch) }
}

/// Makes every check that genuine evidence has to pass, and returns its claims.
fn authenticate(
    evidence: &Evidence,
    collateral: &Collateral,
    trust: &TrustAnchor,
    now: u64,
    record: &mut Record,
) -> Result<Claims, Error> {
    let parsed = evidence.quote().and_then(|quote| Ok((quote, quote.signature_data()?)));
    let parsed = parsed.map_err(|error| Error::QuoteMalformed(error.to_string()));
    let (quote, signature_data) = record.conclude(CheckId::QuoteLayout, parsed, |(quote, _)| {
        let tee = if matches!(quote, Quote::Sgx(_)) { "SGX" } else { "TDX" };
        format!("{tee}, version {}, {} bytes", quote.header().version(), evidence.bytes().len())
    })?;
    let (chain, ca) = check_chain(&signature_data, collateral, trust, now, record)?;
    let workload = match &quote {
        Quote::Sgx(quote) => Workload::Enclave(quote.report().into()),
        Quote::Tdx(quote) => Workload::TrustDomain(Box::new(quote.report().into())),
    };
    record.conclude(CheckId::Debug, check_debug(&workload, trust), |()| {
        if workload.is_debug() { "debug mode, under a SIMULATED root" } else { "not in debug mode" }
    })?;
    let verified = match dcap::verify(evidence.bytes(), &chain, collateral, trust, now) {
        Ok(verified) => verified,
        Err((id, error)) => return record.conclude(id, Err(error), |_: &Claims| ""),
    };
    for id in [CheckId::Signatures, CheckId::Revocation, CheckId::QuotingEnclave] {
        record.conclude(id, Ok(()), |()| "as expected")?;
    }
    let pck = check_platform(&chain, collateral, record)?;
    let dates = tcb_level::dates(collateral, &quote, &signature_data, &pck.cpu_svn, pck.pce_svn, &verified);
    let (tcb_date, qe_tcb_date) =
        record.conclude(CheckId::TcbLevel, dates, |(platform, _)| format!("level of {}", date(*platform)))?;

    let qe_evaluation_number = collateral.qe_identity.tcb_evaluation_data_number;
    let tcb_info_evaluation_number = collateral.tcb_info.tcb_evaluation_data_number;
    let anchor = trust.parsed()?;
    Ok(Claims {
        workload,
        report_data: quote.report_data(),
        status: TcbStatus::named(&verified.status)
            .ok_or_else(|| Error::QuoteRefused("its TCB status is not known".into()))?,
        advisory_ids: verified.advisory_ids,
        tcb_date,
        qe_status: verified.qe_status.status.into(),
        qe_tcb_date,
        qe_advisory_ids: verified.qe_status.advisory_ids,
        evaluation_number: tcb_info_evaluation_number.min(qe_evaluation_number),
        tcb_info_evaluation_number,
        qe_evaluation_number,
        platform: pck.platform(ca),
        root_ca_crl_number: collateral.root_crl_number,
        pck_crl_number: collateral.pck_crl_number,
        root_key_id: anchor.key_id,
        window: chain.collateral_window(collateral, anchor),
        simulated: trust.is_simulated(),
    })
}

/// The checks of the certificate chains that come before their signatures.
fn check_chain<'c>(
    signature_data: &SignatureData<'_>,
    collateral: &'c Collateral,
    trust: &TrustAnchor,
    now: u64,
    record: &mut Record,
) -> Result<(PckChain<'c>, PckCa), Error> {
    let chain = PckChain::read(signature_data.pck_chain(), collateral);
    let chain = record.conclude(CheckId::ChainForm, chain, |_| "as expected")?;
    record.conclude(CheckId::TrustRoot, chain.check_root(collateral, trust), |()| {
        if trust.is_simulated() { "a SIMULATED root" } else { "Intel SGX Root CA" }
    })?;
    let ca = record.conclude(CheckId::CertificateNames, chain.check_names(collateral), |ca| {
        format!("as expected; by the PCK {} CA", ca.name())
    })?;
    let times = chain.check_times(collateral, trust, now);
    record.conclude(CheckId::Validity, times, |()| format!("valid at {}", date(now)))?;
    Ok((chain, ca))
}

/// The collateral and the PCK certificate describe the same platform.
fn check_platform(
    chain: &PckChain<'_>,
    collateral: &Collateral,
    record: &mut Record,
) -> Result<SgxExtension, Error> {
    let pck = chain.extension().and_then(|pck| collateral.check_pce_id(pck.pce_id).map(|()| pck));
    let pck = record.conclude(CheckId::CollateralPlatform, pck, |pck| {
        format!("FMSPC {}, PCEID {}", hex::encode(pck.fmspc), hex::encode(pck.pce_id))
    })?;
    record.conclude(CheckId::TcbInfoForm, collateral.check_tcb_info(), |()| "as expected")?;
    record.conclude(CheckId::SvnComponents, pck.check_components(), |()| "as expected")?;
    Ok(pck)
}

/// Debug mode is refused by every policy (`docs/conformance.md`, Q9). The only exception is the DEBUG bit
/// under a simulated root. The other bits of `TDATTRIBUTES.TUD`, such as profiling, are refused under every
/// root.
fn check_debug(workload: &Workload, trust: &TrustAnchor) -> Result<(), Error> {
    let only_debug = match workload {
        Workload::Enclave(_) => true,
        Workload::TrustDomain(td) => td.td_attributes.first().is_some_and(|tud| *tud & !0x01 == 0),
    };
    if !workload.is_debug() || (trust.is_simulated() && only_debug) {
        return Ok(());
    }
    Err(Error::DebugEnclave(match workload {
        Workload::Enclave(_) => "enclave",
        Workload::TrustDomain(_) => "trust domain",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Enclave, TrustDomain};

    fn enclave(flags: u8) -> Workload {
        let mut attributes = [0; 16];
        attributes[0] = flags;
        Workload::Enclave(Enclave {
            mrenclave: [0; 32],
            mrsigner: [0; 32],
            isv_prod_id: 0,
            isv_svn: 0,
            attributes,
            misc_select: [0; 4],
            config_id: [0; 64],
            config_svn: 0,
            isv_ext_prod_id: [0; 16],
            isv_family_id: [0; 16],
        })
    }

    fn td(tud: u8) -> Workload {
        let mut td_attributes = [0; 8];
        td_attributes[0] = tud;
        Workload::TrustDomain(Box::new(TrustDomain {
            mr_td: [0; 48],
            rtmrs: [[0; 48]; 4],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            mr_seam: [0; 48],
            td_attributes,
            xfam: [0; 8],
            tee_tcb_svn: [0; 16],
        }))
    }

    /// W-D1: the stock enclave of the original was a debug enclave. There is no genuine debug quote to test
    /// with, so the check itself is tested; `tests/it/simulation.rs` tests the limits of the exception.
    #[test]
    fn w_d1_q9_debug_is_refused_under_intels_root() {
        for (workload, name) in
            [(enclave(0x07), "enclave"), (td(0x01), "trust domain"), (td(0x80), "trust domain")]
        {
            assert_eq!(check_debug(&workload, &TrustAnchor::intel()), Err(Error::DebugEnclave(name)));
        }
        for workload in [enclave(0x05), td(0)] {
            assert_eq!(check_debug(&workload, &TrustAnchor::intel()), Ok(()));
        }
    }
}
