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
    #[error("quote verification failed: no collateral is configured")]
    CollateralNotConfigured,
    /// The collateral file cannot be read.
    #[error("quote verification failed: cannot read the collateral file {}: {cause}", path.display())]
    CollateralUnreadable {
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
            Self::CollateralUnreadable { .. } => "CollateralUnreadable",
            Self::Refused(error) => error.code(),
            Self::OutputFailed(_) => "OutputFailed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::ConfigMalformed { .. } => Exit::Usage,
            Self::SimulationNotBuiltIn | Self::SimulationNotEnabled | Self::QuoteMalformed { .. } => {
                Exit::Verification
            }
            Self::PublicKeyUnreadable { .. } | Self::PublicKeyMalformed { .. } => Exit::KeyInput,
            Self::CollateralNotConfigured | Self::CollateralUnreadable { .. } => Exit::Collateral,
            Self::ConfigUnreadable { .. }
            | Self::SimulatedRootUnreadable { .. }
            | Self::QuoteUnreadable { .. }
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
        match self.code() {
            "ConfigUnreadable" => "check --config or KM_ATTEST_CONFIG",
            "ConfigMalformed" => "correct the file",
            "SimulationNotBuiltIn" => "remove the section [simulation]; a simulated quote protects nothing",
            "SimulationNotEnabled" => "remove it, or (tests only) give both root = \"FILE\" and allow = true",
            "SimulatedRootUnreadable" | "TrustRootUnusable" => {
                "give [simulation] root the file public/root.der of the simulated platform"
            }
            "PublicKeyUnreadable" | "PublicKeyMalformed" => {
                "give --pubkey the PEM key out of spec.publicKey of the QuoteAttestation"
            }
            "QuoteUnreadable" | "QuoteMalformed" => {
                "give --quote the text of spec.quote of the QuoteAttestation after one base64 decoding"
            }
            "BindingMismatch" => {
                "fetch key and quote again from the same QuoteAttestation; if it stays, someone has changed one of them"
            }
            "UntrustedRoot" => {
                "do not trust this quote: it is simulated or forged, or the collateral is not Intel's"
            }
            "Revoked" | "SignatureInvalid" | "QuoteRefused" | "DebugEnclave" | "EvidenceUnsupported" => {
                "do not wrap a key for it"
            }
            "CollateralNotConfigured" => {
                "name the collateral of the platform in the settings (--config): [collateral] file = \"FILE\""
            }
            "CollateralUnreadable" => "check [collateral] file in the settings",
            "CollateralExpired" => "get current collateral, and check this machine's clock",
            "CollateralNotYetValid" => "check this machine's clock",
            "CollateralMalformed" | "CollateralMismatch" => "get the collateral of this platform again",
            "TcbStatusRefused" => {
                "have the platform brought up to date, or accept its advisories in [tcb] of the settings"
            }
            "NoIdentityConfigured" => {
                "name the enclave that you trust in the settings (--config): [[identity]] mrenclave = \"HEX\""
            }
            "IdentityMismatch" => {
                "do not wrap a key for it, unless you know this enclave: then add it as [[identity]]"
            }
            _ => "try again; if it stays, report it",
        }
    }
}

/// Which of the checks refused.
fn check(error: &tcs_verifier::Error) -> &'static str {
    match error.code() {
        "BindingMismatch" | "PublicKeyMalformed" => "public key hash verification failed",
        "NoIdentityConfigured" | "IdentityMismatch" => "enclave identity check failed",
        "TcbStatusRefused" => "platform status check failed",
        _ => "quote verification failed",
    }
}
