//! `bench`: measurements. Limits apply to ratios within one run, never to times.

use crate::cargo::{cargo, run as run_command};
use anyhow::Result;

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// Compare one verification of a quote with nine bare ECDSA P-256 verifications, and measure its memory
    Verifier,
    /// Compare issuing a certificate in the enclave with the bare primitives, and count its allocations
    Issue,
}

/// Runs a benchmark, and fails if a limit is exceeded.
pub fn run(subject: Subject) -> Result<()> {
    match subject {
        Subject::Verifier => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-km", "--bench", "verifier"]),
            "the measurement of the verifier",
        ),
        Subject::Issue => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-enclave", "--bench", "issue"]),
            "the measurement of issuing",
        ),
    }
}
