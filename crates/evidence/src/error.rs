//! Errors of this crate.

/// Why evidence was not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is neither an SGX quote of version 3 nor a TDX quote of version 4 or 5, or a length in it does not
    /// fit.
    #[error("not a quote that can be verified: {0}")]
    QuoteMalformed(&'static str),
}

impl Error {
    /// Stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::QuoteMalformed(_) => "QuoteMalformed",
        }
    }
}
