//! Why evidence was refused.

use crate::date::date;
use crate::status::{QvResult, TcbStatus};

/// The kind of check that refused. Callers map it to an exit status or an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The evidence is not genuine, does not bind the key, or has an untrusted root.
    Verification,
    /// The evidence is genuine, but the policy does not accept it.
    Policy,
    /// The collateral is incomplete, expired, not yet valid, or of another platform.
    Collateral,
}

/// Why a policy does not accept a TCB status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lacking {
    /// The status is not among those accepted.
    #[error("the policy accepts only {}", accepted.join(", "))]
    Status {
        /// Intel's names of those that are.
        accepted: Vec<&'static str>,
    },
    /// The status is accepted, but not all of its advisories are.
    #[error("the policy does not accept {}", missing.join(", "))]
    Advisories {
        /// Those that are missing in the policy.
        missing: Vec<String>,
        /// Those that the policy accepts.
        accepted: Vec<String>,
    },
    /// The status requires hardening, but the level names no advisory.
    #[error("it names no advisory, so nobody can say what the enclave must be hardened against")]
    NamedAdvisory,
    /// The status is out of date, and the policy has no minimum date.
    #[error("the policy sets no minimum TCB date, without which no status that is out of date is accepted")]
    MinimumDate,
}

/// Why evidence was refused. Texts contain public data only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The quote cannot be read.
    #[error("the quote cannot be read: {0}")]
    QuoteMalformed(String),
    /// The quote's chain, or the collateral's, does not end in the trusted root.
    #[error("{0} does not end in the trusted root certificate")]
    UntrustedRoot(&'static str),
    /// The certificate that was given as a simulated root cannot be used as one.
    #[error("the simulated root certificate cannot be used: {0}")]
    TrustRootUnusable(&'static str),
    /// The platform, its TCB level, the quoting enclave or a CA is revoked. Never overridable.
    #[error("revoked: {0}")]
    Revoked(String),
    /// A signature, or a hash that connects the parts of the quote, is wrong.
    #[error("a signature is wrong: {0}")]
    SignatureInvalid(String),
    /// The enclave or trust domain runs in debug mode: its host can read its memory.
    #[error("the {} is in debug mode; its host can read its secrets", .0)]
    DebugEnclave(&'static str),
    /// The quoting enclave is not Intel's, too old, or in debug mode.
    #[error("the quoting enclave is refused: {0}")]
    QuotingEnclaveRefused(String),
    /// The platform is below every level of the TCB info.
    #[error("the platform matches no level of Intel's TCB info: {0}")]
    TcbLevelNotSupported(String),
    /// A property of the trust domain or its TDX module that no policy can accept.
    #[error("the trust domain is refused: {0}")]
    TrustDomainRefused(String),
    /// Any other check of the quote failed.
    #[error("the quote was refused: {0}")]
    QuoteRefused(String),
    /// `report_data` is not that of the public key and nonce.
    #[error("report_data of the quote does not bind this public key")]
    BindingMismatch,

    /// The collateral cannot be read, or is not in Intel's form.
    #[error("the collateral cannot be used: {0}")]
    CollateralMalformed(String),
    /// The collateral is for another platform.
    #[error("the collateral is not that of the quote's platform: {0}")]
    CollateralMismatch(String),
    /// A part of the collateral or of a chain has expired.
    #[error("{what} has expired: it was valid until {}, it is appraised at {}", date(*until), date(*now))]
    CollateralExpired {
        /// Which part.
        what: &'static str,
        /// Its last second.
        until: u64,
        /// The time of the verification.
        now: u64,
    },
    /// A part of the collateral or of a chain is not valid yet.
    #[error("{what} is not valid yet: it is valid from {}, it is appraised at {}", date(*from), date(*now))]
    CollateralNotYetValid {
        /// Which part.
        what: &'static str,
        /// Its first second.
        from: u64,
        /// The time of the verification.
        now: u64,
    },

    /// The platform's state is not one that the policy accepts.
    #[error("the {whose}'s TCB status is {} ({}){}; {lacking}", status.intel_name(), status.result().name(), advisories(.advisory_ids))]
    TcbStatusRefused {
        /// `platform` or `quoting enclave`.
        whose: &'static str,
        /// The status.
        status: TcbStatus,
        /// The advisories that apply.
        advisory_ids: Vec<String>,
        /// Why the policy does not accept it.
        lacking: Lacking,
    },
    /// The TCB level is older than the minimum date of the policy.
    #[error("the TCB level of {what} is of {}, the policy requires {} or later", date(*found), date(*least))]
    TcbDateTooOld {
        /// Whose level it is.
        what: &'static str,
        /// Its date, Unix seconds.
        found: u64,
        /// The minimum date of the policy, Unix seconds.
        least: u64,
    },
    /// The TCB evaluation of the collateral is older than the policy requires.
    #[error("the collateral's TCB evaluation number is {found}, the policy requires {least} or higher")]
    EvaluationNumberTooLow {
        /// The number of the collateral.
        found: u32,
        /// The minimum of the policy.
        least: u32,
    },
    /// The policy names no identity.
    #[error("no enclave identity is configured")]
    NoIdentityConfigured,
    /// The enclave or trust domain is none of those that the policy names.
    #[error("the identity is not one of those configured: {0}")]
    IdentityMismatch(String),
    /// Attributes that the policy does not accept.
    #[error("{what} {found} is refused, the policy requires {expected}")]
    AttributesRefused {
        /// Which field.
        what: &'static str,
        /// Hex, as in the report.
        found: String,
        /// Value and mask in hex.
        expected: String,
    },
    /// A TDX module that the policy does not name.
    #[error("the TDX module is not one of those configured: MRSEAM {found}, expected {expected}")]
    TdModuleRefused {
        /// MRSEAM, hex.
        found: String,
        /// What the policy names.
        expected: String,
    },
    /// A machine that the policy does not name.
    #[error("unknown platform: PPID {ppid}, platform instance {}, expected {expected}", .instance.as_deref().unwrap_or("none"))]
    PlatformUnknown {
        /// PPID, hex.
        ppid: String,
        /// Platform instance, hex.
        instance: Option<String>,
        /// What the policy names.
        expected: String,
    },
    /// A family of platforms that the policy does not name.
    #[error("the FMSPC is not one of those configured: {found}, expected {expected}")]
    FmspcRefused {
        /// FMSPC, hex.
        found: String,
        /// What the policy names.
        expected: String,
    },
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::QuoteMalformed(_) => "QuoteMalformed",
            Self::UntrustedRoot(_) => "UntrustedRoot",
            Self::TrustRootUnusable(_) => "TrustRootUnusable",
            Self::Revoked(_) => "Revoked",
            Self::SignatureInvalid(_) => "SignatureInvalid",
            Self::DebugEnclave(_) => "DebugEnclave",
            Self::QuotingEnclaveRefused(_) => "QuotingEnclaveRefused",
            Self::TcbLevelNotSupported(_) => "TcbLevelNotSupported",
            Self::TrustDomainRefused(_) => "TrustDomainRefused",
            Self::QuoteRefused(_) => "QuoteRefused",
            Self::BindingMismatch => "BindingMismatch",
            Self::CollateralMalformed(_) => "CollateralMalformed",
            Self::CollateralMismatch(_) => "CollateralMismatch",
            Self::CollateralExpired { .. } => "CollateralExpired",
            Self::CollateralNotYetValid { .. } => "CollateralNotYetValid",
            Self::TcbStatusRefused { .. } => "TcbStatusRefused",
            Self::NoIdentityConfigured => "NoIdentityConfigured",
            Self::IdentityMismatch(_) => "IdentityMismatch",
            Self::TcbDateTooOld { .. } => "TcbDateTooOld",
            Self::EvaluationNumberTooLow { .. } => "EvaluationNumberTooLow",
            Self::AttributesRefused { .. } => "AttributesRefused",
            Self::TdModuleRefused { .. } => "TdModuleRefused",
            Self::PlatformUnknown { .. } => "PlatformUnknown",
            Self::FmspcRefused { .. } => "FmspcRefused",
        }
    }

    /// What kind of check refused.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::QuoteMalformed(_)
            | Self::UntrustedRoot(_)
            | Self::TrustRootUnusable(_)
            | Self::Revoked(_)
            | Self::SignatureInvalid(_)
            | Self::DebugEnclave(_)
            | Self::QuotingEnclaveRefused(_)
            | Self::TcbLevelNotSupported(_)
            | Self::TrustDomainRefused(_)
            | Self::QuoteRefused(_)
            | Self::BindingMismatch => Class::Verification,
            Self::CollateralMalformed(_)
            | Self::CollateralMismatch(_)
            | Self::CollateralExpired { .. }
            | Self::CollateralNotYetValid { .. } => Class::Collateral,
            Self::TcbStatusRefused { .. }
            | Self::TcbDateTooOld { .. }
            | Self::EvaluationNumberTooLow { .. }
            | Self::NoIdentityConfigured
            | Self::IdentityMismatch(_)
            | Self::AttributesRefused { .. }
            | Self::TdModuleRefused { .. }
            | Self::PlatformUnknown { .. }
            | Self::FmspcRefused { .. } => Class::Policy,
        }
    }

    /// The result of Intel's library if the status of the platform is not known. Collateral that is missing,
    /// expired or not yet valid has no result there.
    #[must_use]
    pub fn qv_result(&self) -> Option<QvResult> {
        match self {
            Self::Revoked(_) => Some(QvResult::Revoked),
            Self::SignatureInvalid(_) => Some(QvResult::InvalidSignature),
            Self::TcbStatusRefused { status, .. } => Some(status.result()),
            Self::CollateralExpired { .. } | Self::CollateralNotYetValid { .. } => None,
            other => match other.class() {
                Class::Verification | Class::Collateral => Some(QvResult::Unspecified),
                Class::Policy => None,
            },
        }
    }
}

fn advisories(ids: &[String]) -> String {
    if ids.is_empty() { String::new() } else { format!(", advisories {}", ids.join(", ")) }
}
