//! Why evidence was refused.

/// What kind of check refused; a caller maps it to an exit status or an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// The evidence is not genuine, not bound to the key, or stands under an untrusted root.
    Verification,
    /// The evidence is genuine, but not what the policy asks for.
    Policy,
    /// The collateral is missing something, is out of its time, or belongs to another platform.
    Collateral,
    /// The public key that should be bound is not one.
    PublicKey,
}

/// Why evidence was refused. Texts carry public data only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kind of evidence that this verifier cannot judge.
    #[error("evidence of kind {0} cannot be verified")]
    EvidenceUnsupported(&'static str),
    /// The quote cannot be read.
    #[error("the quote cannot be read: {0}")]
    QuoteMalformed(String),
    /// The quote's chain, or the collateral's, does not end in the trusted root.
    #[error("{0} does not end in the trusted root certificate")]
    UntrustedRoot(&'static str),
    /// The root certificate given as simulated cannot be one.
    #[error("the simulated root certificate cannot be used: {0}")]
    TrustRootUnusable(&'static str),
    /// The platform, its TCB level, the quoting enclave or a CA is revoked. Never overridable.
    #[error("revoked: {0}")]
    Revoked(String),
    /// A signature or a hash that ties the quote together is wrong.
    #[error("a signature is wrong: {0}")]
    SignatureInvalid(String),
    /// The enclave runs in debug mode: its host can read its memory.
    #[error("the enclave is in debug mode, its host can read its secrets")]
    DebugEnclave,
    /// Any other check of the quote.
    #[error("the quote was refused: {0}")]
    QuoteRefused(String),
    /// `report_data` is not that of the public key and nonce.
    #[error("report_data of the quote does not bind this public key")]
    BindingMismatch,
    /// The public key cannot be read.
    #[error("{0}")]
    PublicKeyMalformed(tcs_evidence::Error),

    /// The collateral cannot be read, or is not in Intel's form.
    #[error("the collateral cannot be used: {0}")]
    CollateralMalformed(String),
    /// Collateral of another platform.
    #[error("the collateral is not that of the quote's platform: {0}")]
    CollateralMismatch(String),
    /// A part of the collateral or of a chain is past its end.
    #[error("{what} expired at {until} (Unix time; it is {now} now)")]
    CollateralExpired {
        /// Which part.
        what: &'static str,
        /// Its last second.
        until: u64,
        /// The time of the verification.
        now: u64,
    },
    /// A part of the collateral or of a chain is not valid yet.
    #[error("{what} is valid from {from} only (Unix time; it is {now} now)")]
    CollateralNotYetValid {
        /// Which part.
        what: &'static str,
        /// Its first second.
        from: u64,
        /// The time of the verification.
        now: u64,
    },

    /// The platform's state is not one that the policy accepts.
    #[error("the platform's TCB status is {status} ({name}){}", advisories(.advisory_ids))]
    TcbStatusRefused {
        /// Intel's status.
        status: &'static str,
        /// Intel's result name.
        name: &'static str,
        /// The advisories that apply.
        advisory_ids: Vec<String>,
    },
    /// The policy names no enclave.
    #[error("no enclave identity is configured")]
    NoIdentityConfigured,
    /// The enclave is none of those that the policy names.
    #[error(
        "another enclave than configured: MRENCLAVE {mrenclave}, MRSIGNER {mrsigner}, \
         ISVPRODID {isv_prod_id}, ISVSVN {isv_svn}"
    )]
    IdentityMismatch {
        /// Hex.
        mrenclave: String,
        /// Hex.
        mrsigner: String,
        /// ISVPRODID.
        isv_prod_id: u16,
        /// ISVSVN.
        isv_svn: u16,
    },
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EvidenceUnsupported(_) => "EvidenceUnsupported",
            Self::QuoteMalformed(_) => "QuoteMalformed",
            Self::UntrustedRoot(_) => "UntrustedRoot",
            Self::TrustRootUnusable(_) => "TrustRootUnusable",
            Self::Revoked(_) => "Revoked",
            Self::SignatureInvalid(_) => "SignatureInvalid",
            Self::DebugEnclave => "DebugEnclave",
            Self::QuoteRefused(_) => "QuoteRefused",
            Self::BindingMismatch => "BindingMismatch",
            Self::PublicKeyMalformed(_) => "PublicKeyMalformed",
            Self::CollateralMalformed(_) => "CollateralMalformed",
            Self::CollateralMismatch(_) => "CollateralMismatch",
            Self::CollateralExpired { .. } => "CollateralExpired",
            Self::CollateralNotYetValid { .. } => "CollateralNotYetValid",
            Self::TcbStatusRefused { .. } => "TcbStatusRefused",
            Self::NoIdentityConfigured => "NoIdentityConfigured",
            Self::IdentityMismatch { .. } => "IdentityMismatch",
        }
    }

    /// What kind of check refused.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::EvidenceUnsupported(_)
            | Self::QuoteMalformed(_)
            | Self::UntrustedRoot(_)
            | Self::TrustRootUnusable(_)
            | Self::Revoked(_)
            | Self::SignatureInvalid(_)
            | Self::DebugEnclave
            | Self::QuoteRefused(_)
            | Self::BindingMismatch => Class::Verification,
            Self::PublicKeyMalformed(_) => Class::PublicKey,
            Self::CollateralMalformed(_)
            | Self::CollateralMismatch(_)
            | Self::CollateralExpired { .. }
            | Self::CollateralNotYetValid { .. } => Class::Collateral,
            Self::TcbStatusRefused { .. } | Self::NoIdentityConfigured | Self::IdentityMismatch { .. } => {
                Class::Policy
            }
        }
    }

    /// Gives a refusal of dcap-qvl a stable case. The crate has texts only; its version is pinned, and whatever is not
    /// recognised stays a refusal.
    pub(crate) fn from_dcap(text: String) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["Revoked"]) {
            Self::Revoked(text)
        } else if has(&["UnknownIssuer"]) {
            Self::UntrustedRoot("a certificate chain")
        } else if has(&["ignature is invalid", "InvalidSignature", "InvalidCrlSignature", "hash mismatch"]) {
            Self::SignatureInvalid(text)
        } else if has(&["TCBInfo", "TcbInfo", "QeIdentity", "CRL", "Crl"]) {
            Self::CollateralMalformed(text)
        } else if has(&["Fmspc mismatch", "TCB info in the collateral", "QE Identity id/version"]) {
            Self::CollateralMismatch(text)
        } else {
            Self::QuoteRefused(text)
        }
    }
}

fn advisories(ids: &[String]) -> String {
    if ids.is_empty() { String::new() } else { format!(", advisories {}", ids.join(", ")) }
}
