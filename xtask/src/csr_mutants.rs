//! `csr-mutants`: compares how `tcs-x509` and Go's `crypto/x509` decide about mutated certificate requests,
//! and has what is issued for them verified.

use crate::cargo::{cargo, run as run_command};
use anyhow::Result;

/// Runs the test with optimisation. It fails if a request is accepted that Go rejects, or if openssl or Go
/// does not verify a certificate that is issued for one below CAs with every kind of name constraint. It
/// prints the counts.
pub fn run(count: usize) -> Result<()> {
    let mut test = cargo();
    test.args(["test", "--quiet", "--release", "-p", "tcs-x509", "--test", "it", "--"]);
    test.args(["go::mutated", "--nocapture"]).env("TCS_CSR_MUTANTS", count.to_string());
    run_command(&mut test, "the comparison of mutated requests")
}
