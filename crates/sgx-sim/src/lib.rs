//! A simulated SGX platform: a root, a PCK chain, a quoting enclave, CRLs, TCB info and quotes that an ordinary DCAP
//! verifier accepts under that root and under no other. **It protects nothing**, and says so in every name it may choose.
//!
//! A platform is a folder, made once by [`Platform::create`]:
//!
//! | Path | What |
//! |---|---|
//! | `public/root.der`, `public/root.pem` | the root certificate, for key owners |
//! | `public/collateral.json` | TCB info, QE identity, both CRLs and their issuer chains, for key owners |
//! | `private/` (mode 0700) | keys of root, CAs, PCK and quoting enclave, the PCK chain, the sealing secret |
//!
//! Byte layouts: quote-verification reference, section 10; honesty rules: tee-platforms reference, section 9.
#![forbid(unsafe_code)]

mod certificates;
mod collateral;
mod extension;
mod folder;
mod key;
mod quote;

use key::Key;
use std::path::Path;
use zeroize::Zeroizing;

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
    /// A key could not be made, read or used.
    #[error("a key could not be made, read or used")]
    Key,
    /// A time cannot be represented.
    #[error("a time cannot be represented")]
    Time,
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File(..) => "PlatformFile",
            Self::NotEmpty(_) => "PlatformNotEmpty",
            Self::Certificate(_) | Self::Encoding(_) => "PlatformEncoding",
            Self::Key => "PlatformKey",
            Self::Time => "PlatformTime",
        }
    }
}

/// How a platform differs from a healthy one; for tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// Days that collateral is valid after `now`: 30, as Intel's is after its issue.
    pub collateral_days: i64,
    /// TCB status of the platform's level, for example `UpToDate`, `OutOfDate`.
    pub tcb_status: String,
    /// Advisories of the platform's level.
    pub advisories: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { collateral_days: 30, tcb_status: "UpToDate".into(), advisories: Vec::new() }
    }
}

/// An opened platform: what the simulated processor and its quoting enclave know.
pub struct Platform {
    pck: Key,
    attestation: Key,
    pck_chain: String,
    sealing_secret: Zeroizing<Vec<u8>>,
}

impl Platform {
    /// Makes a platform in `dir`, which must be absent or empty. `now`: Unix seconds.
    pub fn create(dir: &Path, now: i64) -> Result<Self, Error> {
        Self::create_with(dir, now, &Options::default())
    }

    /// Makes a platform that differs from a healthy one.
    pub fn create_with(dir: &Path, now: i64, options: &Options) -> Result<Self, Error> {
        let authorities = certificates::Authorities::make(now, options)?;
        let collateral = collateral::json(&authorities, now, options)?;
        folder::write(dir, &authorities, &collateral)?;
        Self::open(dir)
    }

    /// Opens a platform that was made before; it outlives the processes that use it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        folder::read(dir)
    }

    /// A raw quote (version 3) over a debug enclave of this measurement. `report_data` is the application's.
    pub fn quote(&self, mrenclave: [u8; 32], report_data: [u8; 64]) -> Result<Vec<u8>, Error> {
        quote::build(self, mrenclave, report_data)
    }

    /// What a simulated processor would derive sealing keys from, 32 bytes.
    #[must_use]
    pub fn sealing_secret(&self) -> &[u8] {
        &self.sealing_secret
    }
}
