//! `bench`: measurements that are judged by ratios within one run, never by times.

use crate::cargo::{cargo, run as run_command};
use anyhow::Result;

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// A verification against nine bare ones of ECDSA on P-256; memory
    Verifier,
    /// An issuance in the enclave against its bare primitives, in process and over the socket; allocations
    Issue,
}

/// Fails if a bound is missed.
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
