//! Why `km-attest` refused.

use crate::exit::Exit;
use crate::{appraisal, public_key, quote_file};
use std::borrow::Cow;
use std::path::PathBuf;

/// Why `km-attest` refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The evidence was not accepted.
    #[error(transparent)]
    Appraisal(#[from] appraisal::Error),
    /// The public key file.
    #[error(transparent)]
    PublicKey(#[from] public_key::Error),
    /// The quote file.
    #[error(transparent)]
    Quote(#[from] quote_file::Error),
    /// Options that do not fit together.
    #[error("{0}")]
    Usage(&'static str),
    /// A new file cannot be written.
    #[error("cannot write the {what} file {}: {cause}", path.display())]
    FileUnwritable {
        /// `policy` or `public key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Standard output cannot be written.
    #[error("cannot write the result: {0}")]
    OutputFailed(#[from] std::io::Error),
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Appraisal(error) => error.code(),
            Self::PublicKey(error) => error.code(),
            Self::Quote(error) => error.code(),
            Self::Usage(_) => "Usage",
            Self::FileUnwritable { what: "policy", .. } => "PolicyUnwritable",
            Self::FileUnwritable { .. } => "PublicKeyUnwritable",
            Self::OutputFailed(_) => "OutputFailed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Appraisal(error) => error.exit(),
            Self::PublicKey(error) => error.exit(),
            Self::Quote(error) => error.exit(),
            Self::Usage(_) => Exit::Usage,
            Self::FileUnwritable { .. } | Self::OutputFailed(_) => Exit::Other,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Appraisal(error) => return error.advice(),
            Self::PublicKey(error) => error.advice(),
            Self::Quote(error) => error.advice(),
            Self::Usage(_) => "see --help",
            Self::FileUnwritable { .. } => {
                "name a file that does not exist yet, in a directory that you may write"
            }
            Self::OutputFailed(_) => "try again",
        };
        Cow::Borrowed(text)
    }
}
