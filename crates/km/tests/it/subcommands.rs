//! The other subcommands of `km-attest` on genuine quotes: output and exit status.

use crate::support::programs::{assert_ends, data, json_of, km_attest, run_km_attest, stderr, stdout};
use serde_json::Value;

#[test]
fn inspect_decodes_without_verifying() {
    let output = run_km_attest(&["inspect", "--quote", data("tdx_quote_outdated").to_str().unwrap()]);
    assert_ends(&output, 0, "");
    let text = stdout(&output);
    assert!(text.starts_with("NOT VERIFIED"), "{text}");
    assert!(text.contains("fmspc: 90c06f000000") && text.contains("quoteVersion: 5"), "{text}");
    assert!(text.contains("CN=Intel SGX PCK Certificate") && text.contains("CN=Intel SGX Root CA"), "{text}");
    let document =
        json_of(&run_km_attest(&["inspect", "--json", "--quote", data("sgx_quote").to_str().unwrap()]));
    assert_eq!(document["verified"], false);
    assert_eq!(document["workload"]["tee"], "SGX");
    assert_eq!(document["certificates"].as_array().unwrap().len(), 3);
    assert_ends(
        &run_km_attest(&["inspect", "--quote", data("LICENSE").to_str().unwrap()]),
        3,
        "QuoteMalformed",
    );
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
        let output = run_km_attest(&new);
        assert_ends(&output, 0, "");
        assert!(stderr(&output).contains("compare every value with the published values of the release"));
        let text = std::fs::read_to_string(&policy).unwrap();
        assert!(
            text.contains("NOT verified") && text.contains("published") && text.contains("mr_td"),
            "{text}"
        );
        // An existing file is never overwritten.
        assert_ends(&run_km_attest(&new), 1, "PolicyUnwritable");
        assert_eq!(std::fs::read_to_string(&policy).unwrap(), text);

        let appraise = |quote: &str, at: &str| {
            let (path, collateral) = (data(quote), data(&format!("{quote}_collateral.json")));
            run_km_attest(&[
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
    let printed = run_km_attest(&["policy", "new", "--from-quote", data("sgx_quote").to_str().unwrap()]);
    let text = stdout(&printed);
    assert!(text.contains("\nmrenclave = \"33d8736d") && text.contains("\nppids = [\"d04ec06d"), "{text}");
    assert!(text.contains("\nfmspcs = [\"00a067110000\"]"), "{text}");
}

#[test]
fn completions_and_manual_name_every_option() {
    for shell in ["bash", "zsh", "fish"] {
        let text = stdout(&run_km_attest(&["completions", shell]));
        for word in ["appraise", "inspect", "pccs-url", "explain", "any-identity"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let manual = stdout(&run_km_attest(&["man"])).replace('\\', "");
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
        assert_eq!(run_km_attest(arguments).status.code(), Some(2), "{arguments:?}");
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
        let mut command = km_attest();
        for proxy in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"] {
            command.env_remove(proxy);
        }
        command.args(arguments).output().unwrap()
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
        let output = km_attest().args(arguments).stdout(full).output().unwrap();
        assert_ends(&output, 1, "OutputFailed");
    }
}
