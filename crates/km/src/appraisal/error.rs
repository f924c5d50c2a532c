//! Why evidence was not accepted.

use crate::exit::Exit;
use crate::{advice, collateral};
use std::borrow::Cow;
use std::path::PathBuf;
use tcs_verifier::Class;

/// Why evidence was not accepted, or could not be appraised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy file cannot be read.
    #[error("cannot read the policy file {}: {cause}", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// The policy file has a mistake.
    #[error("mistake in the policy file {}: {cause}", path.display())]
    ConfigMalformed {
        /// The file.
        path: PathBuf,
        /// The place of the mistake, and what it is.
        cause: String,
    },
    /// The policy names a simulated root, and this build knows only Intel's root.
    #[error("the policy names a simulated root, but this build trusts only Intel's root")]
    SimulationNotBuiltIn,
    /// Only one of the two settings for a simulated root is set.
    #[error("the policy has a section [simulation] but does not enable it")]
    SimulationNotEnabled,
    /// The simulated root cannot be read.
    #[error("cannot read the simulated root {}: {cause}", path.display())]
    SimulatedRootUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// No source of collateral is named.
    #[error("no source of collateral is configured")]
    CollateralNotConfigured,
    /// The collateral cannot be obtained.
    #[error("{0}")]
    Collateral(collateral::Error),
    /// The verifier refused the evidence.
    #[error("{check}: {0}", check = check(.0))]
    Refused(tcs_verifier::Error),
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
            Self::CollateralNotConfigured => "CollateralNotConfigured",
            Self::Collateral(error) => error.code(),
            Self::Refused(error) => error.code(),
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::ConfigMalformed { .. } => Exit::Usage,
            Self::SimulationNotBuiltIn | Self::SimulationNotEnabled => Exit::Verification,
            Self::CollateralNotConfigured => Exit::Collateral,
            Self::Collateral(error) => error.exit(),
            Self::ConfigUnreadable { .. } | Self::SimulatedRootUnreadable { .. } => Exit::Other,
            Self::Refused(error) => match error.class() {
                Class::Policy => Exit::Policy,
                Class::Collateral => Exit::Collateral,
                // A class that is added later is a refusal, too.
                _ => Exit::Verification,
            },
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Collateral(error) => return error.advice(),
            Self::Refused(error) => return advice::for_refusal(error),
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
            Self::CollateralNotConfigured => {
                "name its source in the policy file (--policy), section [collateral], or give --collateral \
                 or --pccs-url"
            }
        };
        Cow::Borrowed(text)
    }
}

/// The step that refused, as the tools name it.
fn check(error: &tcs_verifier::Error) -> &'static str {
    use tcs_verifier::Error as Refusal;
    match error {
        Refusal::BindingMismatch => "public key hash verification failed",
        Refusal::NoIdentityConfigured | Refusal::IdentityMismatch(_) => "enclave identity check failed",
        Refusal::TcbStatusRefused { .. }
        | Refusal::TcbDateTooOld { .. }
        | Refusal::EvaluationNumberTooLow { .. } => "platform status check failed",
        Refusal::AttributesRefused { .. } | Refusal::TdModuleRefused { .. } => "attributes check failed",
        Refusal::PlatformUnknown { .. } | Refusal::FmspcRefused { .. } => "platform check failed",
        _ => "quote verification failed",
    }
}
