//! Errors outside of requests.

use std::io;

/// Everything that can fail in this crate outside of requests. A request that fails is refused with a
/// [`tcs_enclave_rpc::RefusalCode`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No platform has this name.
    #[error("platform `{name}` is unknown; this program supports: {known}")]
    PlatformUnknown {
        /// The name.
        name: String,
        /// All platforms, built in or not.
        known: &'static str,
    },
    /// The platform exists, but this build leaves it out.
    #[error("platform `{0}` is not in this build; it needs the cargo feature `{0}`")]
    PlatformNotBuilt(&'static str),
    /// The directory of the platform was not named.
    #[error("platform `{0}` needs a directory: give --platform-dir")]
    PlatformFolderMissing(&'static str),
    /// A platform directory was named for a platform that has none.
    #[error("platform `{0}` takes no --platform-dir")]
    PlatformFolderUnused(&'static str),
    /// The platform cannot be reached or read.
    #[error("the platform is not available ({what}): {source}")]
    PlatformUnavailable {
        /// What was tried.
        what: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The directory of the simulated platform cannot be used, or the platform made no quote.
    #[error("the simulated platform failed: {0}; check the directory that --platform-dir names")]
    Simulation(String),
    /// The evidence of the platform is not as expected.
    #[error("the platform's evidence is unusable: {0}")]
    EvidenceUnusable(&'static str),
    /// A primitive of the cryptographic library failed.
    #[error("the cryptographic library failed ({0})")]
    Crypto(&'static str),
}

impl Error {
    /// Whether the command line is wrong.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        use Error::{PlatformFolderMissing, PlatformFolderUnused, PlatformNotBuilt, PlatformUnknown};
        matches!(
            self,
            PlatformUnknown { .. } | PlatformNotBuilt(_) | PlatformFolderMissing(_) | PlatformFolderUnused(_)
        )
    }

    /// Stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PlatformUnknown { .. } => "PlatformUnknown",
            Self::PlatformNotBuilt(_) => "PlatformNotBuilt",
            Self::PlatformFolderMissing(_) => "PlatformFolderMissing",
            Self::PlatformFolderUnused(_) => "PlatformFolderUnused",
            Self::PlatformUnavailable { .. } => "PlatformUnavailable",
            Self::Simulation(_) => "Simulation",
            Self::EvidenceUnusable(_) => "EvidenceUnusable",
            Self::Crypto(_) => "Crypto",
        }
    }
}
