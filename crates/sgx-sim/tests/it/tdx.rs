//! Trust domains, the TDX module and relaunch.

use crate::appraisal::{NOW, appraise, appraise_with, collateral, healthy, refused, status, verifier};
use dcap_qvl::QuoteClaims;
use dcap_qvl::tcb_info::TcbStatus;
use tcs_sgx_sim::{
    CollateralOptions, IsvTcbLevel, TcbLevel, Td, TdVersion, TdxModule, TdxModuleIdentity, Tee,
};

fn appraise_td(td: &Td, options: &CollateralOptions) -> Result<QuoteClaims, String> {
    let platform = healthy();
    let collateral = platform.collateral(NOW, Tee::Tdx, options).unwrap();
    appraise(&platform, &platform.td_quote(td).unwrap(), &collateral)
}

fn plain(td: &Td) -> Result<QuoteClaims, String> {
    appraise_td(td, &CollateralOptions::default())
}

fn with_identity(change: impl FnOnce(&mut TdxModuleIdentity)) -> Result<QuoteClaims, String> {
    let mut identity = TdxModuleIdentity::default();
    change(&mut identity);
    let tdx_module_identities = vec![identity];
    appraise_td(&Td::default(), &CollateralOptions { tdx_module_identities, ..CollateralOptions::default() })
}

#[test]
fn every_field_is_in_the_report() {
    let td = Td {
        version: TdVersion::V5Td15,
        tee_tcb_svn: [4, 1, 6, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        tee_tcb_svn2: [5, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        mr_seam: [1; 48],
        td_attributes: 1 | 1 << 28 | 1 << 63,
        xfam: 0x0102_0304_0506_0708,
        mr_td: [2; 48],
        mr_config_id: [3; 48],
        mr_owner: [4; 48],
        mr_owner_config: [5; 48],
        rtmr: [[6; 48], [7; 48], [8; 48], [9; 48]],
        mr_service_td: [10; 48],
        report_data: [11; 64],
        ..Td::default()
    };
    let platform = healthy();
    let verifier = verifier(&platform).allow_service_td(true);
    let quote = platform.td_quote(&td).unwrap();
    let claims = appraise_with(&verifier, &quote, &collateral(&platform, Tee::Tdx), NOW).unwrap();
    let report = claims.report.as_td15().unwrap();
    assert_eq!((report.tee_tcb_svn2, report.mr_service_td), (td.tee_tcb_svn2, td.mr_service_td));
    let base = &report.base;
    assert_eq!((base.tee_tcb_svn, base.mr_seam), (td.tee_tcb_svn, td.mr_seam));
    assert_eq!((base.mr_signer_seam, base.seam_attributes), (td.mr_signer_seam, [0; 8]));
    assert_eq!(base.td_attributes, [1, 0, 0, 0x10, 0, 0, 0, 0x80]);
    assert_eq!(base.xfam, [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!((base.mr_td, base.mr_config_id), ([2; 48], [3; 48]));
    assert_eq!((base.mr_owner, base.mr_owner_config), ([4; 48], [5; 48]));
    assert_eq!([base.rt_mr0, base.rt_mr1, base.rt_mr2, base.rt_mr3], td.rtmr);
    assert_eq!(base.report_data, [11; 64]);
    // The same in a report of the older form, at the published offsets of quote version 4.
    let quote = platform.td_quote(&Td { version: TdVersion::V4, ..td }).unwrap();
    assert_eq!((&quote[184..232], &quote[376..424]), ([2; 48].as_slice(), [6; 48].as_slice()));
    assert_eq!(quote[568..632], [11; 64]);
}

#[test]
fn attributes_of_a_trust_domain() {
    let with = |bits: u64| plain(&Td { td_attributes: bits, ..Td::default() });
    let sound = Td::default().td_attributes;
    refused(with(1), "SEPT_VE_DISABLE is not enabled");
    refused(with(sound | 1 << 29), "TD migration is enabled");
    refused(with(sound | 1 << 1), "Reserved bits in TD attributes are set");
    refused(with(sound | 1 << 17), "SERVTD_EXT is enabled");
    for version in [TdVersion::V5Td15, TdVersion::V5Td15Ex] {
        let td = Td { version, mr_service_td: [1; 48], ..Td::default() };
        refused(plain(&td), "Invalid MR service TD");
    }
}

#[test]
fn the_module_must_be_the_one_of_the_collateral() {
    refused(plain(&Td { mr_signer_seam: [0; 48], ..Td::default() }), "TDX module MRSIGNER mismatch");
    refused(plain(&Td { seam_attributes: 1, ..Td::default() }), "SEAMATTRIBUTES mismatch");
    refused(with_identity(|identity| identity.module.mrsigner = [0; 48]), "TDX module MRSIGNER mismatch");
    refused(with_identity(|identity| identity.module.attributes = [1; 8]), "SEAMATTRIBUTES mismatch");
    let masked = |identity: &mut TdxModuleIdentity| {
        (identity.module.attributes, identity.module.attributes_mask) = ([1; 8], [0xfe; 8]);
    };
    assert!(with_identity(masked).is_ok());
    refused(with_identity(|identity| identity.id = "TDX_02".into()), "No TDX module identity");
}

/// Version 0 has no identity: `tdxModule` and the components of the level apply to it.
#[test]
fn a_module_of_version_0() {
    let td = Td { tee_tcb_svn: [4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..Td::default() };
    let appraised = |components: [u8; 3], module: Option<TdxModule>| {
        let mut level = TcbLevel::default();
        level.tdx_components[..3].copy_from_slice(&components);
        let options = CollateralOptions {
            tcb_levels: Some(vec![level]),
            tdx_module: module,
            tdx_module_identities: Vec::new(),
            ..CollateralOptions::default()
        };
        appraise_td(&td, &options)
    };
    let module = TdxModule::default();
    status(appraised([4, 0, 6], Some(module.clone())), TcbStatus::UpToDate, &[]);
    refused(appraised([5, 0, 6], Some(module.clone())), "No matching TCB level found");
    refused(appraised([4, 0, 7], Some(module.clone())), "No matching TCB level found");
    refused(appraised([4, 0, 6], None), "missing tdxModule");
    let other = |change: fn(&mut TdxModule)| {
        let mut module = module.clone();
        change(&mut module);
        appraised([4, 0, 6], Some(module))
    };
    refused(other(|module| module.mrsigner[0] ^= 1), "TDX module MRSIGNER mismatch");
    refused(other(|module| module.attributes[7] = 1), "SEAMATTRIBUTES mismatch");
    assert!(other(|module| (module.attributes[7], module.attributes_mask[7]) = (1, 0xfe)).is_ok());
}

#[test]
fn a_module_that_is_out_of_date_is_felt() {
    let older = |status: &str| {
        with_identity(|identity| {
            let level = |isv_svn, status: &str| IsvTcbLevel {
                isv_svn,
                status: status.into(),
                date: "2023-08-09T00:00:00Z".into(),
                advisories: vec!["INTEL-SA-00837".into()],
            };
            identity.levels = vec![level(5, "UpToDate"), level(2, status)];
        })
    };
    status(older("OutOfDate"), TcbStatus::OutOfDate, &["INTEL-SA-00837"]);
    assert_eq!(older("OutOfDate").unwrap().platform.tcb_date_tag, 1_691_539_200, "2023-08-09");
    refused(older("Revoked"), "TCB status is invalid: Revoked");
    refused(with_identity(|identity| identity.levels[0].isv_svn = 5), "below minimum required");
    refused(
        plain(&Td { tee_tcb_svn: [3, 1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], ..Td::default() }),
        "below",
    );
}

/// Launched on an old TCB, running on a current one.
#[test]
fn relaunch_is_advised() {
    let relaunch = |current: &str, old: &str, version| {
        let mut newer = TcbLevel { status: current.into(), ..TcbLevel::default() };
        newer.tdx_components[2] = 7;
        let older =
            TcbLevel { status: old.into(), advisories: vec!["INTEL-SA-00001".into()], ..TcbLevel::default() };
        let mut td = Td { version, ..Td::default() };
        td.tee_tcb_svn2[2] = 7;
        let tcb_levels = Some(vec![newer, older]);
        appraise_td(&td, &CollateralOptions { tcb_levels, ..CollateralOptions::default() })
    };
    for version in [TdVersion::V5Td15, TdVersion::V5Td15Ex] {
        for (current, old, expected) in [
            ("UpToDate", "OutOfDate", TcbStatus::TDRelaunchAdvised),
            ("ConfigurationNeeded", "OutOfDate", TcbStatus::TDRelaunchAdvisedConfigurationNeeded),
            ("UpToDate", "OutOfDateConfigurationNeeded", TcbStatus::TDRelaunchAdvisedConfigurationNeeded),
            ("OutOfDate", "OutOfDate", TcbStatus::OutOfDate),
        ] {
            status(relaunch(current, old, version), expected, &["INTEL-SA-00001"]);
        }
        refused(relaunch("Revoked", "OutOfDate", version), "TCB status is invalid: Revoked");
    }
    // Reports of the older form do not say what runs now.
    for version in [TdVersion::V4, TdVersion::V5Td10] {
        status(relaunch("UpToDate", "OutOfDate", version), TcbStatus::OutOfDate, &["INTEL-SA-00001"]);
    }
}
