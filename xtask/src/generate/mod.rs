//! `generate`: writes the files that follow from the API types, the tests and the command line of
//! kubectl-tcs, and the tables of the documents.

mod access;
mod api_page;
mod crds;

use crate::cargo::{cargo, run as run_command};
use crate::conformance;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use tcs_testkit::repository;

/// Writes the generated files into the repository. With `check` it writes nothing, and fails with the names
/// of the files that are not up to date.
pub fn run(check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (path, text) in files()? {
        let file = repository().join(&path);
        if std::fs::read_to_string(&file).is_ok_and(|present| present == text) {
            continue;
        }
        if check {
            stale.push(path);
        } else {
            write(&file, &text)?;
            println!("wrote {path}");
        }
    }
    if !check {
        write_tables()?;
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask generate` and commit the result", stale.join(", "));
    }
    Ok(())
}

fn write(file: &PathBuf, text: &str) -> Result<()> {
    let folder = file.parent().context("a generated file lies in a directory")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

/// Runs the tests that write the tables of `docs/verification.md`, `docs/requests.md`, `docs/signers.md` and
/// `docs/monitoring.md`.
/// In every other run they compare the tables with the code.
fn write_tables() -> Result<()> {
    let mut tests = cargo();
    tests.args([
        "test",
        "--quiet",
        "-p",
        "tcs-verifier",
        "-p",
        "tcs-km",
        "-p",
        "tcs-x509",
        "--test",
        "it",
        "table",
    ]);
    run_command(tests.env("TCS_GENERATE", "1"), "the tests that write tables")?;
    let mut metrics = cargo();
    metrics.args(["test", "--quiet", "-p", "tcs-issuer", "--lib", "the_table_of_metrics"]);
    run_command(metrics.env("TCS_GENERATE", "1"), "the test that writes the table of metrics")?;
    println!("docs/verification.md, docs/requests.md, docs/signers.md and docs/monitoring.md are up to date");
    Ok(())
}

/// The generated files: path from the root of the repository, and text.
fn files() -> Result<Vec<(String, String)>> {
    let crds = tcs_api::v1alpha1::crds();
    let mut files = Vec::new();
    for crd in &crds {
        let name = format!("deployment/crds/{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        files.push((name, crds::manifest(crd)?));
    }
    files.push(("deployment/access.yaml".to_owned(), access::manifest()?));
    files.push(("docs/quote-attestation-api.md".to_owned(), api_page::api_page(&crds)?));
    files.push(("docs/conformance.md".to_owned(), conformance::page()?));
    files.push(("docs/kubectl-tcs.md".to_owned(), kubectl_tcs::page::page()));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_files_are_up_to_date() {
        run(true).unwrap();
    }
}
