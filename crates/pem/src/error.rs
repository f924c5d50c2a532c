//! Why a PEM text was refused.

use crate::limits::MAX_BLOCKS;

/// Why a PEM text was refused. Lines are counted from 1.
///
/// Texts contain labels, which have at most [`crate::MAX_LABEL`] printable ASCII characters, and nothing else
/// of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no block.
    #[error("it contains no PEM block (-----BEGIN …-----)")]
    NoBlock,
    /// There are several blocks, and exactly one is expected.
    #[error("it contains {found} PEM blocks of this kind, but exactly one is expected")]
    SeveralBlocks {
        /// The number of blocks.
        found: usize,
    },
    /// There are more blocks than any file of this kind has.
    #[error("it contains more than {MAX_BLOCKS} PEM blocks")]
    TooManyBlocks,
    /// The block is of another kind.
    #[error("it contains a PEM block {found:?}, but {expected:?} is expected")]
    LabelUnexpected {
        /// The label that was found.
        found: String,
        /// The label that was expected.
        expected: String,
    },
    /// A boundary is not alone on its line, or does not have the form of RFC 7468.
    #[error("line {line}: a PEM boundary must be alone on its line")]
    BoundaryMalformed {
        /// Its line.
        line: usize,
    },
    /// A boundary is inside a block, or ends a block that was not begun.
    #[error("line {line}: this PEM boundary does not match the one before it")]
    BoundaryMismatch {
        /// Its line.
        line: usize,
    },
    /// A block has no end.
    #[error("the PEM block that begins in line {line} has no end")]
    Unclosed {
        /// Where it begins.
        line: usize,
    },
    /// A line inside a block is not base64, or is a header.
    #[error("line {line}: neither base64 nor a PEM boundary")]
    LineMalformed {
        /// The line.
        line: usize,
    },
    /// The base64 of a block cannot be decoded, or is empty.
    #[error("the base64 of the PEM block that begins in line {line} is damaged or incomplete")]
    Base64Malformed {
        /// Where the block begins.
        line: usize,
    },
    /// The private key is encrypted with a password.
    #[error("the private key is encrypted")]
    Encrypted,
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoBlock => "NoBlock",
            Self::SeveralBlocks { .. } => "SeveralBlocks",
            Self::TooManyBlocks => "TooManyBlocks",
            Self::LabelUnexpected { .. } => "LabelUnexpected",
            Self::BoundaryMalformed { .. } => "BoundaryMalformed",
            Self::BoundaryMismatch { .. } => "BoundaryMismatch",
            Self::Unclosed { .. } => "Unclosed",
            Self::LineMalformed { .. } => "LineMalformed",
            Self::Base64Malformed { .. } => "Base64Malformed",
            Self::Encrypted => "Encrypted",
        }
    }
}
