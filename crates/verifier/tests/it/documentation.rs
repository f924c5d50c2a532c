//! Parts of `docs/verification.md` are written by the code that they are about.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use tcs_verifier::{Class, Error, TcbStatus};

/// Tests run in threads, and each rewrites its own part of one file.
static FILE: Mutex<()> = Mutex::new(());

/// Compares a part with its text; with `TCS_GENERATE` in the environment writes it (`cargo xtask generate`).
pub fn section(name: &str, text: &str) {
    let _guard = FILE.lock();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verification.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let from = page.find(&begin).unwrap() + begin.len();
    let until = page.find(&end).unwrap();
    if std::env::var_os("TCS_GENERATE").is_some() {
        std::fs::write(&path, format!("{}\n{text}\n{}", &page[..from], &page[until..])).unwrap();
    } else {
        let found = page[from..until].trim();
        assert_eq!(found, text.trim(), "docs/verification.md, {name}: run cargo xtask generate");
    }
}

#[test]
fn the_table_of_statuses_is_that_of_the_code() {
    let mut table = String::from(
        "| Status | SGX | TDX | Intel's result | Value | Default | km-attest's third line | What to do |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for status in TcbStatus::ALL {
        let tdx_only =
            matches!(status, TcbStatus::TdRelaunchAdvised | TcbStatus::TdRelaunchAdvisedConfigurationNeeded);
        let default = match status {
            TcbStatus::UpToDate => "accepted",
            TcbStatus::SwHardeningNeeded => "refused, until every advisory is accepted",
            TcbStatus::Revoked => "refused, always",
            _ => "refused, until the status is accepted",
        };
        let result = status.result();
        let line = if result.is_terminal() { "none" } else { status.text() };
        writeln!(
            table,
            "| {} | {} | yes | `{}` | {:#06X} | {default} | {line} | {} |",
            status.intel_name(),
            if tdx_only { "no" } else { "yes" },
            result.name(),
            result.value(),
            status.advice(),
        )
        .unwrap();
    }
    section("statuses", &table.replace("0X", "0x"));
}

/// One of each, with the message as a key owner sees it.
fn every_refusal() -> Vec<Error> {
    let text = || "…".to_owned();
    vec![
        Error::QuoteMalformed(text()),
        Error::UntrustedRoot("the certificate chain of the quote"),
        Error::TrustRootUnusable("not a DER certificate"),
        Error::Revoked(text()),
        Error::SignatureInvalid(text()),
        Error::DebugEnclave("enclave"),
        Error::QuotingEnclaveRefused(text()),
        Error::TcbLevelNotSupported(text()),
        Error::TrustDomainRefused(text()),
        Error::QuoteRefused(text()),
        Error::BindingMismatch,
        Error::CollateralMalformed(text()),
        Error::CollateralMismatch(text()),
        Error::CollateralExpired { what: "the TCB info", until: 1_752_919_235, now: 1_752_919_236 },
        Error::CollateralNotYetValid { what: "the TCB info", from: 1_750_329_147, now: 1_750_329_146 },
        Error::TcbStatusRefused { status: TcbStatus::OutOfDate, advisory_ids: vec!["INTEL-SA-00614".into()] },
        Error::TcbDateTooOld { what: "the platform", found: 1_710_288_000, least: 1_752_919_235 },
        Error::EvaluationNumberTooLow { found: 16, least: 17 },
        Error::NoIdentityConfigured,
        Error::IdentityMismatch(text()),
        Error::AttributesRefused { what: "ATTRIBUTES", found: text(), expected: text() },
        Error::TdModuleRefused(text()),
        Error::PlatformUnknown { ppid: text(), instance: None },
        Error::FmspcRefused(text()),
    ]
}

#[test]
fn the_table_of_refusals_is_that_of_the_code() {
    let mut table = String::from("| Code | Exit | Message | What to do |\n|---|---|---|---|\n");
    let mut listed = BTreeSet::new();
    for error in every_refusal() {
        let exit = match error.class() {
            Class::Verification => 3,
            Class::Policy => 4,
            Class::Collateral => 5,
            other => panic!("{other:?}"),
        };
        let advice = if matches!(error, Error::TcbStatusRefused { .. }) {
            "what the table of statuses says"
        } else {
            error.advice()
        };
        writeln!(table, "| `{}` | {exit} | {error} | {advice} |", error.code()).unwrap();
        assert!(listed.insert(error.code()));
    }
    // The enum may grow, so that the compiler does not see whether all are listed; its source does.
    let source = include_str!("../../src/error.rs");
    let codes = source.split("fn code(").nth(1).unwrap().split("fn class(").next().unwrap();
    let known: BTreeSet<&str> =
        codes.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(listed, known);
    section("refusals", &table);
}
