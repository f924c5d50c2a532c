//! What an appraisal found.

use super::error::Error;
use tcs_verifier::{Check, Outcome, TcbStatus, Verdict};

/// Whether the quote binds the public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// There was no public key.
    NotChecked,
    /// It binds the key.
    Passed,
    /// It does not bind the key.
    Failed(tcs_verifier::Error),
}

/// What an appraisal found, even if it ended early.
#[derive(Clone, Debug)]
pub struct Appraisal {
    /// Whether the quote binds the public key.
    pub binding: Binding,
    /// The verdict of the verifier, if it was reached.
    pub verdict: Option<Verdict>,
    /// Where the collateral came from.
    pub collateral: Option<String>,
    /// The collateral is a copy in the cache.
    pub(super) is_copy: bool,
    /// Whether the collateral is older than collateral that was seen before.
    pub rollback: Check,
    /// Further warnings for people, in whole sentences.
    pub warnings: Vec<String>,
}

/// Evidence was not accepted.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// What was found until then.
    pub found: Appraisal,
}

impl Appraisal {
    pub(super) fn new() -> Self {
        Self {
            binding: Binding::NotChecked,
            verdict: None,
            collateral: None,
            is_copy: false,
            rollback: Self::rollback_not_checked(),
            warnings: Vec::new(),
        }
    }

    /// The check for roll-back if it was not made.
    #[must_use]
    pub fn rollback_not_checked() -> Check {
        Check {
            id: "roll-back",
            expected: "CRL and evaluation numbers not below those seen before".into(),
            found: "".into(),
            outcome: Outcome::NotMade,
        }
    }

    /// The platform's state, if the quote is genuine.
    #[must_use]
    pub fn status(&self) -> Option<TcbStatus> {
        self.verdict.as_ref().and_then(Verdict::claims).map(|claims| claims.status)
    }
}
