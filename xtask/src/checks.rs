//! `test`: all tests and checks, one after the other, each named with its time.

use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;
use tcs_testkit::repository;

/// Everything that must hold. Simulated builds have a target folder of their own.
const STEPS: [(&str, &[&str]); 10] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    (
        "lints, simulation",
        &[
            "clippy",
            "-p",
            "tcs-enclave",
            "-p",
            "tcs-km",
            "--features",
            "tcs-enclave/simulation,tcs-km/simulation",
            "--target-dir",
            "target/simulation",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("generated files", &["xtask", "generate", "--check"]),
    ("tests", &["test", "--workspace", "--exclude", "tcs-e2e"]),
    (
        "tests, simulation",
        &[
            "test",
            "-p",
            "tcs-enclave",
            "-p",
            "tcs-km",
            "--features",
            "tcs-enclave/simulation,tcs-km/simulation",
            "--target-dir",
            "target/simulation",
        ],
    ),
    ("fuzz", &["xtask", "fuzz", "--seconds", "10"]),
    ("end to end", &["test", "-p", "tcs-e2e"]),
    ("documentation", &["doc", "--workspace", "--no-deps"]),
    ("demo", &["xtask", "demo"]),
];

/// Runs every step, also after one failed, and fails if any did.
pub fn run() -> Result<()> {
    crate::setup::ensure()?;
    tcs_testkit::ensure_control_plane(crate::progress)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut report = Vec::new();
    let mut failed = 0;
    for (name, arguments) in STEPS {
        eprintln!("\n==== {name}: cargo {}", arguments.join(" "));
        let begun = Instant::now();
        let mut command = Command::new(&cargo);
        command.current_dir(repository()).args(arguments);
        // SoftHSM2 was made sure of above, so a test that would skip for want of it fails instead.
        command.env("TCS_REQUIRE_SOFTHSM", "1").env("RUSTDOCFLAGS", "-D warnings");
        let status = command.status().with_context(|| format!("run cargo {}", arguments.join(" ")))?;
        let seconds = begun.elapsed().as_secs();
        report.push(format!("{} {name} ({seconds} s)", if status.success() { "ok  " } else { "FAIL" }));
        failed += usize::from(!status.success());
    }
    println!("\n{}", report.join("\n"));
    println!("steps: {} passed, {failed} failed", STEPS.len() - failed);
    if failed > 0 {
        bail!("{failed} of {} steps failed", STEPS.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The original's CI built an image and never ran a test.
    #[test]
    fn w_d15_ci_runs_every_test_there_is() {
        let ci = std::fs::read_to_string(repository().join(".ci/run")).unwrap();
        assert!(ci.contains("cargo xtask test"));
        let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
        assert!(readme.contains("cargo xtask test") && readme.contains("cargo xtask demo"));
        let runs = |words: &[&str]| {
            STEPS.iter().any(|(_, arguments)| words.iter().all(|word| arguments.contains(word)))
        };
        assert!(runs(&["test", "--workspace"]) && runs(&["test", "tcs-e2e"]));
        assert!(runs(&["test", "tcs-enclave/simulation,tcs-km/simulation"]));
        assert!(
            runs(&["clippy", "--workspace"]) && runs(&["fmt", "--check"]) && runs(&["generate", "--check"])
        );
        assert!(runs(&["doc"]) && runs(&["demo"]) && runs(&["fuzz"]));
    }
}
