//! `km-attest appraise` on genuine quotes: verdicts, and every form of output.

use crate::support::programs::{appraise, assert_ends, data, json_of, run_km_attest, stderr, stdout};
use serde_json::Value;
use std::path::Path;

/// No genuine quote binds the key in `attest-one.pem`.
const FOUR_LINES: [&str; 4] = [
    "Public key hash verification successful",
    "SGX_QL_QV_RESULT_OK",
    "Quote is correct, platform contains latest TCB.",
    "Quote verification successful",
];

/// Status, advisories, platform and validity of the four genuine quotes, through the program.
#[test]
fn genuine_quotes_give_their_known_results() {
    let sgx = appraise("sgx_quote", "2025-06-20T00:00:00Z", &["--json"]);
    assert_ends(&sgx, 4, "TcbStatusRefused");
    let sgx = json_of(&sgx);
    assert_eq!(sgx["claims"]["status"], "ConfigurationAndSWHardeningNeeded");
    assert_eq!(sgx["claims"]["advisories"], serde_json::json!(["INTEL-SA-00289", "INTEL-SA-00615"]));
    assert_eq!(sgx["claims"]["platform"]["fmspc"], "00a067110000");
    let report_data = hex::decode(sgx["claims"]["reportData"].as_str().unwrap()).unwrap();
    assert!(report_data.starts_with(b"Hello, world!"));
    assert_eq!(sgx["error"]["code"], "TcbStatusRefused");

    for (name, at) in [("tdx_quote", "2025-06-20"), ("tdx_quote_td15ex", "1792454400")] {
        let tdx = appraise(name, at, &["--json"]);
        assert_ends(&tdx, 0, "");
        let tdx = json_of(&tdx);
        assert_eq!(tdx["claims"]["status"], "UpToDate", "{name}");
        assert_eq!(tdx["claims"]["platform"]["fmspc"], "b0c06f000000", "{name}");
        assert_eq!(tdx["claims"]["advisories"], serde_json::json!([]), "{name}");
    }
    let outdated = appraise("tdx_quote_outdated", "2026-03-01", &[]);
    assert_ends(&outdated, 3, "TcbLevelNotSupported");
    assert!(stderr(&outdated).contains("the platform has CPUSVN "), "{}", stderr(&outdated));

    for (name, before, after) in [
        ("sgx_quote", "2025-06-19T10:56:10Z", "2025-07-19T10:01:19Z"),
        ("tdx_quote", "2025-06-19T10:32:26Z", "2025-07-19T10:00:36Z"),
        ("tdx_quote_outdated", "2026-02-01", "2026-04-01"),
        ("tdx_quote_td15ex", "2026-10-08T00:28:25Z", "2026-11-06T23:45:12Z"),
    ] {
        assert_ends(&appraise(name, before, &[]), 5, "CollateralNotYetValid");
        assert_ends(&appraise(name, after, &[]), 5, "CollateralExpired");
    }
}

#[test]
fn appraise_never_prints_one_of_the_four_lines() {
    for more in [[].as_slice(), &["--explain"], &["--json"]] {
        let output = appraise("tdx_quote", "2025-06-20", more);
        assert_ends(&output, 0, "");
        let text = stdout(&output);
        for line in FOUR_LINES {
            assert!(!text.lines().any(|found| found.trim() == line), "{line}");
        }
        assert!(text.contains("not checked"), "{text}");
    }
    let text = stdout(&appraise("tdx_quote", "2025-06-20", &[]));
    assert!(text.starts_with("binding: not checked"), "{text}");
    assert!(text.contains("\nresult: SGX_QL_QV_RESULT_OK (0x0000, not terminal)\n"), "{text}");
    assert!(text.ends_with("\nverdict: accepted\n"), "{text}");
    assert!(stdout(&appraise("sgx_quote", "2025-06-20", &[])).ends_with("\nverdict: refused\n"));
}

#[test]
fn another_time_than_now_is_said_so() {
    let output = appraise("tdx_quote", "2025-06-20", &[]);
    assert!(stderr(&output).contains("appraised at 2025-06-20T00:00:00Z, not now"), "{}", stderr(&output));
    assert_eq!(appraise("tdx_quote", "yesterday", &[]).status.code(), Some(2));
}

#[test]
fn explain_names_every_check_with_what_was_expected_and_found() {
    let output = appraise("sgx_quote", "2025-06-20", &["--explain"]);
    let text = stdout(&output);
    let row = |check: &str| {
        let mut lines = text.lines().skip_while(|line| line.get(10..32).map(str::trim) != Some(check));
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default())
    };
    let (head, found) = row("tcb-status");
    assert!(head.starts_with("failed ") && head.contains("UpToDate or SWHardeningNeeded"), "{head}");
    assert!(found.contains("ConfigurationAndSWHardeningNeeded, advisories: INTEL-SA-00289"), "{found}");
    assert!(row("signatures").0.starts_with("passed "));
    assert!(row("binding").0.starts_with("not made "));
    assert!(row("roll-back").0.starts_with("not made "));
    let json = json_of(&appraise("sgx_quote", "2025-06-20", &["--json"]));
    for check in json["checks"].as_array().unwrap() {
        let (head, _) = row(check["id"].as_str().unwrap());
        assert!(head.starts_with(check["outcome"].as_str().unwrap()), "{check}: {head}");
    }
}

/// The documentation describes every member that the program writes, and the current version.
#[test]
fn the_json_document_is_the_documented_one() {
    fn names(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    into.push(name.clone());
                    names(member, into);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, into)),
            _ => {}
        }
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/km-attest.md"))
        .unwrap();
    let quote = data("tdx_quote");
    let inspected = run_km_attest(&["inspect", "--json", "--quote", quote.to_str().unwrap()]);
    for output in [
        appraise("sgx_quote", "2025-06-20", &["--json"]),
        appraise("tdx_quote", "2025-06-20", &["--json"]),
        appraise("tdx_quote", "2026-06-20", &["--json"]),
        inspected,
    ] {
        let document = json_of(&output);
        assert_eq!(document["version"], 1);
        let mut found = Vec::new();
        names(&document, &mut found);
        for name in found {
            assert!(page.contains(&format!("`{name}`")), "docs/km-attest.md does not name {name}");
        }
    }
}

#[test]
fn json_is_written_for_refusals_of_every_kind() {
    let document =
        json_of(&run_km_attest(&["appraise", "--json", "--quote", data("tdx_quote").to_str().unwrap()]));
    assert_eq!(document["accepted"], false);
    assert_eq!(document["error"]["code"], "NoIdentityConfigured");
    assert_eq!(document["error"]["exitStatus"], 4);
    assert_eq!(document["claims"], Value::Null);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/attest-one.pem");
    let output = run_km_attest(&["--json", "--pubkey", key, "--quote", data("sgx_quote").to_str().unwrap()]);
    assert_ends(&output, 3, "BindingMismatch");
    let document = json_of(&output);
    assert_eq!(document["binding"], "failed");
    assert_eq!(document["call"], "attest");
    assert_eq!(document["checks"][0]["outcome"], "failed");
    let absent = run_km_attest(&["appraise", "--json", "--quote", "/nonexistent/quote"]);
    assert_eq!(json_of(&absent)["error"]["code"], "QuoteUnreadable");
}

#[test]
fn the_platform_is_a_refusal_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("policy.toml");
    std::fs::write(&policy, format!("[platform]\nppids = [\"{}\"]\n", "00".repeat(16))).unwrap();
    let output = appraise("tdx_quote", "2025-06-20", &["--policy", policy.to_str().unwrap()]);
    assert_ends(&output, 4, "PlatformUnknown");
    assert!(stderr(&output).contains("811dca2a26b952e85bb6448b097ba4fd"), "{}", stderr(&output));
}
