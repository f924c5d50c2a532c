//! The folder and the quotes; that a verifier accepts them is tested where the verifier is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use tcs_evidence::SgxQuoteV3;
use tcs_sgx_sim::Platform;

const NOW: i64 = 1_795_000_000;

#[test]
fn a_quote_says_that_it_is_simulated() {
    let dir = tempfile::tempdir().unwrap();
    let platform = Platform::create(&dir.path().join("p"), NOW).unwrap();
    let quote = platform.quote([7; 32], [9; 64]).unwrap();
    let parsed = SgxQuoteV3::parse(&quote).unwrap();
    assert_eq!((parsed.mrenclave(), parsed.report_data()), ([7; 32], [9; 64]));
    assert!(parsed.is_debug());
    assert_eq!(parsed.isv_prod_id(), 0xffff);
    assert!(quote[28..48].starts_with(b"SIMULATION"));
    let root = std::fs::read(dir.path().join("p/public/root.der")).unwrap();
    let text = String::from_utf8_lossy(&root).into_owned();
    assert!(text.contains("TCS SIMULATION ROOT - NOT A TEE"));
}

#[test]
fn a_platform_outlives_the_processes_that_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let made = Platform::create(&path, NOW).unwrap();
    let opened = Platform::open(&path).unwrap();
    assert_eq!(made.sealing_secret(), opened.sealing_secret());
    // The attestation key is the same: bytes 500..564 of a quote.
    let key = |platform: &Platform| platform.quote([0; 32], [0; 64]).unwrap()[500..564].to_vec();
    assert_eq!(key(&made), key(&opened));
    assert!(Platform::create(&path, NOW).is_err(), "never made over an old one");
}

#[test]
fn a_cut_sealing_secret_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    Platform::create(&path, NOW).unwrap();
    for short in [31, 0] {
        std::fs::write(path.join("private/sealing-secret"), vec![7; short]).unwrap();
        assert_eq!(Platform::open(&path).err().unwrap().code(), "PlatformKey");
    }
}

#[test]
fn private_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    Platform::create(&path, NOW).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path.join("private")), 0o700);
    for entry in std::fs::read_dir(path.join("private")).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}
