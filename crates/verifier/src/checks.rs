//! The list of checks. Each has a stable name, and a verdict shows for each whether it was made and how it
//! ended.

use crate::Error;
use std::borrow::Cow;

/// One check of a verification or of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable name.
    pub id: &'static str,
    /// What is required.
    pub expected: Cow<'static, str>,
    /// What was found; empty if the check was not made.
    pub found: Cow<'static, str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not as expected: the evidence is refused.
    Failed,
    /// Not made, because an earlier check failed.
    NotMade,
}

impl Outcome {
    /// `passed`, `failed` or `not made`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotMade => "not made",
        }
    }
}

/// The checks that this crate makes, in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckId {
    QuoteLayout,
    ChainForm,
    TrustRoot,
    CertificateNames,
    Validity,
    Debug,
    TrustDomain,
    Signatures,
    Revocation,
    QuotingEnclave,
    CollateralPlatform,
    TcbInfoForm,
    SvnComponents,
    TcbLevel,
    TcbStatus,
    QeStatus,
    TcbDate,
    EvaluationNumber,
    Identity,
    Attributes,
    MiscSelect,
    Xfam,
    TdModule,
    Platform,
    Fmspc,
}

impl CheckId {
    const ALL: [(Self, &'static str, &'static str); 25] = [
        (
            Self::QuoteLayout,
            "quote-layout",
            "SGX of version 3 or TDX of version 4 or 5, every byte accounted for",
        ),
        (Self::ChainForm, "chain-form", "certificate chains of Intel's lengths: PCK 3, others 2"),
        (Self::TrustRoot, "trust-root", "every chain ends in the trusted root's key"),
        (Self::CertificateNames, "certificate-names", "PCK certificate and TCB signer by Intel's names"),
        (Self::Validity, "validity", "root, chains, CRLs, TCB info and QE identity valid now"),
        (Self::Debug, "debug", "not in debug mode"),
        (
            Self::TrustDomain,
            "trust-domain",
            "no migration, service TD or reserved bit; SEPT_VE_DISABLE; a TDX module of Intel's",
        ),
        (
            Self::Signatures,
            "signatures",
            "of certificates, CRLs, TCB info, QE identity, quoting enclave and quote",
        ),
        (Self::Revocation, "revocation", "no certificate and no TCB level revoked"),
        (Self::QuotingEnclave, "quoting-enclave", "Intel's, by QE identity, not in debug mode"),
        (Self::CollateralPlatform, "collateral-platform", "TCB info of this TEE, FMSPC and PCEID"),
        (Self::TcbInfoForm, "tcb-info-form", "version 3, tcbType 0, no level twice"),
        (Self::SvnComponents, "svn-components", "components of the PCK certificate not below its CPUSVN"),
        (Self::TcbLevel, "tcb-level", "the platform is at a level of the TCB info"),
        (Self::TcbStatus, "tcb-status", ""),
        (Self::QeStatus, "qe-status", ""),
        (Self::TcbDate, "tcb-date", ""),
        (Self::EvaluationNumber, "evaluation-number", ""),
        (Self::Identity, "identity", ""),
        (Self::Attributes, "attributes", ""),
        (Self::MiscSelect, "misc-select", ""),
        (Self::Xfam, "xfam", ""),
        (Self::TdModule, "td-module", ""),
        (Self::Platform, "platform", ""),
        (Self::Fmspc, "fmspc", ""),
    ];
}

/// Collects the checks of one verification.
pub struct Record(Vec<(CheckId, Check)>);

impl Record {
    /// All checks, none of them made.
    pub fn new() -> Self {
        let check = |(id, name, expected): &(CheckId, &'static str, &'static str)| {
            let (expected, found) = (Cow::Borrowed(*expected), Cow::Borrowed(""));
            (*id, Check { id: name, expected, found, outcome: Outcome::NotMade })
        };
        Self(CheckId::ALL.iter().map(check).collect())
    }

    /// Records how a check ended, and returns its result.
    pub fn conclude<T, F: Into<Cow<'static, str>>>(
        &mut self,
        id: CheckId,
        result: Result<T, Error>,
        found: impl FnOnce(&T) -> F,
    ) -> Result<T, Error> {
        if let Some((_, check)) = self.0.iter_mut().find(|(listed, _)| *listed == id) {
            (check.outcome, check.found) = match &result {
                Ok(value) => (Outcome::Passed, found(value).into()),
                Err(error) => (Outcome::Failed, error.to_string().into()),
            };
        }
        result
    }

    /// Records how a check of the policy ended, and what the policy requires.
    pub fn conclude_policy(
        &mut self,
        id: CheckId,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
        result: Result<(), Error>,
    ) -> Result<(), Error> {
        if let Some((_, check)) = self.0.iter_mut().find(|(listed, _)| *listed == id) {
            let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
            (check.expected, check.found, check.outcome) = (expected.into(), found.into(), outcome);
        }
        result
    }

    /// The list, without the checks that do not apply to this kind of workload.
    pub fn into_checks(self, not_applicable: &[CheckId]) -> Vec<Check> {
        self.0.into_iter().filter(|(id, _)| !not_applicable.contains(id)).map(|(_, check)| check).collect()
    }
}
