//! The report of an appraisal: lines, a table of checks, or one JSON document.

mod fields;

pub use fields::{Fields, claims, enclave, platform, workload};

use super::cli::{self, AppraisalOptions};
use super::error::Error;
use crate::appraisal::{Appraisal, Binding, Instant};
use crate::io::{is_printable, printable};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use tcs_verifier::{Check, Outcome, QvResult, TcbStatus, Verdict};

/// Version of the JSON document. It is increased when a member is removed or changes its meaning, not when
/// one is added.
const JSON_VERSION: u32 = 1;

/// Everything that is known at the end of a run, even if it ended early.
pub struct Report {
    /// `attest` or `appraise`.
    call: &'static str,
    /// SHA-256 of the public key that was read, hex.
    pub public_key: Option<String>,
    /// What the appraisal found, if there was one.
    pub found: Option<Appraisal>,
    /// The policy trusts a simulated root.
    pub simulated: bool,
    any_identity: bool,
    appraised_at: i64,
}

impl Report {
    pub fn new(call: &'static str, options: &AppraisalOptions, now: i64) -> Self {
        let at = options.at.map(|at| i64::try_from(at.0).unwrap_or(i64::MAX));
        Self {
            call,
            public_key: None,
            found: None,
            simulated: false,
            any_identity: options.any_identity,
            appraised_at: at.unwrap_or(now),
        }
    }

    /// The time of the appraisal as text.
    fn time(&self) -> String {
        u64::try_from(self.appraised_at)
            .map_or_else(|_| self.appraised_at.to_string(), |seconds| Instant(seconds).to_string())
    }

    /// The platform's state, if the quote is genuine.
    pub fn status(&self) -> Option<TcbStatus> {
        self.found.as_ref().and_then(Appraisal::status)
    }

    /// Whether the quote binds the public key.
    pub fn binding(&self) -> &Binding {
        self.found.as_ref().map_or(&Binding::NotChecked, |found| &found.binding)
    }

    fn verdict(&self) -> Option<&Verdict> {
        self.found.as_ref()?.verdict.as_ref()
    }

    /// Binding, verification and policy, roll-back, in the order in which they are checked.
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.binding_check()];
        if let Some(verdict) = self.verdict() {
            checks.extend_from_slice(verdict.checks());
        }
        checks.push(
            self.found.as_ref().map_or_else(Appraisal::rollback_not_checked, |found| found.rollback.clone()),
        );
        checks
    }

    fn binding_check(&self) -> Check {
        let (outcome, found) = match self.binding() {
            Binding::NotChecked => (Outcome::NotMade, String::new()),
            Binding::Passed => (Outcome::Passed, "it is".into()),
            Binding::Failed(error) => (Outcome::Failed, error.to_string()),
        };
        let expected = "report_data is that of the public key and the nonce".into();
        Check { id: "binding", expected, found: found.into(), outcome }
    }

    fn binding_name(&self) -> &'static str {
        match self.binding() {
            Binding::NotChecked => "not checked",
            Binding::Passed => "verified",
            Binding::Failed(_) => "failed",
        }
    }

    fn qv_result(&self) -> Option<QvResult> {
        self.verdict().and_then(Verdict::qv_result)
    }

    /// One JSON document (`docs/km-attest.md`).
    pub fn write_json(&self, error: Option<&Error>, out: &mut dyn Write) -> io::Result<()> {
        let check = |check: &Check| {
            json!({
                "id": check.id,
                "outcome": check.outcome.name(),
                "expected": check.expected,
                "found": check.found,
            })
        };
        let document = json!({
            "version": JSON_VERSION,
            "call": self.call,
            "accepted": error.is_none(),
            "simulated": self.simulated,
            "anyIdentity": self.any_identity,
            "time": self.time(),
            "binding": self.binding_name(),
            "publicKeySha256": self.public_key.as_ref().filter(|_| error.is_none() && *self.binding() == Binding::Passed),
            "publicKeyReadSha256": self.public_key,
            "collateral": self.found.as_ref().and_then(|found| found.collateral.as_ref()),
            "qvResult": self.qv_result().map(|result| json!({
                "name": result.name(),
                "value": result.value(),
                "terminal": result.is_terminal(),
            })),
            "claims": self.verdict().and_then(Verdict::claims).map(|found| claims(found).json()),
            "checks": self.checks().iter().map(check).collect::<Vec<_>>(),
            "error": error.map(|error| json!({
                "code": error.code(),
                "message": error.to_string(),
                "advice": error.advice(),
                "exitStatus": error.exit().status(),
            })),
        });
        write_document(&document, out)
    }

    /// Two lines for each check: outcome, name and what was expected; below that what was found.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{:<10}{:<22}expected", "outcome", "check")?;
        writeln!(out, "{:<10}{:<22}found", "", "")?;
        for check in self.checks() {
            writeln!(out, "{:<10}{:<22}{}", check.outcome.name(), check.id, printable(&check.expected))?;
            writeln!(out, "{:<10}{:<22}{}", "", "", printable(&check.found))?;
        }
        Ok(())
    }

    /// The output of `appraise`, which never contains one of the four lines of the call without a subcommand.
    pub fn write_appraisal(&self, accepted: bool, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "binding: not checked (no public key was given; this says nothing about any key)")?;
        if let Some(result) = self.qv_result() {
            let kind = if result.is_terminal() { "terminal" } else { "not terminal" };
            writeln!(out, "result: {} ({:#06x}, {kind})", result.name(), result.value())?;
        }
        if let Some(found) = self.verdict().and_then(Verdict::claims) {
            claims(found).write(out)?;
        }
        if !accepted && self.qv_result().is_some_and(|result| !result.is_terminal()) {
            writeln!(out, "refusal: by this tool or your policy; Intel's library answers the result above")?;
        }
        writeln!(out, "verdict: {}", if accepted { "accepted" } else { "refused" })
    }
}

/// The manual page of the command and of each of its subcommands, one after the other.
pub fn manual(out: &mut dyn Write) -> io::Result<()> {
    fn pages(command: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
        clap_mangen::Man::new(command.clone()).render(&mut *out)?;
        let subcommands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        subcommands.into_iter().try_for_each(|sub| pages(sub, out))
    }
    let mut command = cli::command();
    // Gives every subcommand its full name.
    command.build();
    pages(&command, out)
}

pub fn write_document(document: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escaped(&format!("{document:#}")))
}

/// JSON with control and formatting characters as `\uXXXX` (RFC 8259, section 7), so that a terminal shows
/// them and does not obey. The value is the same: such characters are only inside of strings.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_hostile_quote_cannot_command_a_terminal() {
        let hostile = "a\u{9b}2J\u{7f}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0001}\u{1b}[31m\u{85}\n\"é漢😀\\";
        let document = json!({ hostile: [hostile] });
        let mut out = Vec::new();
        write_document(&document, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(|c| c == '\n' || is_printable(c)), "{text:?}");
        assert!(text.contains("\\u009b2J\\u007f\\u202e\\u2066\\u200b\\ufeff\\udb40\\udc01"), "{text}");
        assert!(text.contains("é漢😀"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
