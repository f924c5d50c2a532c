//! `test`: runs all tests and checks one after the other and reports the time of each.

use crate::cargo::cargo;
use crate::progress::progress;
use anyhow::{Context, Result, bail};
use std::io::{BufRead as _, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The steps: name and arguments of cargo. Simulated builds have a target directory of their own.
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
    ("tests", &["test", "--workspace", "--exclude", "tcs-e2e", "--no-fail-fast"]),
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
            "--no-fail-fast",
        ],
    ),
    ("fuzz", &["xtask", "fuzz", "--seconds", "10"]),
    // These tests wait most of the time: for programs, and for clusters that only one of them may disturb.
    ("end to end", &["test", "-p", "tcs-e2e", "--", "--test-threads=4"]),
    ("documentation", &["doc", "--workspace", "--no-deps"]),
    ("demo", &["xtask", "demo"]),
];

/// Runs every step, even if an earlier one failed, and fails if any of them did.
pub fn run() -> Result<()> {
    crate::setup::ensure()?;
    tcs_testkit::ensure_control_plane(progress)?;
    // Many tests compare with it. Its modules come from the network the first time. Without them, a test
    // would fail as if the results differed.
    progress("building hack/go-oracle");
    tcs_go_oracle::program()?;
    tcs_testkit::ensure_cert_manager(progress)?;
    let mut report = Vec::new();
    let mut failed = 0;
    for (name, arguments) in STEPS {
        eprintln!("\n==== {name}: cargo {}", arguments.join(" "));
        let begun = Instant::now();
        let mut command = cargo();
        command.args(arguments);
        // SoftHSM2 was installed above, so a test that would skip without it fails instead.
        command.env("TCS_REQUIRE_SOFTHSM", "1").env("RUSTDOCFLAGS", "-D warnings");
        let (passed, failures) = watched(&mut command, &mut std::io::stdout())
            .with_context(|| format!("run cargo {}", arguments.join(" ")))?;
        let seconds = begun.elapsed().as_secs();
        report.push(format!("{} {name} ({seconds} s)", if passed { "ok  " } else { "FAIL" }));
        report.extend(failures.into_iter().map(|line| format!("       {line}")));
        failed += usize::from(!passed);
    }
    println!("\n{}", report.join("\n"));
    println!("steps: {} passed, {failed} failed", STEPS.len() - failed);
    if failed > 0 {
        bail!("{failed} of {} steps failed", STEPS.len());
    }
    Ok(())
}

/// Runs a command and passes on what it prints. Returns whether it succeeded and the lines that name failed
/// tests, so that these can be repeated at the end, where people look first.
fn watched(command: &mut Command, out: &mut impl Write) -> Result<(bool, Vec<String>)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no standard output")?;
    let mut failures = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        out.write_all(&[line.as_slice(), b"\n"].concat())?;
        let text = String::from_utf8_lossy(&line);
        if names_failure(&text) {
            failures.push(text.into_owned());
        }
    }
    Ok((child.wait()?.success(), failures))
}

/// Whether a line of a test binary's output names a failed test.
fn names_failure(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcs_testkit::repository;

    #[test]
    fn failed_tests_are_repeated_at_the_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test a::b ... ok'; echo 'test a::c ... FAILED'; exit 101"]);
        let mut out = Vec::new();
        let (passed, failures) = watched(&mut command, &mut out).unwrap();
        assert!(!passed);
        assert_eq!(failures, ["test a::c ... FAILED"]);
        assert_eq!(out, b"test a::b ... ok\ntest a::c ... FAILED\n");
        assert!(watched(&mut Command::new("true"), &mut std::io::sink()).unwrap().0);
    }

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
