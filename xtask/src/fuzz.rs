//! `fuzz`: runs the fuzz targets in `fuzz/` with libFuzzer on stable Rust, without a sanitiser, because the
//! code under test has no `unsafe`.

use crate::cargo::{cargo, run as run_command, tool};
use crate::progress::progress;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tcs_testkit::repository;

const CARGO_FUZZ: &str = "0.13.2";
/// The targets, each with the length of the longest inputs in bytes.
const TARGETS: [(&str, u32); 10] = [
    ("quote", 20_000),
    ("collateral", 200_000),
    ("certificates", 20_000),
    ("crls", 20_000),
    ("policy", 70_000),
    ("request", 1 << 20),
    ("pem", 20_000),
    ("rules", 20_000),
    ("sealed", 70_000),
    ("rpc", (1 << 20) + (1 << 17)),
];

/// Runs each target, or the one named. New inputs are written to `target/`, not into the repository.
pub fn run(seconds: u32, target: Option<&str>) -> Result<()> {
    check_lock()?;
    for (target, longest) in targets(target)? {
        let (own, found) = (corpus(target), fuzz().join("../target/fuzz/corpus").join(target));
        fs::create_dir_all(&found).with_context(|| format!("create {}", found.display()))?;
        progress(&format!("fuzz target {target} for {seconds} s"));
        let mut command = command("run")?;
        command.arg(target).arg(&found).arg(&own).arg("--").args([
            &format!("-max_total_time={seconds}"),
            &format!("-max_len={longest}"),
            "-rss_limit_mb=2048",
            "-timeout=10",
            "-print_final_stats=1",
        ]);
        run_command(&mut command, &format!("fuzz target {target}"))?;
    }
    Ok(())
}

/// Fails if a dependency of the workspace is not in `fuzz/Cargo.lock`. cargo-fuzz has no option for this, and
/// would write the file anew without a word.
fn check_lock() -> Result<()> {
    let mut locked = cargo();
    locked.current_dir(repository());
    locked.args(["metadata", "--locked", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"]);
    run_command(locked.stdout(Stdio::null()), "the check that fuzz/Cargo.lock is up to date")
        .context("run `cargo update --workspace --manifest-path fuzz/Cargo.toml`")
}

/// Reduces the corpus in the repository to the files that reach code which no other file reaches. They keep
/// their names.
pub fn minimise(target: Option<&str>) -> Result<()> {
    for (target, _) in targets(target)? {
        let before = files(&corpus(target))?;
        run_command(command("cmin")?.arg(target).arg(corpus(target)), &format!("cargo fuzz cmin {target}"))?;
        for (path, content) in files(&corpus(target))? {
            if let Some((name, _)) = before.iter().find(|(_, known)| *known == content) {
                fs::rename(&path, name).with_context(|| format!("rename {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        files.push((path, content));
    }
    Ok(files)
}

fn targets(only: Option<&str>) -> Result<Vec<(&'static str, u32)>> {
    let chosen: Vec<_> =
        TARGETS.into_iter().filter(|(target, _)| only.is_none_or(|only| only == *target)).collect();
    ensure!(!chosen.is_empty(), "no such target; there are {}", TARGETS.map(|(target, _)| target).join(", "));
    Ok(chosen)
}

fn fuzz() -> PathBuf {
    repository().join("fuzz")
}

fn corpus(target: &str) -> PathBuf {
    fuzz().join("corpus").join(target)
}

/// `cargo fuzz <verb>` without a sanitiser.
fn command(verb: &str) -> Result<Command> {
    let mut command = Command::new(tool("cargo-fuzz", CARGO_FUZZ)?);
    command.current_dir(repository()).arg(verb).args(["-s", "none", "--fuzz-dir", "fuzz", "--target-dir"]);
    command.arg(Path::new("target").join("fuzz"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate that gains a dependency changes this file, too, and nobody runs the fuzz targets for that.
    #[test]
    fn the_lock_file_of_the_targets_is_up_to_date() {
        check_lock().unwrap();
    }

    #[test]
    fn every_target_has_a_program_and_a_small_corpus() {
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for (target, _) in TARGETS {
            assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
            let files: Vec<_> = fs::read_dir(corpus(target)).unwrap().map(Result::unwrap).collect();
            assert!((1..=20).contains(&files.len()), "{target}: {} files", files.len());
            assert!(files.iter().all(|file| file.metadata().unwrap().len() < 32 * 1024), "{target}");
        }
        assert_eq!(targets(Some("policy")).unwrap(), [("policy", 70_000)]);
        assert!(targets(Some("x")).is_err());
    }
}
