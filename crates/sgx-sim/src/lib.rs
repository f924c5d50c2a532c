//! A simulated SGX and TDX platform: a root, a PCK chain, quoting enclaves, CRLs, TCB info, QE identities and quotes that
//! an ordinary DCAP verifier accepts under that root and under no other. **It protects nothing**, and says so in every
//! name it may choose; quotes carry the debug bit and `SIMULATION NOT A TEE` in the header unless a test asks otherwise
//! (the latter always).
//!
//! A platform is a folder, made once by [`Platform::create`]:
//!
//! | Path | What |
//! |---|---|
//! | `public/root.der`, `public/root.pem` | the root certificate, for key owners |
//! | `public/collateral.json` | TCB info, QE identity, both CRLs and their issuer chains (SGX), for key owners |
//! | `private/` (mode 0700) | every key (PKCS #8), the certificates (PEM), the sealing secret, the [`Options`] (JSON) |
//!
//! What a platform *is* stands in [`Options`], what collateral *says* in [`CollateralOptions`], what is *quoted* in
//! [`Enclave`] and [`Td`], and how a quote is *malformed* in [`QuoteShape`]; each `Default` is healthy.
//!
//! Byte layouts: quote-verification reference, section 10; honesty rules: tee-platforms reference, section 9.
#![forbid(unsafe_code)]

mod certificates;
mod clock;
mod collateral;
mod extension;
mod folder;
mod key;
mod names;
mod options;
mod platform;
mod quote;

pub use collateral::{
    Collateral, CollateralOptions, IsvTcbLevel, QeIdentity, Revoked, TcbLevel, TdxModule, TdxModuleIdentity,
    Tee, Validity,
};
pub use options::{Names, Options, PckCa};
pub use platform::Platform;
pub use quote::{Enclave, QuoteShape, Td, TdVersion};

/// Why a platform could not be made, opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be written or read.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
    /// The folder already holds something.
    #[error("{0} is not empty; a platform is made in a new folder")]
    NotEmpty(String),
    /// A certificate or CRL could not be made.
    #[error("certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A structure could not be encoded.
    #[error("ASN.1: {0}")]
    Encoding(#[from] der::Error),
    /// `private/platform.json` is not what was written.
    #[error("private/platform.json: {0}")]
    Description(serde_json::Error),
    /// A key could not be made, read or used.
    #[error("a key could not be made, read or used")]
    Key,
    /// A time cannot be represented.
    #[error("a time cannot be represented")]
    Time,
    /// Something does not fit its length field.
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
