//! Errors of this crate.

/// Why a platform could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be written or read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The directory is not empty.
    #[error("{0} is not empty; a platform is made in a new directory")]
    NotEmpty(String),
    /// A certificate or CRL could not be made.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A structure could not be encoded.
    #[error("ASN.1: {0}")]
    Encoding(#[from] der::Error),
    /// `private/platform.json` does not contain what this program wrote.
    #[error("private/platform.json: {0}")]
    Description(serde_json::Error),
    /// A key could not be made, read or used.
    #[error("a key could not be made, read or used")]
    Key,
    /// A time cannot be represented.
    #[error("a time cannot be represented")]
    Time,
    /// Something is too long for its length field.
    #[error("something is too long for its length field")]
    TooLong,
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(..) => "PlatformFile",
            Self::NotEmpty(_) => "PlatformNotEmpty",
            Self::Certificate(_) | Self::Encoding(_) => "PlatformEncoding",
            Self::Description(_) => "PlatformDescription",
            Self::Key => "PlatformKey",
            Self::Time => "PlatformTime",
            Self::TooLong => "PlatformTooLong",
        }
    }
}
