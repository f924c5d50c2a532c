//! Why `km-attest` refused.

use crate::exit::Exit;
use std::path::PathBuf;
use tcs_verifier::Class;

/// Why `km-attest` refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings file cannot be read.
    #[error("cannot read the settings file {}: {cause}", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The settings file has a mistake.
    #[error("mistake in the settings file {}: {cause}", path.display())]
    ConfigMalformed {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: String,
    },
    /// A simulated root is asked for in a build that knows Intel's only.
    #[error("the settings ask for a simulated root, and this build of km-attest trusts Intel's only")]
    SimulationNotBuiltIn,
    /// A simulated root without both settings.
    #[error("the settings have a section [simulation] but do not enable it")]
    SimulationNotEnabled,
    /// The simulated root cannot be read.
    #[error("cannot read the simulated root {}: {cause}", path.display())]
    SimulatedRootUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The public key file cannot be read.
    #[error("cannot read the public key file {}: {cause}", path.display())]
    PublicKeyUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The public key file holds no PEM public key.
    #[error("{} holds no PEM public key (PUBLIC KEY)", path.display())]
    PublicKeyMalformed {
        /// The file.
        path: PathBuf,
    },
    /// The quote file cannot be read.
    #[error("cannot read the quote file {}: {cause}", path.display())]
    QuoteUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The quote file is neither base64 nor a quote.
    #[error("{} holds no quote: {found}", path.display())]
    QuoteMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// No collateral file is named.
    #[error("no source of collateral is configured")]
    CollateralNotConfigured,
    /// The collateral cannot be had.
    #[error("{0}")]
    Collateral(crate::collateral::Error),
    /// Options that do not fit together.
    #[error("{0}")]
    Usage(&'static str),
    /// The new policy file cannot be written.
    #[error("cannot write the policy file {}: {cause}", path.display())]
    PolicyUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The verifier refused.
    #[error("{check}: {0}", check = check(.0))]
    Refused(tcs_verifier::Error),
    /// Standard output cannot be written.
    #[error("cannot write the result: {0}")]
    OutputFailed(#[from] std::io::Error),
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConfigUnreadable { .. } => "ConfigUnreadable",
            Self::ConfigMalformed { .. } => "ConfigMalformed",
            Self::SimulationNotBuiltIn => "SimulationNotBuiltIn",
            Self::SimulationNotEnabled => "SimulationNotEnabled",
            Self::SimulatedRootUnreadable { .. } => "SimulatedRootUnreadable",
            Self::PublicKeyUnreadable { .. } => "PublicKeyUnreadable",
            Self::PublicKeyMalformed { .. } => "PublicKeyMalformed",
            Self::QuoteUnreadable { .. } => "QuoteUnreadable",
            Self::QuoteMalformed { .. } => "QuoteMalformed",
            Self::CollateralNotConfigured => "CollateralNotConfigured",
            Self::Collateral(error) => error.code(),
            Self::Usage(_) => "Usage",
            Self::PolicyUnwritable { .. } => "PolicyUnwritable",
            Self::Refused(error) => error.code(),
            Self::OutputFailed(_) => "OutputFailed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::ConfigMalformed { .. } | Self::Usage(_) => Exit::Usage,
            Self::SimulationNotBuiltIn | Self::SimulationNotEnabled | Self::QuoteMalformed { .. } => {
                Exit::Verification
            }
            Self::PublicKeyUnreadable { .. } | Self::PublicKeyMalformed { .. } => Exit::KeyInput,
            Self::CollateralNotConfigured => Exit::Collateral,
            Self::Collateral(error) => error.exit(),
            Self::ConfigUnreadable { .. }
            | Self::SimulatedRootUnreadable { .. }
            | Self::QuoteUnreadable { .. }
            | Self::PolicyUnwritable { .. }
            | Self::OutputFailed(_) => Exit::Other,
            Self::Refused(error) => match error.class() {
                Class::Policy => Exit::Policy,
                Class::Collateral => Exit::Collateral,
                Class::PublicKey => Exit::KeyInput,
                // Whatever kind is added: a refusal stays one.
                _ => Exit::Verification,
            },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::ConfigUnreadable { .. } => "check --policy or KM_ATTEST_CONFIG",
            Self::ConfigMalformed { .. } => "correct the file; docs/policy.md lists every key",
            Self::SimulationNotBuiltIn => {
                "remove the section [simulation]; a simulated quote protects nothing"
            }
            Self::SimulationNotEnabled => {
                "remove it, or (tests only) give both root = \"FILE\" and allow = true"
            }
            Self::SimulatedRootUnreadable { .. } => {
                "give [simulation] root the file public/root.der of the simulated platform"
            }
            Self::PublicKeyUnreadable { .. } | Self::PublicKeyMalformed { .. } => {
                "give --pubkey the PEM key out of spec.publicKey of the QuoteAttestation"
            }
            Self::QuoteUnreadable { .. } | Self::QuoteMalformed { .. } => {
                "give --quote the text of spec.quote of the QuoteAttestation after one base64 decoding"
            }
            Self::CollateralNotConfigured => {
                "name its source in the policy file (--policy), section [collateral], or give --collateral or --pccs-url"
            }
            Self::Collateral(error) => error.advice(),
            Self::Usage(_) => "see --help",
            Self::PolicyUnwritable { .. } => "give --out the name of a file that does not exist yet",
            Self::Refused(error) => error.advice(),
            Self::OutputFailed(_) => "try again",
        }
    }
}

/// Which of the checks refused.
fn check(error: &tcs_verifier::Error) -> &'static str {
    use tcs_verifier::Error as Refusal;
    match error {
        Refusal::BindingMismatch | Refusal::PublicKeyMalformed(_) => "public key hash verification failed",
        Refusal::NoIdentityConfigured | Refusal::IdentityMismatch(_) => "enclave identity check failed",
        Refusal::TcbStatusRefused { .. }
        | Refusal::TcbDateTooOld { .. }
        | Refusal::EvaluationNumberTooLow { .. } => "platform status check failed",
        Refusal::AttributesRefused { .. } | Refusal::TdModuleRefused(_) => "attributes check failed",
        Refusal::PlatformUnknown { .. } | Refusal::FmspcRefused(_) => "platform check failed",
        _ => "quote verification failed",
    }
}
