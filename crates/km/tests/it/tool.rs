//! The subcommands of `km-attest` on genuine quotes: output and exit status.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The key in `attest-one.pem` is bound by none of the genuine quotes.
const FOUR_LINES: [&str; 4] = [
    "Public key hash verification successful",
    "SGX_QL_QV_RESULT_OK",
    "Quote is correct, platform contains latest TCB.",
    "Quote verification successful",
];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/data/dcap-qvl").join(name)
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_km-attest"));
    command.args(arguments).env_remove("KM_ATTEST_CONFIG").output().unwrap()
}

/// `appraise` of a genuine quote with its own collateral, any identity.
fn appraise(name: &str, at: &str, more: &[&str]) -> Output {
    let (quote, collateral) = (data(name), data(&format!("{name}_collateral.json")));
    let fixed = ["appraise", "--any-identity", "--quote", quote.to_str().unwrap(), "--collateral"];
    run(&[&fixed, [collateral.to_str().unwrap(), "--at", at].as_slice(), more].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn assert_ends(output: &Output, status: i32, code: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", stderr(output));
    let wanted = if code.is_empty() { String::new() } else { format!("km-attest: error[{code}]: ") };
    let errors: Vec<String> =
        stderr(output).lines().filter(|line| line.contains("error[")).map(ToOwned::to_owned).collect();
    assert_eq!(errors.len(), usize::from(!code.is_empty()), "{errors:?}");
    assert!(errors.iter().all(|line| line.starts_with(&wanted)), "{errors:?}");
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

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
    assert!(stderr(&outdated).contains("No matching TCB level"), "{}", stderr(&outdated));

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
    assert_eq!(appraise("sgx_quote", "2025-06-20", &["--json", "--explain"]).status.code(), Some(2));
}

/// Every member that the program writes stands in the documentation, and the version is the one described
/// there.
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
    let inspected = run(&["inspect", "--json", "--quote", quote.to_str().unwrap()]);
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
    let document = json_of(&run(&["appraise", "--json", "--quote", data("tdx_quote").to_str().unwrap()]));
    assert_eq!(document["accepted"], false);
    assert_eq!(document["error"]["code"], "NoIdentityConfigured");
    assert_eq!(document["error"]["exitStatus"], 4);
    assert_eq!(document["claims"], Value::Null);
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/attest-one.pem");
    let output = run(&["--json", "--pubkey", key, "--quote", data("sgx_quote").to_str().unwrap()]);
    assert_ends(&output, 3, "BindingMismatch");
    let document = json_of(&output);
    assert_eq!(document["binding"], "failed");
    assert_eq!(document["call"], "attest");
    assert_eq!(document["checks"][0]["outcome"], "failed");
    let absent = run(&["appraise", "--json", "--quote", "/nonexistent/quote"]);
    assert_eq!(json_of(&absent)["error"]["code"], "QuoteUnreadable");
}

#[test]
fn inspect_decodes_without_judging() {
    let output = run(&["inspect", "--quote", data("tdx_quote_outdated").to_str().unwrap()]);
    assert_ends(&output, 0, "");
    let text = stdout(&output);
    assert!(text.starts_with("NOT VERIFIED"), "{text}");
    assert!(text.contains("fmspc: 90c06f000000") && text.contains("quoteVersion: 5"), "{text}");
    assert!(text.contains("CN=Intel SGX PCK Certificate") && text.contains("CN=Intel SGX Root CA"), "{text}");
    let document = json_of(&run(&["inspect", "--json", "--quote", data("sgx_quote").to_str().unwrap()]));
    assert_eq!(document["verified"], false);
    assert_eq!(document["workload"]["tee"], "SGX");
    assert_eq!(document["certificates"].as_array().unwrap().len(), 3);
    assert_ends(&run(&["inspect", "--quote", data("LICENSE").to_str().unwrap()]), 3, "QuoteMalformed");
}

/// The policy of a quote accepts this quote, and no other.
#[test]
fn a_new_policy_pins_identity_and_platform() {
    let dir = tempfile::tempdir().unwrap();
    for (name, at) in [("tdx_quote", "2025-06-20"), ("tdx_quote_td15ex", "1792454400")] {
        let policy = dir.path().join(format!("{name}.toml"));
        let quote = data(name);
        let new =
            ["policy", "new", "--from-quote", quote.to_str().unwrap(), "--out", policy.to_str().unwrap()];
        let output = run(&new);
        assert_ends(&output, 0, "");
        assert!(stderr(&output).contains("compare every value with the release's published ones"));
        let text = std::fs::read_to_string(&policy).unwrap();
        assert!(
            text.contains("NOT verified") && text.contains("published") && text.contains("mr_td"),
            "{text}"
        );
        // An existing file is never overwritten.
        assert_ends(&run(&new), 1, "PolicyUnwritable");
        assert_eq!(std::fs::read_to_string(&policy).unwrap(), text);

        let appraise = |quote: &str, at: &str| {
            let (path, collateral) = (data(quote), data(&format!("{quote}_collateral.json")));
            run(&[
                "appraise",
                "--policy",
                policy.to_str().unwrap(),
                "--quote",
                path.to_str().unwrap(),
                "--collateral",
                collateral.to_str().unwrap(),
                "--at",
                at,
            ])
        };
        assert_ends(&appraise(name, at), 0, "");
        let (other, at) = if name == "tdx_quote" {
            ("tdx_quote_td15ex", "1792454400")
        } else {
            ("tdx_quote", "2025-06-20")
        };
        assert_ends(&appraise(other, at), 4, "IdentityMismatch");
    }
    let printed = run(&["policy", "new", "--from-quote", data("sgx_quote").to_str().unwrap()]);
    let text = stdout(&printed);
    assert!(text.contains("\nmrenclave = \"33d8736d") && text.contains("\nppids = [\"d04ec06d"), "{text}");
    assert!(text.contains("\nfmspcs = [\"00a067110000\"]"), "{text}");
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

#[test]
fn completions_and_manual_name_every_option() {
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&run(&["completions", shell]));
        for word in ["appraise", "inspect", "pccs-url", "explain", "any-identity"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let manual = stdout(&run(&["man"])).replace('\\', "");
    for word in
        ["km-attest", "--pubkey", "--nonce", "--explain", "appraise", "--from-quote", "Exit status: 0"]
    {
        assert!(manual.contains(word), "{word}");
    }
}

#[test]
fn options_that_do_not_fit_together_are_usage() {
    let quote = data("sgx_quote");
    let quote = quote.to_str().unwrap();
    for arguments in [
        [].as_slice(),
        &["--quote", quote],
        &["--pubkey", "key", "--quote", quote, "--nonce", "00"],
        &["--pubkey", "key", "--quote", quote, "inspect", "--quote", quote],
        &["appraise"],
        &["appraise", "--quote", quote, "--pubkey", "key"],
        &["appraise", "--quote", quote, "--collateral", "a", "--pccs-url", "b"],
        &["policy"],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// A genuine quote's collateral from a PCCS, and as a bundle for a machine without a network.
#[test]
fn collateral_is_fetched_for_a_quote_and_kept_for_later() {
    let text = std::fs::read_to_string(data("sgx_quote_collateral.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let member = |name: &str| json[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| hex::decode(member(name)).unwrap();
    let pccs = tcs_testkit::Pccs::http(tcs_sgx_sim::Collateral {
        tcb_info: member("tcb_info"),
        tcb_info_signature: bytes("tcb_info_signature"),
        qe_identity: member("qe_identity"),
        qe_identity_signature: bytes("qe_identity_signature"),
        root_ca_crl: bytes("root_ca_crl"),
        pck_crl: bytes("pck_crl"),
        pck_crl_issuer_chain: member("pck_crl_issuer_chain"),
        tcb_info_issuer_chain: member("tcb_info_issuer_chain"),
        qe_identity_issuer_chain: member("qe_identity_issuer_chain"),
    })
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (quote, bundle) = (data("sgx_quote"), dir.path().join("bundle.json"));
    let (quote, bundle) = (quote.to_str().unwrap(), bundle.to_str().unwrap());
    let url = pccs.url();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_km-attest"));
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"] {
            command.env_remove(proxy);
        }
        command.args(arguments).env_remove("KM_ATTEST_CONFIG").output().unwrap()
    };
    let online =
        run(&["appraise", "--any-identity", "--quote", quote, "--pccs-url", &url, "--at", "2025-06-20"]);
    assert_ends(&online, 4, "TcbStatusRefused");
    let fetched = run(&["collateral", "fetch", "--quote", quote, "--pccs-url", &url, "--out", bundle]);
    assert_ends(&fetched, 0, "");
    assert!(stdout(&fetched).contains("not verified"), "{}", stdout(&fetched));
    drop(pccs);
    let offline =
        ["appraise", "--any-identity", "--quote", quote, "--collateral", bundle, "--at", "2025-06-20"];
    let offline = run(&[offline.as_slice(), &["--json"]].concat());
    assert_ends(&offline, 4, "TcbStatusRefused");
    assert_eq!(json_of(&offline)["claims"]["status"], "ConfigurationAndSWHardeningNeeded");

    let policy = dir.path().join("policy.toml");
    let settings = format!("[collateral]\npccs_url = \"{url}\"\nattempts = 1\nproxy = \"none\"\n");
    std::fs::write(&policy, settings).unwrap();
    let fetch =
        ["collateral", "fetch", "--quote", quote, "--policy", policy.to_str().unwrap(), "--out", bundle];
    let gone = run(&fetch);
    assert_ends(&gone, 5, "CollateralConnect");
    assert!(stderr(&gone).contains(&url) && stderr(&gone).contains("without a network"), "{}", stderr(&gone));
    assert_ends(
        &run(&["collateral", "fetch", "--quote", quote, "--out", bundle]),
        5,
        "CollateralNotConfigured",
    );
    let plain =
        ["collateral", "fetch", "--quote", quote, "--pccs-url", "http://pccs.example", "--out", bundle];
    assert_ends(&run(&plain), 2, "CollateralSettings");
}

/// A full disk is an error with a status, not a panic.
#[test]
fn a_result_that_cannot_be_written_is_told() {
    for arguments in [["completions", "bash"].as_slice(), &["man"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_km-attest"));
        let output = command.args(arguments).stdout(full).output().unwrap();
        assert_ends(&output, 1, "OutputFailed");
    }
}
