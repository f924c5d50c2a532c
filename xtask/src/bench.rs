//! `bench`: measurements. Limits are set on ratios within one run, never on times.

use crate::cargo::{cargo, run as run_command};
use anyhow::Result;

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// One verification of a quote against nine bare ECDSA P-256 verifications, and its memory
    Verifier,
    /// Issuing a certificate in the enclave against its bare primitives, and its allocations
    Issue,
}

/// Measures; fails if a limit is exceeded.
pub fn run(subject: Subject) -> Result<()> {
    match subject {
        Subject::Verifier => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-verifier", "--bench", "verifier"]),
            "the measurement of the verifier",
        ),
        Subject::Issue => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-enclave", "--bench", "issue"]),
            "the measurement of issuing",
        ),
    }
}
