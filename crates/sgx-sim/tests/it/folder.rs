//! The directory of a platform.

use crate::appraisal::{NOW, appraise};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tcs_sgx_sim::{Collateral, CollateralOptions, Names, Options, PckCa, Platform, Tee};

#[test]
fn a_platform_outlives_the_processes_that_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let options = Options {
        names: Names::IntelShaped,
        ca: PckCa::Processor,
        fmspc: [1, 2, 3, 4, 5, 6],
        ..Options::default()
    };
    let made = Platform::create_with(&path, NOW, &options).unwrap();
    let opened = Platform::open(&path).unwrap();
    assert_eq!(made.sealing_secret(), opened.sealing_secret());
    assert_eq!(opened.options(), &options);
    // The attestation key is the same: bytes 500..564 of a quote.
    let key = |platform: &Platform| platform.quote([0; 32], [0; 64]).unwrap()[500..564].to_vec();
    assert_eq!(key(&made), key(&opened));
    assert!(Platform::create(&path, NOW).is_err(), "never made over an old one");
    // New collateral, years later, made by the opened platform for quotes of the first one.
    let later = NOW + 3 * 365 * 86_400;
    for tee in [Tee::Sgx, Tee::Tdx] {
        let quote = if tee == Tee::Sgx { crate::appraisal::sgx(&made) } else { crate::appraisal::td(&made) };
        let collateral = opened.collateral(later, tee, &CollateralOptions::default()).unwrap();
        crate::appraisal::appraise_at(&made, &quote, &collateral, later).unwrap();
    }
}

#[test]
fn key_owners_get_root_and_collateral() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        tcb_status: "SWHardeningNeeded".into(),
        advisories: vec!["INTEL-SA-00334".into()],
        collateral_days: 7,
        ..Options::default()
    };
    let platform = Platform::create_with(dir.path(), NOW, &options).unwrap();
    let public = |name: &str| std::fs::read(dir.path().join("public").join(name)).unwrap();
    assert_eq!(public("root.der"), platform.root_certificate());
    assert!(platform.pck_chain().ends_with(&String::from_utf8(public("root.pem")).unwrap()));
    let collateral = read(&public("collateral.json"));
    let claims = appraise(&platform, &crate::appraisal::sgx(&platform), &collateral).unwrap();
    assert_eq!(claims.tcb.status.to_string(), "SWHardeningNeeded");
    assert_eq!(claims.tcb.advisory_ids, ["INTEL-SA-00334"]);
    let end = u64::try_from(NOW + 7 * 86_400).unwrap();
    assert_eq!((claims.earliest_expiration_date, claims.qe_iden_earliest_expiration_date), (end, end));
}

fn read(json: &[u8]) -> Collateral {
    let parts: serde_json::Value = serde_json::from_slice(json).unwrap();
    let text = |name: &str| parts[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| hex::decode(text(name)).unwrap();
    let collateral = Collateral {
        tcb_info: text("tcb_info"),
        tcb_info_signature: bytes("tcb_info_signature"),
        qe_identity: text("qe_identity"),
        qe_identity_signature: bytes("qe_identity_signature"),
        root_ca_crl: bytes("root_ca_crl"),
        pck_crl: bytes("pck_crl"),
        pck_crl_issuer_chain: text("pck_crl_issuer_chain"),
        tcb_info_issuer_chain: text("tcb_info_issuer_chain"),
        qe_identity_issuer_chain: text("qe_identity_issuer_chain"),
    };
    assert_eq!(collateral.to_json().as_bytes(), json);
    collateral
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
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path.join("private")), mode(&path.join("public"))), (0o700, 0o755));
    let files = |name: &str| {
        let mut modes: Vec<_> =
            std::fs::read_dir(path.join(name)).unwrap().collect::<Result<_, _>>().unwrap();
        modes.sort_by_key(std::fs::DirEntry::path);
        modes.into_iter().map(|entry| mode(&entry.path())).collect::<Vec<_>>()
    };
    assert_eq!(files("private"), [0o600; 10]);
    assert_eq!(files("public"), [0o644; 3]);
}

#[test]
fn another_programs_description_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    Platform::create(&path, NOW).unwrap();
    std::fs::write(path.join("private/platform.json"), "{}").unwrap();
    assert_eq!(Platform::open(&path).err().unwrap().code(), "PlatformDescription");
}

#[test]
fn times_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let failed =
        |now, options: &Options| Platform::create_with(&dir.path().join("p"), now, options).err().unwrap();
    assert_eq!(failed(i64::MAX, &Options::default()).code(), "PlatformTime");
    for options in [
        Options { certificate_days: i64::MAX, ..Options::default() },
        Options { root_days: i64::MAX / 86_400, ..Options::default() },
        Options { collateral_days: i64::MIN, ..Options::default() },
    ] {
        assert_eq!(failed(NOW, &options).code(), "PlatformTime");
    }
    assert!(!dir.path().join("p").exists(), "nothing half-made is left");
}
