//! `bench`: measurements that are judged by ratios within one run, never by times.

use crate::cargo::{cargo, run as run_command};
use anyhow::Result;

/// What can be measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// A verification against nine bare ones of ECDSA on P-256; memory
    Verifier,
}

/// Fails if a bound is missed.
pub fn run(subject: Subject) -> Result<()> {
    match subject {
        Subject::Verifier => run_command(
            cargo().args(["bench", "--quiet", "-p", "tcs-verifier", "--bench", "verifier"]),
            "the measurement of the verifier",
        ),
    }
}
