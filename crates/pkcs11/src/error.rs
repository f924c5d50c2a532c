//! What can go wrong with a token.

use cryptoki::error::{Error as Cryptoki, RvError};
use std::path::PathBuf;

/// What can go wrong with a token. Texts contain neither PINs nor key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The library cannot be loaded or does not start.
    #[error("the PKCS#11 module {path} cannot be used: {cause}", path = path.display())]
    ModuleUnavailable {
        /// Path as given.
        path: PathBuf,
        /// The error of the loader or the library.
        cause: String,
    },
    /// No token has this label.
    #[error("no token has the label {label:?}; {}", labels(found))]
    TokenNotFound {
        /// The label that was looked for.
        label: String,
        /// The labels that exist.
        found: Vec<String>,
    },
    /// More than one token has this label.
    #[error("more than one token has the label {label:?}")]
    TokenAmbiguous {
        /// The label.
        label: String,
    },
    /// A token with this label already exists.
    #[error("a token with the label {label:?} already exists")]
    TokenExists {
        /// The label.
        label: String,
    },
    /// No slot is free for a new token.
    #[error("the module has no slot with an uninitialised token")]
    NoFreeSlot,
    /// The label is not possible: it must have 1 to 32 bytes.
    #[error("a token label must have 1 to 32 bytes")]
    LabelInvalid,
    /// The PIN is wrong. One attempt was made.
    #[error("the token {label:?} refused the PIN")]
    PinIncorrect {
        /// The token.
        label: String,
    },
    /// The token is locked, or its PIN expired or was never set.
    #[error("the PIN of the token {label:?} cannot be used: {cause}")]
    PinUnusable {
        /// The token.
        label: String,
        /// The answer of the token.
        cause: String,
    },
    /// This process is already logged in. Tokens give this answer even to a wrong PIN, so it is not a
    /// success.
    #[error("this process is already logged in to the token {label:?}")]
    AlreadyLoggedIn {
        /// The token.
        label: String,
    },
    /// The token lacks an operation that wrapping needs.
    #[error("the token cannot wrap this key: {cause}")]
    TokenCannotWrap {
        /// The call and its answer.
        cause: String,
    },
    /// A call failed for another reason.
    #[error("the token failed: {cause}")]
    TokenFailed {
        /// The call and its answer.
        cause: String,
    },
    /// The private key is not an unencrypted PKCS#8 structure of its algorithm.
    #[error("the private key is not a valid, unencrypted PKCS#8 structure")]
    PrivateKeyMalformed,
    /// Tokens cannot wrap a key of this kind.
    #[error("tokens cannot wrap {what}; RSA, P-256, P-384 and P-521 are supported")]
    PrivateKeyUnsupported {
        /// The kind by name.
        what: &'static str,
    },
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ModuleUnavailable { .. } => "ModuleUnavailable",
            Self::TokenNotFound { .. } => "TokenNotFound",
            Self::TokenAmbiguous { .. } => "TokenAmbiguous",
            Self::TokenExists { .. } => "TokenExists",
            Self::NoFreeSlot => "NoFreeSlot",
            Self::LabelInvalid => "LabelInvalid",
            Self::PinIncorrect { .. } => "PinIncorrect",
            Self::PinUnusable { .. } => "PinUnusable",
            Self::AlreadyLoggedIn { .. } => "AlreadyLoggedIn",
            Self::TokenCannotWrap { .. } => "TokenCannotWrap",
            Self::TokenFailed { .. } => "TokenFailed",
            Self::PrivateKeyMalformed => "PrivateKeyMalformed",
            Self::PrivateKeyUnsupported { .. } => "PrivateKeyUnsupported",
        }
    }
}

impl From<Cryptoki> for Error {
    fn from(error: Cryptoki) -> Self {
        Self::TokenFailed { cause: describe(&error) }
    }
}

/// The call and its answer in a few words, because the library's own texts are paragraphs of the standard.
pub(crate) fn describe(error: &Cryptoki) -> String {
    match error {
        Cryptoki::Pkcs11(answer, function) => format!("C_{function:?} answered {answer:?}"),
        other => other.to_string(),
    }
}

/// The answer of a PKCS#11 call, if there was one.
pub(crate) fn answer(error: &Cryptoki) -> Option<&RvError> {
    match error {
        Cryptoki::Pkcs11(answer, _) => Some(answer),
        _ => None,
    }
}

fn labels(found: &[String]) -> String {
    if found.is_empty() {
        return "the module has no token".to_owned();
    }
    let quoted: Vec<String> = found.iter().map(|label| format!("{label:?}")).collect();
    format!("there are {}", quoted.join(", "))
}
