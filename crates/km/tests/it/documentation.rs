//! Two tables of `docs/verification.md` are written by the code that they describe.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use tcs_km::advice;
use tcs_testkit::generated_docs::section;
use tcs_verifier::{Class, Error, Lacking, TcbStatus};

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
            advice::for_status(status),
        )
        .unwrap();
    }
    section("verification.md", "statuses", &table.replace("0X", "0x")).unwrap();
}

/// One refusal of each kind, with the message as a key owner sees it.
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
        Error::TcbStatusRefused {
            whose: "platform",
            status: TcbStatus::OutOfDate,
            advisory_ids: vec!["INTEL-SA-00614".into()],
            lacking: Lacking::Status { accepted: vec!["UpToDate", "SWHardeningNeeded"] },
        },
        Error::TcbDateTooOld { what: "the platform", found: 1_710_288_000, least: 1_752_919_235 },
        Error::EvaluationNumberTooLow { found: 16, least: 17 },
        Error::NoIdentityConfigured,
        Error::IdentityMismatch(text()),
        Error::AttributesRefused { what: "ATTRIBUTES", found: text(), expected: text() },
        Error::TdModuleRefused { found: text(), expected: text() },
        Error::PlatformUnknown { ppid: text(), instance: None, expected: text() },
        Error::FmspcRefused { found: text(), expected: text() },
    ]
}

/// A new refusal needs advice of its own: only these say that the evidence is not genuine.
#[test]
fn every_refusal_has_advice() {
    let general = advice::for_refusal(&Error::SignatureInvalid(String::new()));
    let with_it: Vec<&str> = every_refusal()
        .iter()
        .filter(|error| advice::for_refusal(error) == general)
        .map(Error::code)
        .collect();
    assert_eq!(with_it, ["SignatureInvalid", "QuotingEnclaveRefused", "QuoteRefused"]);
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
            "what the table of statuses says, or the line of the policy file that accepts a missing advisory"
                .into()
        } else {
            advice::for_refusal(&error)
        };
        writeln!(table, "| `{}` | {exit} | {error} | {advice} |", error.code()).unwrap();
        assert!(listed.insert(error.code()));
    }
    // The enum may grow, so the compiler cannot check whether all variants are listed. Its source can be
    // searched.
    let source = include_str!("../../../verifier/src/error.rs");
    let codes = source.split("fn code(").nth(1).unwrap().split("fn class(").next().unwrap();
    let known: BTreeSet<&str> =
        codes.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(listed, known);
    section("verification.md", "refusals", &table).unwrap();
}

/// Q12: collateral from the future means a wrong clock, here or where it was made.
#[test]
fn q12_collateral_from_the_future_names_the_clock() {
    let error = Error::CollateralNotYetValid { what: "the TCB info", from: 1, now: 0 };
    assert!(advice::for_refusal(&error).contains("clock"));
}
