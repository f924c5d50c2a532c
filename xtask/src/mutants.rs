//! `mutants`: for every change that cargo-mutants makes to the code that decides acceptance, a test must
//! fail.

use crate::cargo::{run as run_command, tool};
use anyhow::Result;
use std::process::Command;
use tcs_testkit::repository;

const CARGO_MUTANTS: &str = "27.1.0";

/// The files that decide whether evidence is accepted.
const FILES: [&str; 24] = [
    "crates/verifier/src/appraisal.rs",
    "crates/verifier/src/attributes.rs",
    "crates/verifier/src/certificate.rs",
    "crates/verifier/src/checks.rs",
    "crates/verifier/src/claims.rs",
    "crates/verifier/src/collateral.rs",
    "crates/verifier/src/date.rs",
    "crates/verifier/src/dcap.rs",
    "crates/verifier/src/error.rs",
    "crates/verifier/src/inspection.rs",
    "crates/verifier/src/pck_chain.rs",
    "crates/verifier/src/policy/**/*.rs",
    "crates/verifier/src/refusal.rs",
    "crates/verifier/src/sgx_extension.rs",
    "crates/verifier/src/status.rs",
    "crates/verifier/src/tcb_info.rs",
    "crates/verifier/src/tcb_level.rs",
    "crates/verifier/src/trust_anchor.rs",
    "crates/verifier/src/validity.rs",
    "crates/verifier/src/workload.rs",
    "crates/evidence/src/error.rs",
    "crates/evidence/src/evidence.rs",
    "crates/evidence/src/quote/*.rs",
    "crates/evidence/src/report_data*.rs",
];

/// Fails if a mutant survives. The repository itself is not touched: cargo-mutants works on a copy.
pub fn run(arguments: &[String]) -> Result<()> {
    let mut command = Command::new(tool("cargo-mutants", CARGO_MUTANTS)?);
    command.current_dir(repository()).args(["mutants", "--output", "target"]);
    command.args(["--package", "tcs-verifier", "--package", "tcs-evidence"]);
    command.args(["--test-package", "tcs-verifier", "--test-package", "tcs-evidence"]);
    // Texts for people decide nothing.
    command.args(["--exclude-re", "impl (Debug|Display|fmt::Display|std::fmt::Display) for"]);
    if !arguments.iter().any(|argument| argument.starts_with("--file") || argument.starts_with("-f")) {
        command.args(FILES.iter().flat_map(|file| ["--file", file]));
    }
    // The build is kept for the next run. The tests of flipped bits would take most of the time.
    command.args(arguments).args(["--", "--", "--skip", "flips::"]);
    command.env("CARGO_TARGET_DIR", repository().join("target/mutants"));
    run_command(&mut command, "cargo mutants")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_there() {
        for file in FILES.into_iter().filter(|file| !file.contains('*')) {
            assert!(repository().join(file).is_file(), "{file}");
        }
    }
}
