//! Makes the checks in their order and collects the result.

use crate::certificate::PckCa;
use crate::checks::{Check, CheckId, Record};
use crate::claims::{Claims, Workload};
use crate::collateral::Collateral;
use crate::date::date;
use crate::dcap::Scope;
use crate::pck_chain::PckChain;
use crate::policy::Policy;
use crate::refusal::Subject;
use crate::sgx_extension::SgxExtension;
use crate::status::{QvResult, TcbStatus};
use crate::trust_anchor::TrustAnchor;
use crate::workload::check_workload;
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
    qv_result: Option<QvResult>,
}

/// Evidence that is not genuine, or that no policy accepts.
struct Refused {
    error: Error,
    /// The result of Intel's library.
    qv_result: Option<QvResult>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { qv_result: error.qv_result(), error }
    }
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

    /// The result of Intel's library: the status of the platform if the evidence is genuine for it, otherwise
    /// the kind of failure. If it is not terminal although the evidence was refused, the refusal is this
    /// crate's or the policy's. `None`: the library would not get that far, or its result is not known.
    #[must_use]
    pub fn qv_result(&self) -> Option<QvResult> {
        self.qv_result
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
    let (claims, outcome, qv_result) = match authenticate(evidence, collateral, trust, now, &mut record) {
        Ok(claims) => {
            let outcome = policy.appraise(&claims, &mut record);
            let qv_result = claims.status.result();
            (Some(claims), outcome, Some(qv_result))
        }
        Err(Refused { error, qv_result }) => (None, Err(error), qv_result),
    };
    let not_applicable: &[CheckId] = match evidence {
        Evidence::TdxQuote(_) => &[CheckId::MiscSelect],
        _ => &[CheckId::TrustDomain, CheckId::Xfam, CheckId::TdModule],
    };
    Verdict { checks: record.into_checks(not_applicable), claims, outcome, qv_result }
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
) -> Result<Claims, Refused> {
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
    let subject = Subject { quote: &quote, signature_data: &signature_data, collateral, chain: &chain };
    if let Err(error) = check_workload(&workload, trust, record) {
        return Err(Refused { qv_result: as_intel(evidence, &subject, trust, now), error });
    }
    let verified = match dcap::verify(evidence.bytes(), &subject, trust, now, Scope::Strict) {
        Ok(verified) => verified,
        Err((id, error)) => return Err(conclude_failure(id, error, &subject, record).into()),
    };
    for id in MADE_TOGETHER {
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
            .ok_or_else(|| Error::QuoteRefused("its TCB status is not one of Intel's".into()))?,
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

/// The checks that dcap-qvl makes in several steps. If one of them fails, not every step of the others was
/// made.
const MADE_TOGETHER: [CheckId; 3] = [CheckId::Signatures, CheckId::Revocation, CheckId::QuotingEnclave];

/// Records a refusal of dcap-qvl and the checks before it in the table, which have all passed by then, and
/// returns the first one that failed.
fn conclude_failure(id: CheckId, error: Error, subject: &Subject<'_>, record: &mut Record) -> Error {
    let mut before = || {
        // The library compares FMSPC, TEE and levels after all signatures.
        if matches!(id, CheckId::CollateralPlatform | CheckId::TcbInfoForm | CheckId::TcbLevel) {
            for id in MADE_TOGETHER {
                record.conclude(id, Ok(()), |()| "as expected")?;
            }
        }
        match id {
            CheckId::TcbInfoForm => check_pck(subject.chain, subject.collateral, record).map(|_| ()),
            CheckId::TcbLevel => check_platform(subject.chain, subject.collateral, record).map(|_| ()),
            _ => Ok(()),
        }
    };
    match before() {
        Err(first) => first,
        Ok(()) => record.conclude(id, Err::<(), _>(error.clone()), |()| "").err().unwrap_or(error),
    }
}

/// The result of Intel's library for a quote that is refused here although that library leaves the reason
/// to the relying party; `None` if it is not known.
fn as_intel(evidence: &Evidence, subject: &Subject<'_>, trust: &TrustAnchor, now: u64) -> Option<QvResult> {
    let platform = || check_platform(subject.chain, subject.collateral, &mut Record::new());
    match dcap::verify(evidence.bytes(), subject, trust, now, Scope::AsIntel) {
        Ok(verified) => match platform() {
            Ok(_) => TcbStatus::named(&verified.status).map(TcbStatus::result),
            Err(error) => error.qv_result(),
        },
        // dcap-qvl does not say the status beneath its own refusal.
        Err((CheckId::TrustDomain, _)) => None,
        Err((_, error)) => error.qv_result(),
    }
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
    let pck = check_pck(chain, collateral, record)?;
    record.conclude(CheckId::TcbInfoForm, collateral.check_tcb_info(), |()| "as expected")?;
    record.conclude(CheckId::SvnComponents, pck.check_components(), |()| "as expected")?;
    Ok(pck)
}

/// The collateral is for the PCEID of the PCK certificate. dcap-qvl compares FMSPC and TEE.
fn check_pck(
    chain: &PckChain<'_>,
    collateral: &Collateral,
    record: &mut Record,
) -> Result<SgxExtension, Error> {
    let pck = chain.extension().and_then(|pck| collateral.check_pce_id(pck.pce_id).map(|()| pck));
    record.conclude(CheckId::CollateralPlatform, pck, |pck| {
        format!("FMSPC {}, PCEID {}", hex::encode(pck.fmspc), hex::encode(pck.pce_id))
    })
}
