//! The public key of a quote as a PEM file. This is the only reader, for every tool.

use crate::exit::Exit;
use crate::files::{read_limited, write_new};
use std::path::{Path, PathBuf};
use tcs_evidence::{PublicKeyError, QuotePublicKey};

/// Maximum length of a file, in bytes.
const MAX_FILE: u64 = 64 * 1024;
const LABEL: &str = "PUBLIC KEY";

/// Why a file contains no public key of a quote.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read the public key file {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// It is not the PEM of one public key.
    #[error("{} contains no usable public key: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: Cause,
    },
}

/// What is wrong with the text of a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It is not one PEM block `PUBLIC KEY`.
    #[error(transparent)]
    Pem(#[from] tcs_pem::Error),
    /// The block is not a key of the kind that quotes bind.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "PublicKeyUnreadable",
            Self::Malformed { cause: Cause::Key(error), .. } => error.code(),
            Self::Malformed { .. } => "PublicKeyMalformed",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::KeyInput
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "give --pubkey a file that you may read",
            Self::Malformed { .. } => {
                "give --pubkey the PEM key from spec.publicKey of the QuoteAttestation, with exactly one \
                 PEM block in the file"
            }
        }
    }
}

/// Reads the file once.
pub fn read(path: &Path) -> Result<QuotePublicKey, Error> {
    let text = read_limited(path, MAX_FILE)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })?;
    parse(&text).map_err(|cause| Error::Malformed { path: path.to_owned(), cause })
}

/// Reads the text of such a file: exactly one PEM block `PUBLIC KEY` (RFC 7468, section 13).
pub fn parse(text: &[u8]) -> Result<QuotePublicKey, Cause> {
    Ok(QuotePublicKey::from_der(&tcs_pem::one(text, LABEL)?)?)
}

/// Writes the key to a file that must not exist yet, in PEM.
pub fn write(path: &Path, key: &QuotePublicKey) -> std::io::Result<()> {
    write_new(path, tcs_pem::encode(LABEL, key.der()).as_bytes())
}

/// How the tools name a key: the SHA-256 of its DER in lower-case hex.
#[must_use]
pub fn fingerprint(key: &QuotePublicKey) -> String {
    hex::encode(key.sha256())
}
