//! The programs, the genuine quotes, and what the programs print.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `km-attest` without the environment variables of the machine that runs the tests.
pub fn km_attest() -> Command {
    program(env!("CARGO_BIN_EXE_km-attest"))
}

/// `km-wrap`, likewise.
pub fn km_wrap() -> Command {
    program(env!("CARGO_BIN_EXE_km-wrap"))
}

fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_remove("KM_ATTEST_CONFIG").env_remove("KM_WRAP_PIN");
    command
}

/// Runs openssl with arguments split at blanks, and returns its standard output.
pub fn openssl(dir: &Path, arguments: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split_whitespace()).current_dir(dir).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {arguments}: {}", stderr(&output));
    output.stdout
}

/// A genuine quote, or its collateral.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/data/dcap-qvl").join(name)
}

pub fn run_km_attest(arguments: &[&str]) -> Output {
    km_attest().args(arguments).output().unwrap()
}

/// `appraise` of a genuine quote with its own collateral, any identity.
pub fn appraise(name: &str, at: &str, more: &[&str]) -> Output {
    appraisal(name, at, more).output().unwrap()
}

/// The command of [`appraise`].
pub fn appraisal(name: &str, at: &str, more: &[&str]) -> Command {
    let mut command = km_attest();
    command.args(["appraise", "--any-identity", "--quote"]).arg(data(name)).arg("--collateral");
    command.arg(data(&format!("{name}_collateral.json"))).args(["--at", at]).args(more);
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub fn assert_ends(output: &Output, status: i32, code: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", stderr(output));
    let wanted = if code.is_empty() { String::new() } else { format!("km-attest: error[{code}]: ") };
    let errors: Vec<String> =
        stderr(output).lines().filter(|line| line.contains("error[")).map(ToOwned::to_owned).collect();
    assert_eq!(errors.len(), usize::from(!code.is_empty()), "{errors:?}");
    assert!(errors.iter().all(|line| line.starts_with(&wanted)), "{errors:?}");
}

pub fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}
