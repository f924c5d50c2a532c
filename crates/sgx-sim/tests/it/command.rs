//! The program.

use crate::appraisal::AwsLc;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy};
use std::path::Path;
use std::process::{Command, Output};
use tcs_sgx_sim::{Names, PckCa, Platform};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcs-sgx-sim")).args(arguments).output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn appraise(dir: &Path, quote: &[u8], collateral: &str) -> Result<QuoteClaims, String> {
    #[expect(clippy::disallowed_methods, reason = "the program reads the clock, so the verifier must, too")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let root = std::fs::read(dir.join("public/root.der")).unwrap();
    let collateral: QuoteCollateralV3 = serde_json::from_str(collateral).unwrap();
    let verifier = QuoteVerifier::<AwsLc>::new_with_config(root).allow_debug(true);
    let claims = verifier.verify_with_policy(quote, collateral, now, &QuotePolicy::claims_only(now));
    claims.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_platform_by_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("p"), folder.path().join("quote"));
    let (dir, out) = (path.to_str().unwrap(), out.to_str().unwrap());
    let text = printed(&[
        "init",
        dir,
        "--fmspc",
        "0102030405ff",
        "--ca",
        "processor",
        "--tcb-status",
        "SWHardeningNeeded",
        "--advisory",
        "INTEL-SA-00001",
        "--advisory",
        "INTEL-SA-00002",
        "--intel-shaped",
    ]);
    assert!(text.starts_with("SIMULATED platform in "), "{text}");
    let platform = Platform::open(&path).unwrap();
    let options = platform.options();
    assert_eq!((options.names, options.ca), (Names::IntelShaped, PckCa::Processor));
    assert_eq!(options.fmspc, [1, 2, 3, 4, 5, 255]);
    assert!(!run(&["init", dir]).status.success(), "never made over an old one");

    let data = "ab".repeat(64);
    let enclave = ["quote", dir, "--mrenclave", &"07".repeat(32), "--report-data", &data];
    let quote = hex::decode(printed(&enclave).trim_end()).unwrap();
    let claims = appraise(&path, &quote, &printed(&["collateral", dir])).unwrap();
    assert_eq!(claims.tcb.status.to_string(), "SWHardeningNeeded");
    assert_eq!(claims.tcb.advisory_ids, ["INTEL-SA-00001", "INTEL-SA-00002"]);
    let report = claims.report.as_sgx().unwrap();
    assert_eq!((report.mr_enclave, report.report_data), ([7; 32], [0xab; 64]));

    let newer = ["--tcb-status", "UpToDate", "--evaluation", "20", "--crl-number", "3", "--days", "2"];
    for (tee, version) in [("tdx-v4", 4), ("tdx-v5", 5)] {
        let td = ["--tee", tee, "--mrtd", &"08".repeat(48), "--report-data", &data, "--out", out];
        assert_eq!(printed(&[["quote", dir].as_slice(), &td].concat()), "");
        let quote = std::fs::read(out).unwrap();
        let collateral = printed(&[["collateral", dir, "--tee", "tdx"].as_slice(), &newer].concat());
        let claims = appraise(&path, &quote, &collateral).unwrap();
        assert_eq!((claims.header.version, claims.tcb.eval_data_number), (version, 20));
        assert_eq!((claims.platform.root_ca_crl_num, claims.platform.pck_crl_num), (3, 3));
        assert_eq!((claims.tcb.status.to_string().as_str(), claims.tcb.advisory_ids.len()), ("UpToDate", 0));
        assert_eq!(claims.earliest_expiration_date - claims.latest_issue_date, 3 * 86_400);
        let td = claims.report.as_td10().unwrap();
        assert_eq!((td.mr_td, td.report_data), ([8; 48], [0xab; 64]));
    }

    for revoked in ["pck-leaf", "pck-ca", "tcb-signer"] {
        let collateral = printed(&["collateral", dir, "--revoke", revoked]);
        assert!(appraise(&path, &quote, &collateral).unwrap_err().contains("CertRevoked"));
    }
    let expired = printed(&["collateral", dir, "--days", "-3"]);
    assert!(appraise(&path, &quote, &expired).unwrap_err().contains("xpired"));
}

#[test]
fn contradictions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let dir = path.to_str().unwrap();
    printed(&["init", dir]);
    let (enclave, td, data) = ("07".repeat(32), "08".repeat(48), "ab".repeat(64));
    for arguments in [
        ["quote", dir, "--mrtd", &td, "--report-data", &data].as_slice(),
        &["quote", dir, "--tee", "tdx-v4", "--mrenclave", &enclave, "--report-data", &data],
        &["quote", dir, "--mrenclave", &enclave, "--report-data", "ab"],
        &["quote", dir, "--mrenclave", "07", "--report-data", &data],
        &["collateral", dir, "--advisory", "INTEL-SA-00001"],
        &["init", dir, "--fmspc", "00"],
    ] {
        assert!(!run(arguments).status.success(), "{arguments:?}");
    }
}
