//! `bit-flips`: the verifier's tests of flipped bits and truncations, with all of them instead of a sample.

use crate::cargo::cargo;
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

/// The minimum number of lines with counts: one for each of quote, collateral and its parts, of three quotes.
const LEAST_SWEEPS: usize = 9;

/// Runs the tests with optimisation, as many at a time as there are cores, and prints the counts.
pub fn run() -> Result<()> {
    let begun = Instant::now();
    let mut test = cargo()
        .args(["test", "--quiet", "--release", "-p", "tcs-verifier", "--test", "it", "--"])
        .args(["flips::", "--nocapture"])
        .env("TCS_FLIPS", "full")
        .stdout(Stdio::piped())
        .spawn()
        .context("run cargo test")?;
    let (mut refused, mut identical, mut sweeps) = (0, 0, 0);
    for line in BufReader::new(test.stdout.take().context("no output of the test")?).lines() {
        let line = line?;
        // The test harness may have written the beginning of the line.
        match line.find("flips: ").and_then(|at| line.get(at..)).and_then(counts) {
            Some((what, more_refused, more_identical)) => {
                println!("{what:<52} {more_refused:>8} refused {more_identical:>7} identical");
                refused += more_refused;
                identical += more_identical;
                sweeps += 1;
            }
            None => eprintln!("{line}"),
        }
    }
    let status = test.wait()?;
    if !status.success() {
        bail!("a flipped bit or a truncation was accepted, or a test panicked ({status})");
    }
    ensure!(sweeps >= LEAST_SWEEPS, "only {sweeps} sweeps were made");
    println!(
        "bit flips: {}, refused: {refused}, identical verdict and claims: {identical} ({} s)",
        refused + identical,
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// `flips: <what>: <number> refused, <number> identical`.
fn counts(line: &str) -> Option<(&str, u64, u64)> {
    let (what, numbers) = line.strip_prefix("flips: ")?.rsplit_once(": ")?;
    let (refused, identical) = numbers.split_once(" refused, ")?;
    Some((what, refused.parse().ok()?, identical.strip_suffix(" identical")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read() {
        assert_eq!(counts("flips: a b, c 1: 7 refused, 9 identical"), Some(("a b, c 1", 7, 9)));
        assert_eq!(counts("running 13 tests"), None);
    }
}
