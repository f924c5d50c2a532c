//! `doctor`: checks the installation. What cannot be read is reported as not checked, never as good.

mod definitions;
mod difference;
mod finding;
mod manifest;
mod policies;
mod rights;
mod roles;
mod server;
mod workload;

use crate::cluster::Cluster;
use crate::error::Error;
use crate::output::Output;
use finding::{Finding, Outcome};
use manifest::Manifest;
use serde_json::json;

/// Runs all checks.
pub async fn run(cluster: &Cluster, output: &mut Output<'_>) -> Result<(), Error> {
    let manifest = Manifest::read()?;
    // If the API server does not answer this, it answers nothing.
    let mut findings = vec![server::version(&cluster.version().await?)];
    findings.extend(definitions::check(cluster).await);
    findings.extend(policies::check(cluster, &manifest).await);
    findings.extend(rights::check(cluster, &manifest).await);
    findings.extend(roles::check(cluster, &manifest).await);
    findings.extend(workload::check(cluster, env!("CARGO_PKG_VERSION")).await);
    write(&findings, output)?;
    result(&findings)
}

fn count(findings: &[Finding], outcome: Outcome) -> usize {
    findings.iter().filter(|finding| finding.outcome == outcome).count()
}

fn result(findings: &[Finding]) -> Result<(), Error> {
    match (count(findings, Outcome::Wrong), count(findings, Outcome::Unchecked)) {
        (0, 0) => Ok(()),
        (0, unchecked) => Err(Error::Unchecked(unchecked)),
        (wrong, _) => Err(Error::Faults(wrong)),
    }
}

fn write(findings: &[Finding], output: &mut Output<'_>) -> Result<(), Error> {
    if output.json {
        let all: Vec<_> = findings.iter().map(Finding::document).collect();
        return output.document(&json!({
            "version": 1,
            "verb": "doctor",
            "findings": all,
            "wrong": count(findings, Outcome::Wrong),
            "unchecked": count(findings, Outcome::Unchecked),
        }));
    }
    let mut rows = vec![["CHECK", "OBJECT", "RESULT"].map(str::to_owned)];
    rows.extend(findings.iter().map(Finding::cells));
    output.table(&rows)?;
    // What one step mends is told together.
    let mut told = Vec::new();
    for finding in findings.iter().filter(|finding| finding.outcome != Outcome::Good) {
        if told.contains(&&finding.advice) {
            continue;
        }
        told.push(&finding.advice);
        output.line("")?;
        for same in findings.iter().filter(|same| same.advice == finding.advice) {
            output.line(&format!("{} {}: {}", same.check, same.object, same.found))?;
        }
        output.step("  Next:", 8, &finding.advice)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_is_never_good() {
        let good = Finding::good("A", "a", "");
        let unchecked = Finding::unchecked("B", "b", "no right");
        let wrong = Finding::wrong("C", "c", "gone", "apply it");
        let code = |findings: &[Finding]| result(findings).map_or_else(|error| error.code(), |()| "ok");
        assert_eq!(code(std::slice::from_ref(&good)), "ok");
        assert_eq!(code(&[good.clone(), unchecked.clone()]), "Unchecked");
        assert_eq!(code(&[good, unchecked, wrong]), "Faults");
    }
}
