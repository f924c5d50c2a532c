//! What `km-attest` says about quotes that people give it, in every build.

use crate::support::programs::{
    appraisal, appraise, assert_ends, data, json_of, run_km_attest, stderr, stdout,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;
use tcs_sgx_sim::{Enclave, Platform, Td, TdVersion};
use tempfile::TempDir;

const NOW: i64 = 1_795_000_000;
const TD_PRODUCTION: u64 = 1 << 28;

/// A directory with files for the program.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join("quote");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn platform(&self) -> Platform {
        Platform::create(&self.0.path().join("platform"), NOW).unwrap()
    }
}

fn inspect(path: &std::path::Path, more: &[&str]) -> std::process::Output {
    run_km_attest(&[&["inspect", "--quote", path.to_str().unwrap()], more].concat())
}

/// Who refuses: this tool or the policy, and not Intel's library, whose result is not terminal.
#[test]
fn km_d1_a_refusal_of_ours_is_said_to_be_ours() {
    let ours = "\nrefusal: by this tool or your policy; Intel's library answers the result above\nverdict: refused\n";
    for (name, at, is_ours) in [
        ("sgx_quote", "2025-06-20", true),
        ("tdx_quote", "2025-06-20", false),
        ("tdx_quote", "2030-01-01", false),
        ("tdx_quote_outdated", "2026-03-01", false),
    ] {
        let text = stdout(&appraise(name, at, &[]));
        assert_eq!(text.ends_with(ours), is_ours, "{name}: {text}");
        let document = json_of(&appraise(name, at, &["--json"]));
        let terminal = &document["qvResult"]["terminal"];
        assert_eq!(document["accepted"] == false && terminal == false, is_ours, "{document:#}");
    }
}

#[test]
fn km_u4_u10_inspect_shows_service_tds_and_names_bits() {
    let folder = Folder::new();
    let platform = folder.platform();
    let td = Td {
        version: TdVersion::V5Td15,
        mr_service_td: [0xab; 48],
        tee_tcb_svn2: [5; 16],
        td_attributes: TD_PRODUCTION | 1 << 29,
        xfam: 0x0602_00e7,
        ..Td::default()
    };
    let path = folder.file(platform.td_quote(&td).unwrap());
    let text = stdout(&inspect(&path, &[]));
    for line in [
        format!("  mrServiceTd: {}", "ab".repeat(48)),
        format!("  teeTcbSvn2: {}", "05".repeat(16)),
        "  tdAttributesNames: SEPT_VE_DISABLE, MIGRATABLE".into(),
        "  xfamNames: X87, SSE, AVX, OPMASK, ZMM_HI256, HI16_ZMM, AMX_TILECFG, bit 25, bit 26".into(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let document = json_of(&inspect(&path, &["--json"]));
    assert_eq!(document["workload"]["tdAttributesNames"][1], "MIGRATABLE");
    let enclave = Enclave { flags: 0x87, xfrm: 0x03, miscselect: 2, ..Enclave::default() };
    let text = stdout(&inspect(&folder.file(platform.sgx_quote(&enclave).unwrap()), &[]));
    assert!(text.contains("attributesNames: INIT, DEBUG, MODE64BIT, KSS, XFRM.X87, XFRM.SSE\n"), "{text}");
    assert!(text.contains("miscSelectNames: CPINFO\n"), "{text}");
}

#[test]
fn km_u5_texts_that_are_not_base64_of_a_quote_are_named() {
    let folder = Folder::new();
    for name in ["sgx_quote", "tdx_quote"] {
        let raw = std::fs::read(data(name)).unwrap();
        let hex = hex::encode(&raw);
        let once = STANDARD.encode(&raw);
        let lines = |text: &str| {
            text.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line) + "\n").collect::<String>()
        };
        let pairs = |separator: &str| {
            raw.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
        };
        for (text, named) in [
            (hex.clone(), "it is hex"),
            (hex.to_uppercase(), "it is hex"),
            (format!("0x{hex}\n"), "it is hex"),
            (lines(&hex), "it is hex"),
            (pairs(":"), "it is hex"),
            (pairs(" "), "it is hex"),
            (STANDARD.encode(&once), "base64 of base64"),
            (lines(&STANDARD.encode(lines(&once))), "base64 of base64"),
            (STANDARD.encode(once.clone() + "\n"), "base64 of base64"),
            (STANDARD.encode(&hex), "base64 of hex"),
            ("quote".into(), "neither base64 nor raw"),
            (format!("{once}!"), "neither base64 nor raw"),
        ] {
            // A file may have twice the length of the longest quote.
            assert!(text.len() <= 32 * 1024, "{named}: {}", text.len());
            let output = inspect(&folder.file(text), &[]);
            assert_ends(&output, 3, "QuoteMalformed");
            assert!(stderr(&output).contains(named), "{named}: {}", stderr(&output));
            assert!(!stderr(&output).contains("another version"), "{}", stderr(&output));
        }
        for good in [once.clone().into_bytes(), lines(&once).into_bytes(), raw] {
            assert_ends(&inspect(&folder.file(good), &[]), 0, "");
        }
    }
    // A file that is longer than the longest quote in base64 can be is not read.
    let longest = 2 * tcs_evidence::MAX_QUOTE;
    for (length, status, code) in [(longest, 3, "QuoteMalformed"), (longest + 1, 1, "QuoteUnreadable")] {
        assert_ends(&inspect(&folder.file("x".repeat(length)), &[]), status, code);
    }
}

#[test]
fn km_u6_bytes_behind_a_quote_are_counted_and_the_quote_is_shown() {
    let folder = Folder::new();
    for name in ["sgx_quote", "tdx_quote_outdated"] {
        let raw = std::fs::read(data(name)).unwrap();
        let plain = json_of(&inspect(&folder.file(&raw), &["--json"]));
        assert_eq!(plain["trailingBytes"], 0);
        for behind in [&b"\n"[..], b"x", b"more\n", &[0, 0, 1], &[7; 300]] {
            let path = folder.file([&raw[..], behind].concat());
            let text = stdout(&inspect(&path, &[]));
            let mut document = json_of(&inspect(&path, &["--json"]));
            let said = format!(
                "{} bytes follow the quote; verification refuses a quote with trailing bytes\n",
                document["trailingBytes"]
            );
            assert!(text.contains(&said), "{text}");
            // Zeros behind the genuine TDX quote precede these bytes.
            assert!(document["trailingBytes"].as_u64().unwrap() >= u64::try_from(behind.len()).unwrap());
            document["trailingBytes"] = 0.into();
            assert_eq!(document, plain);
            let refused = run_km_attest(&["appraise", "--any-identity", "--quote", path.to_str().unwrap()]);
            assert_ends(&refused, 3, "QuoteMalformed");
            assert!(
                stderr(&refused).contains("bytes follow the quote; km-attest inspect"),
                "{}",
                stderr(&refused)
            );
        }
        assert_ends(&inspect(&folder.file(&raw[..raw.len() / 2]), &[]), 3, "QuoteMalformed");
    }
}

#[test]
fn km_u7_a_new_policy_warns_of_what_no_policy_accepts() {
    let folder = Folder::new();
    let platform = folder.platform();
    let warnings = |td: &Td| {
        let path = folder.file(platform.td_quote(td).unwrap());
        let output = run_km_attest(&["policy", "new", "--from-quote", path.to_str().unwrap()]);
        assert_ends(&output, 0, "");
        stderr(&output)
    };
    let good = Td { td_attributes: TD_PRODUCTION, ..Td::default() };
    assert!(!warnings(&good).contains("no policy accepts"), "{}", warnings(&good));
    let td15 = Td { version: TdVersion::V5Td15, ..good.clone() };
    for (td, named) in [
        (Td { mr_service_td: [1; 48], ..td15 }, "service TD"),
        (Td { td_attributes: 0, ..good.clone() }, "SEPT_VE_DISABLE"),
        (Td { td_attributes: TD_PRODUCTION | 1 << 29, ..good.clone() }, "MIGRATABLE"),
        (Td { td_attributes: TD_PRODUCTION | 1 << 17, ..good.clone() }, "SERVTD_EXT"),
        (Td { td_attributes: TD_PRODUCTION | 1 << 9, ..good.clone() }, "reserved bits"),
        (Td { td_attributes: TD_PRODUCTION | 1, ..good.clone() }, "the trust domain is in debug mode"),
        (
            Td { td_attributes: TD_PRODUCTION | 1 << 4, ..good.clone() },
            "TDATTRIBUTES.TUD: HGS_PLUS_PROF, expected",
        ),
        (
            Td { td_attributes: TD_PRODUCTION | 1 << 5, ..good.clone() },
            "TDATTRIBUTES.TUD: PERF_PROF, expected",
        ),
        (Td { td_attributes: TD_PRODUCTION | 1 << 7, ..good.clone() }, "TDATTRIBUTES.TUD: bit 7, expected"),
        (Td { td_attributes: TD_PRODUCTION | 0x21, ..good }, "TDATTRIBUTES.TUD: DEBUG, PERF_PROF, expected"),
    ] {
        let text = warnings(&td);
        assert!(text.contains("no policy accepts") && text.contains(named), "{named}: {text}");
        // Profiling is no debug mode, and a simulated root changes nothing about it.
        let is_debug = td.td_attributes & 0xff == 1;
        assert_eq!(text.contains("debug mode"), is_debug, "{text}");
        assert_eq!(text.contains("except under a simulated root"), is_debug, "{text}");
        assert!(!text.contains("enclave"), "{text}");
    }
    let path = folder.file(platform.sgx_quote(&Enclave { flags: 0x07, ..Enclave::default() }).unwrap());
    let text = stderr(&run_km_attest(&["policy", "new", "--from-quote", path.to_str().unwrap()]));
    assert!(text.contains("except under a simulated root: the enclave is in debug mode"), "{text}");
}

#[test]
fn km_u8_a_document_and_a_table_go_together() {
    for (name, at) in [("sgx_quote", "2025-06-20"), ("tdx_quote", "2025-06-20"), ("tdx_quote", "2030-01-01")]
    {
        let both = appraise(name, at, &["--json", "--explain"]);
        let document = json_of(&both);
        assert_eq!(document, json_of(&appraise(name, at, &["--json"])));
        let table = stderr(&both);
        for check in document["checks"].as_array().unwrap() {
            let (id, outcome) = (check["id"].as_str().unwrap(), check["outcome"].as_str().unwrap());
            assert!(table.contains(&format!("{outcome:<10}{id:<22}")), "{id}: {table}");
        }
        // Messages that cannot be written change nothing.
        let mut command = appraisal(name, at, &["--json", "--explain"]);
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let unread = command.stderr(full).output().unwrap();
        assert_eq!((unread.status.code(), json_of(&unread)), (both.status.code(), document));
    }
}

#[test]
fn km_u9_without_a_key_no_key_is_warned_of() {
    let output = appraise("tdx_quote", "2025-06-20", &[]);
    let warned = stderr(&output);
    assert!(warned.contains("every enclave is accepted") && !warned.contains("the key"), "{warned}");
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/attest-one.pem");
    let quote = data("tdx_quote");
    let with_key = run_km_attest(&["--any-identity", "--pubkey", key, "--quote", quote.to_str().unwrap()]);
    assert!(stderr(&with_key).contains("the key can belong to anybody's program"), "{}", stderr(&with_key));
}

/// What the settings were read with is most useful if there is no collateral.
#[test]
fn warnings_of_the_settings_are_written_also_without_collateral() {
    let folder = Folder::new();
    let (quote, out) = (data("tdx_quote"), folder.0.path().join("out"));
    let (quote, out, policy) =
        (quote.to_str().unwrap(), out.to_str().unwrap(), folder.0.path().join("policy.toml"));
    let settings = "[collateral]\nqcnl = \"qcnl.conf\"\nproxy = \"none\"\nattempts = 1\n";
    std::fs::write(&policy, settings).unwrap();
    let policy = policy.to_str().unwrap();
    for (address, status, code) in
        [("http://127.0.0.1:1", 5, "CollateralConnect"), ("ftp://pccs", 2, "CollateralSettings")]
    {
        let conf = format!("PCCS_URL={address}\nend of file\n");
        std::fs::write(folder.0.path().join("qcnl.conf"), conf).unwrap();
        for call in [
            &["collateral", "fetch", "--quote", quote, "--out", out][..],
            &["appraise", "--any-identity", "--quote", quote],
        ] {
            let output = run_km_attest(&[call, &["--policy", policy]].concat());
            assert_ends(&output, status, code);
            assert!(stderr(&output).contains("warning: line 2 of "), "{call:?}: {}", stderr(&output));
        }
    }
}

/// `km-wrap` refuses such appraisals, so it must not get a file that was written by one.
#[test]
fn a_key_that_any_enclave_may_own_is_not_written() {
    let folder = Folder::new();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/attest-one.pem");
    let (quote, out) = (data("tdx_quote"), folder.0.path().join("verified.pem"));
    let fixed = ["--pubkey", key, "--quote", quote.to_str().unwrap(), "--out-pubkey", out.to_str().unwrap()];
    for more in [&["--any-identity"][..], &["--at", "2025-06-20"], &["--at=1750377600", "--any-identity"]] {
        let output = run_km_attest(&[&fixed[..], more].concat());
        assert_ends(&output, 2, "Usage");
        assert!(stderr(&output).contains("--out-pubkey does not go with"), "{}", stderr(&output));
        assert!(output.stdout.is_empty() && !out.exists());
    }
    assert_ends(&run_km_attest(&fixed), 3, "BindingMismatch");
}
