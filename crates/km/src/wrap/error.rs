//! Why `km-wrap` refused.

use crate::exit::Exit;
use crate::{appraisal, public_key, quote_file};
use std::borrow::Cow;
use std::path::PathBuf;

/// Why `km-wrap` refused. Texts contain neither PINs nor key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// OAEP with SHA-256 was requested together with a token.
    #[error("--format kmra-v1-sha256 does not work with --module: tokens support OAEP with SHA-1 only")]
    FormatNotInToken,
    /// The public key file.
    #[error(transparent)]
    PublicKey(#[from] public_key::Error),
    /// The public key is not the one that the caller named.
    #[error("the public key has the SHA-256 {found}; --pubkey-sha256 says {expected}")]
    PublicKeyUnexpected {
        /// SHA-256 of the key in the file, hex.
        found: String,
        /// SHA-256 that the caller named, hex.
        expected: String,
    },
    /// The quote file.
    #[error(transparent)]
    Quote(#[from] quote_file::Error),
    /// The quote was not accepted.
    #[error(transparent)]
    Appraisal(#[from] appraisal::Error),
    /// The private key file cannot be read.
    #[error("cannot read the private key file {}: {cause}", path.display())]
    PrivateKeyUnreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// The private key file contains no usable PEM private key.
    #[error("{} contains no usable PEM private key: {found}", path.display())]
    PrivateKeyMalformed {
        /// The file.
        path: PathBuf,
        /// What it contains.
        found: String,
    },
    /// The private key is encrypted with a password.
    #[error("the private key in {} is encrypted", path.display())]
    PrivateKeyEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// The private key is of a kind that cannot be wrapped here.
    #[error("the private key cannot be wrapped here: {what}")]
    PrivateKeyUnsupported {
        /// Which kind, and why.
        what: &'static str,
    },
    /// No PIN was given and there is no terminal to prompt on, or the PIN is empty.
    #[error("no PIN for the token {label:?}")]
    PinMissing {
        /// The token.
        label: String,
    },
    /// The PIN cannot be read from its source.
    #[error("cannot read the PIN from {source_name}: {cause}")]
    PinUnreadable {
        /// The file, the environment variable or the terminal.
        source_name: String,
        /// The error of the system.
        cause: String,
    },
    /// The key could not be wrapped.
    #[error(transparent)]
    Wrap(#[from] tcs_keywrap::Error),
    /// Standard output cannot be written.
    #[error("cannot write the result: {0}")]
    OutputFailed(#[from] std::io::Error),
    /// The token refused.
    #[error(transparent)]
    Token(#[from] tcs_pkcs11::Error),
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::FormatNotInToken => "FormatNotInToken",
            Self::PublicKey(error) => error.code(),
            Self::PublicKeyUnexpected { .. } => "PublicKeyUnexpected",
            Self::Quote(error) => error.code(),
            Self::Appraisal(error) => error.code(),
            Self::PrivateKeyUnreadable { .. } => "PrivateKeyUnreadable",
            Self::PrivateKeyMalformed { .. } => "PrivateKeyMalformed",
            Self::PrivateKeyEncrypted { .. } => "PrivateKeyEncrypted",
            Self::PrivateKeyUnsupported { .. } => "PrivateKeyUnsupported",
            Self::PinMissing { .. } => "PinMissing",
            Self::PinUnreadable { .. } => "PinUnreadable",
            Self::Wrap(error) => error.code(),
            Self::OutputFailed(_) => "OutputFailed",
            Self::Token(error) => error.code(),
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Quote(error) => return error.exit(),
            Self::Appraisal(error) => return error.exit(),
            _ => {}
        }
        match self.code() {
            "FormatNotInToken" => Exit::Usage,
            "Internal" | "OutputFailed" => Exit::Other,
            code if code.starts_with("PublicKey") || code.starts_with("PrivateKey") => Exit::KeyInput,
            _ => Exit::Token,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        match self {
            Self::PublicKey(error) => return error.advice().into(),
            Self::Quote(error) => return error.advice().into(),
            Self::Appraisal(error) => return error.advice(),
            _ => {}
        }
        let text = match self.code() {
            "FormatNotInToken" => "leave out --format, or leave out --module to wrap in memory",
            "PublicKeyUnexpected" => {
                "do not wrap for it: the file is not the one that km-attest verified, or the SHA-256 is that of \
                 another key"
            }
            "PrivateKeyUnreadable" => "give --privkey a file that you may read",
            "PrivateKeyMalformed" => "give --privkey the CA's private key in PEM, as openssl writes it",
            "PrivateKeyEncrypted" => "decrypt it (openssl pkey -in FILE -out NEW), wrap that and delete it",
            "PrivateKeyUnsupported" => "use an RSA key of 2048 to 4096 bits or a P-256 or P-384 key",
            "OutputFailed" => "check whether standard output can be written",
            "PinMissing" => "use --pin-file, set KM_WRAP_PIN, or run it in a terminal",
            "PinUnreadable" => "check the file or the terminal",
            "ModuleUnavailable" => "check --module; for SoftHSM2 also SOFTHSM2_CONF and its token directory",
            "TokenNotFound" => "check --token, and for SoftHSM2 SOFTHSM2_CONF",
            "TokenAmbiguous" => "give one of them another label",
            "PinIncorrect" => "check the PIN; it was tried once",
            "PinUnusable" => "unlock or set the PIN with the tools of the token",
            "TokenCannotWrap" => "wrap in memory: leave out --module, --token and the PIN",
            _ => "try again; if it fails again, report it",
        };
        Cow::Borrowed(text)
    }
}
