//! A quote as a file. This is the only reader, for every tool.

use crate::exit::Exit;
use crate::files::read_limited;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use tcs_evidence::{Evidence, MAX_QUOTE};

/// Why a file contains no quote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the quote file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// It is neither base64 nor a quote.
    #[error("{} contains no quote: {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "QuoteUnreadable",
            Self::Malformed { .. } => "QuoteMalformed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unreadable { .. } => Exit::Other,
            Self::Malformed { .. } => Exit::Verification,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        "give --quote the text of spec.quote of the QuoteAttestation after one base64 decoding"
    }
}

/// Reads base64 text (line ends are ignored) or raw bytes. Raw bytes begin with a version below 32, which no
/// text does.
pub fn read(path: &Path) -> Result<Evidence, Error> {
    // Base64 with line ends is less than twice as long as what it encodes.
    let limit = u64::try_from(MAX_QUOTE).unwrap_or(u64::MAX).saturating_mul(2);
    let bytes = read_limited(path, limit)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    let malformed = |found: String| Error::Malformed { path: path.to_owned(), found };
    let raw = if let [1..=31, 0, ..] = bytes.as_slice() {
        bytes
    } else {
        let text: Vec<u8> = bytes.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        STANDARD.decode(text).map_err(|_| malformed("it is neither base64 nor raw".into()))?
    };
    Evidence::from_quote(raw).map_err(|error| malformed(error.to_string()))
}
