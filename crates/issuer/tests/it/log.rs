//! What the program writes to standard error.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use tcs_issuer::log::{Format, log_panics, subscriber};

/// Starts the program with its standard error in a file, and returns what it wrote until it failed.
fn failing(arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let status = Command::new(env!("CARGO_BIN_EXE_tcs-issuer"))
        .args(["--enclave=unix:/nonexistent", "--health-bind-address=127.0.0.1:0"])
        .arg("--metrics-bind-address=127.0.0.1:0")
        .args(arguments)
        .env("KUBECONFIG", dir.path().join("a kubeconfig that does not exist"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&path).unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1), "{arguments:?}");
    fs::read_to_string(path).unwrap()
}

#[test]
fn case_8_5_the_json_log_of_the_program_is_json_to_its_end() {
    let text = failing(&["--log-format=json", "--log=debug"]);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    assert!(lines.len() > 1, "{text}");
    let last = lines.last().unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(last["level"] == "ERROR" && message.contains("configuration of the Kubernetes API"), "{last}");
}

#[test]
fn case_8_5_the_text_log_of_the_program_in_a_file_has_no_escape_codes() {
    let text = failing(&["--log-format=text"]);
    assert!(!text.contains('\u{1b}'), "{text}");
    let last = text.lines().last().unwrap();
    assert!(last.contains("ERROR") && last.contains("configuration of the Kubernetes API"), "{text}");
}

#[test]
fn a_panic_is_one_line_of_the_log() {
    let before = std::panic::take_hook();
    log_panics();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let log = subscriber("info", Format::Json, false, File::create(&path).unwrap()).unwrap();
    let panicked = tracing::subscriber::with_default(log, || std::panic::catch_unwind(|| panic!("why\nnot")));
    std::panic::set_hook(before);
    assert!(panicked.is_err());
    let text = fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert!(line["level"] == "ERROR" && line["message"].as_str().unwrap().contains("why\nnot"), "{line}");
}
