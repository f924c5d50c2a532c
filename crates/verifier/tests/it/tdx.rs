//! Trust domains: every version, what no policy can accept, and the reference values.

use crate::fixture::{Fixture, TD_PRODUCTION, trust_domain};
use crate::{any_identity, assert_accepted, assert_refused};
use tcs_sgx_sim::{CollateralOptions, Td, TdVersion, Tee};
use tcs_verifier::{
    AcceptedIdentity, Masked, Policy, TcbPolicy, TcbStatus, TdReference, TdxPolicy, Workload,
};

#[test]
fn every_version_of_quote_and_report_is_accepted() {
    let fixture = Fixture::new();
    for version in [TdVersion::V4, TdVersion::V5Td10, TdVersion::V5Td15, TdVersion::V5Td15Ex] {
        let td = Td { version, mr_td: [1; 48], rtmr: [[2; 48], [3; 48], [4; 48], [5; 48]], ..trust_domain() };
        let verdict = fixture.with_policy(&fixture.td(&td), &any_identity());
        assert_accepted(&verdict);
        let Workload::TrustDomain(found) = &verdict.claims().unwrap().workload else { panic!("{version:?}") };
        assert_eq!((found.mr_td, found.rtmrs, found.mr_seam), (td.mr_td, td.rtmr, td.mr_seam));
        assert_eq!(found.td_attributes, TD_PRODUCTION.to_le_bytes());
        // The list does not contain the checks of enclaves.
        assert!(verdict.checks().iter().all(|check| check.id != "misc-select"));
    }
}

/// Profiling, migration, reserved bits, no `SEPT_VE_DISABLE`, a service TD, another module: refused by every
/// policy.
#[test]
fn what_no_policy_can_accept_of_a_trust_domain() {
    let fixture = Fixture::new();
    let refuse = |td: &Td| {
        let verdict = fixture.with_policy(&fixture.td(td), &any_identity());
        let (code, _) = crate::refused(&verdict);
        code
    };
    for attributes in [TD_PRODUCTION | 1 << 29, TD_PRODUCTION | 1 << 8, TD_PRODUCTION | 1 << 40, 0] {
        let td = Td { td_attributes: attributes, ..trust_domain() };
        assert_eq!(refuse(&td), "TrustDomainRefused", "{attributes:#x}");
    }
    for bits in [1 << 1, 1 << 4, 1 << 7, 1 << 4 | 1] {
        assert_eq!(refuse(&Td { td_attributes: TD_PRODUCTION | bits, ..trust_domain() }), "DebugEnclave");
    }
    let service = Td { version: TdVersion::V5Td15, mr_service_td: [1; 48], ..trust_domain() };
    assert_eq!(refuse(&service), "TrustDomainRefused");
    assert_eq!(refuse(&Td { mr_signer_seam: [9; 48], ..trust_domain() }), "TrustDomainRefused");
    assert_eq!(refuse(&Td { seam_attributes: 1, ..trust_domain() }), "TrustDomainRefused");
    let mut old = trust_domain();
    old.tee_tcb_svn[0] -= 1;
    assert_eq!(refuse(&old), "TcbLevelNotSupported");
}

#[test]
fn a_trust_domain_that_should_be_relaunched_needs_its_status_accepted() {
    let fixture = Fixture::new();
    let mut launched = trust_domain();
    launched.version = TdVersion::V5Td15;
    launched.tee_tcb_svn[2] -= 1;
    let level = fixture.platform.tcb_level();
    let mut old = level.clone();
    old.tdx_components[2] -= 1;
    old.status = "OutOfDate".into();
    let options = CollateralOptions { tcb_levels: Some(vec![level, old]), ..CollateralOptions::default() };
    let collateral = fixture.collateral(Tee::Tdx, &options).unwrap();
    let verdict = fixture.appraise(&fixture.td(&launched), &collateral, &any_identity());
    assert_refused(&verdict, "TcbStatusRefused", "tcb-status");
    assert_eq!(verdict.claims().unwrap().status, TcbStatus::TdRelaunchAdvised);
    assert_eq!(verdict.qv_result().unwrap().value(), 0xA009);
    let accepted_statuses = vec![TcbStatus::UpToDate, TcbStatus::TdRelaunchAdvised];
    let policy = Policy { tcb: TcbPolicy { accepted_statuses, ..TcbPolicy::default() }, ..any_identity() };
    assert_accepted(&fixture.appraise(&fixture.td(&launched), &collateral, &policy));
}

#[test]
fn policy_reference_values_of_a_trust_domain() {
    let fixture = Fixture::new();
    let td = Td {
        mr_td: [1; 48],
        rtmr: [[2; 48], [3; 48], [4; 48], [5; 48]],
        mr_config_id: [6; 48],
        mr_owner: [7; 48],
        mr_owner_config: [8; 48],
        ..trust_domain()
    };
    let good = TdReference {
        mr_td: [1; 48],
        rtmrs: td.rtmr.map(Some),
        mr_config_id: Some([6; 48]),
        mr_owner: Some([7; 48]),
        mr_owner_config: Some([8; 48]),
    };
    let appraise = |reference: TdReference| {
        let identities = vec![AcceptedIdentity::TrustDomain(Box::new(reference))];
        fixture.with_policy(&fixture.td(&td), &Policy { identities, ..Policy::default() })
    };
    assert_accepted(&appraise(good));
    let mut wrong = vec![
        TdReference { mr_td: [9; 48], ..good },
        TdReference { mr_config_id: Some([9; 48]), ..good },
        TdReference { mr_owner: Some([9; 48]), ..good },
        TdReference { mr_owner_config: Some([9; 48]), ..good },
    ];
    for at in 0..4 {
        let mut rtmrs = good.rtmrs;
        rtmrs[at] = Some([9; 48]);
        wrong.push(TdReference { rtmrs, ..good });
    }
    for reference in wrong {
        assert_refused(&appraise(reference), "IdentityMismatch", "identity");
    }
}

fn with(tdx: TdxPolicy) -> Policy {
    Policy { tdx, ..any_identity() }
}

#[test]
fn policy_td_attributes() {
    let fixture = Fixture::new();
    let evidence = fixture.td(&Td { td_attributes: TD_PRODUCTION | 1 << 31, ..trust_domain() });
    let appraise = |value: u64, mask: u64| {
        let td_attributes = Masked { value: value.to_le_bytes(), mask: mask.to_le_bytes() };
        fixture.with_policy(&evidence, &with(TdxPolicy { td_attributes, ..TdxPolicy::default() }))
    };
    assert_accepted(&appraise(1 << 31, 1 << 31));
    assert_refused(&appraise(0, 1 << 31), "AttributesRefused", "attributes");
}

#[test]
fn policy_xfam() {
    let fixture = Fixture::new();
    let evidence = fixture.td(&Td { xfam: 0xe7, ..trust_domain() });
    let appraise = |value: u64, mask: u64| {
        let xfam = Masked { value: value.to_le_bytes(), mask: mask.to_le_bytes() };
        fixture.with_policy(&evidence, &with(TdxPolicy { xfam, ..TdxPolicy::default() }))
    };
    assert_accepted(&appraise(0xe7, u64::MAX));
    assert_refused(&appraise(0x07, u64::MAX), "AttributesRefused", "xfam");
}

#[test]
fn policy_mr_seams() {
    let fixture = Fixture::new();
    let td = trust_domain();
    let appraise = |mr_seams: Vec<[u8; 48]>| {
        fixture.with_policy(&fixture.td(&td), &with(TdxPolicy { mr_seams, ..TdxPolicy::default() }))
    };
    assert_accepted(&appraise(vec![[1; 48], td.mr_seam]));
    assert_refused(&appraise(vec![[1; 48]]), "TdModuleRefused", "td-module");
}
