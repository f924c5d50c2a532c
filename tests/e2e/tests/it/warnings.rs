//! What commands write to standard error is what `data/standard-error.txt` lists: a warning that means
//! nothing hides those that mean something.

use std::collections::BTreeMap;
use tcs_testkit::{ControlPlane, cargo, ensure_control_plane, repository};

/// The lines that each command may write.
fn listed() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(repository().join("tests/e2e/data/standard-error.txt")).unwrap();
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut command = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut command);
            sections.entry(command.clone()).or_default();
        } else {
            sections.get_mut(&command).unwrap().push(line.to_owned());
        }
    }
    sections
}

/// Compares what a command wrote with its section of the list. A listed line that ends with `…` stands for
/// all lines that begin so. Lines of points, stars and signs are the progress of openssl's key generation.
pub fn assert_listed(command: &str, written: &str) {
    let listed = listed().remove(command).unwrap_or_else(|| panic!("{command} has no section"));
    let is_listed = |line: &str| {
        listed.iter().any(|pattern| match pattern.strip_suffix('…') {
            Some(start) => line.starts_with(start),
            None => line == pattern,
        })
    };
    let is_progress = |line: &str| line.bytes().all(|byte| b".+*-".contains(&byte));
    // curl writes its progress over and over into one line.
    let lines = written.split(['\n', '\r']);
    let others: Vec<_> = lines.filter(|line| !is_progress(line) && !is_listed(line)).collect();
    assert!(others.is_empty(), "{command} wrote lines that are not listed:\n{}", others.join("\n"));
}

#[test]
fn case_p36_case_8_6_applying_the_manifests_writes_nothing_to_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let assets = ensure_control_plane(|line| eprintln!("{line}")).unwrap();
    let control_plane = ControlPlane::start(dir.path(), &assets).unwrap();
    // Twice: the second time the objects are there.
    for _ in 0..2 {
        for path in ["deployment/crds/", "deployment/tcs_issuer.yaml"] {
            let mut kubectl = control_plane.kubectl();
            let output = kubectl.current_dir(repository()).args(["apply", "-f", path]).output().unwrap();
            let written = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{written}");
            assert_listed(&format!("kubectl apply -f {path}"), &written);
        }
    }
}

#[test]
fn case_8_6_up_writes_what_is_listed_to_standard_error() {
    let state = tempfile::tempdir().unwrap();
    let xtask = |task: &str| {
        let mut xtask = cargo();
        xtask.args(["run", "--quiet", "-p", "xtask", "--", task]).env("XDG_STATE_HOME", state.path());
        xtask.output().unwrap()
    };
    let up = xtask("up");
    let down = xtask("down");
    for output in [&up, &down] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_listed("cargo xtask up", &String::from_utf8(up.stderr).unwrap());
    assert_listed("cargo xtask down", &String::from_utf8(down.stderr).unwrap());
}
