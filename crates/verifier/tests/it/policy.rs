//! Every field of the policy, with evidence that is valid in everything else. Trust domains are in `tdx.rs`.

use crate::fixture::{Fixture, production};
use crate::{any_identity, assert_accepted, assert_refused};
use tcs_sgx_sim::{CollateralOptions, Enclave, IsvTcbLevel, Options, PckCa, QeIdentity, Tee};
use tcs_verifier::{
    AcceptedIdentity, Kss, Masked, PlatformPolicy, Policy, SgxPolicy, TcbPolicy, TcbStatus, Verdict,
};

fn identity(accepted: AcceptedIdentity) -> Policy {
    Policy { identities: vec![accepted], ..Policy::default() }
}

fn tcb(tcb: TcbPolicy) -> Policy {
    Policy { tcb, ..any_identity() }
}

#[test]
fn policy_mrenclave() {
    let fixture = Fixture::new();
    let appraise = |mrenclave| {
        let accepted = AcceptedIdentity::Enclave { mrenclave, kss: Kss::default() };
        fixture.with_policy(&fixture.sgx(&production()), &identity(accepted))
    };
    assert_accepted(&appraise([7; 32]));
    assert_refused(&appraise([8; 32]), "IdentityMismatch", "identity");
}

#[test]
fn policy_mrsigner_with_product_and_least_version() {
    let fixture = Fixture::new();
    let enclave = Enclave { mrsigner: [2; 32], isv_prod_id: 3, isv_svn: 4, ..production() };
    let appraise = |mrsigner, isv_prod_id, min_isv_svn| {
        let accepted = AcceptedIdentity::Signer { mrsigner, isv_prod_id, min_isv_svn, kss: Kss::default() };
        fixture.with_policy(&fixture.sgx(&enclave), &identity(accepted))
    };
    assert_accepted(&appraise([2; 32], 3, 4));
    assert_accepted(&appraise([2; 32], 3, 1));
    for verdict in [appraise([1; 32], 3, 4), appraise([2; 32], 2, 4), appraise([2; 32], 3, 5)] {
        assert_refused(&verdict, "IdentityMismatch", "identity");
    }
}

#[test]
fn policy_kss_fields() {
    let fixture = Fixture::new();
    let enclave = Enclave {
        flags: 0x85,
        config_id: [1; 64],
        config_svn: 2,
        isv_ext_prod_id: [3; 16],
        isv_family_id: [4; 16],
        ..production()
    };
    let appraise = |kss| {
        let accepted = AcceptedIdentity::Enclave { mrenclave: [7; 32], kss };
        fixture.with_policy(&fixture.sgx(&enclave), &identity(accepted))
    };
    let good = Kss {
        config_id: Some([1; 64]),
        min_config_svn: Some(2),
        isv_ext_prod_id: Some([3; 16]),
        isv_family_id: Some([4; 16]),
    };
    assert_accepted(&appraise(good));
    for wrong in [
        Kss { config_id: Some([0; 64]), ..good },
        Kss { min_config_svn: Some(3), ..good },
        Kss { isv_ext_prod_id: Some([0; 16]), ..good },
        Kss { isv_family_id: Some([0; 16]), ..good },
    ] {
        assert_refused(&appraise(wrong), "IdentityMismatch", "identity");
    }
}

#[test]
fn policy_sgx_attributes_by_default() {
    let fixture = Fixture::new();
    // PROVISION_KEY, EINITTOKEN_KEY; neither INIT nor MODE64BIT.
    for flags in [0x15, 0x25, 0x04, 0x01] {
        let verdict = fixture.with_policy(&fixture.sgx(&Enclave { flags, ..production() }), &any_identity());
        assert_refused(&verdict, "AttributesRefused", "attributes");
    }
}

#[test]
fn policy_sgx_attributes_and_misc_select() {
    let fixture = Fixture::new();
    let enclave = Enclave { xfrm: 0xe7, miscselect: 1, ..production() };
    let appraise = |sgx| fixture.with_policy(&fixture.sgx(&enclave), &Policy { sgx, ..any_identity() });
    let mut attributes = SgxPolicy::default().attributes;
    (attributes.value[8], attributes.mask[8]) = (0xe7, 0xff);
    assert_accepted(&appraise(SgxPolicy { attributes, ..SgxPolicy::default() }));
    attributes.value[8] = 0x03;
    assert_refused(
        &appraise(SgxPolicy { attributes, ..SgxPolicy::default() }),
        "AttributesRefused",
        "attributes",
    );
    let misc = |value| SgxPolicy {
        misc_select: Masked { value: [value, 0, 0, 0], mask: [0xff; 4] },
        ..SgxPolicy::default()
    };
    assert_accepted(&appraise(misc(1)));
    assert_refused(&appraise(misc(0)), "AttributesRefused", "misc-select");
}

fn with_status(status: &str, advisories: &[&str]) -> Fixture {
    let advisories = advisories.iter().map(ToString::to_string).collect();
    Fixture::with(&Options { tcb_status: status.into(), advisories, ..Options::default() })
}

#[test]
fn policy_accepted_statuses() {
    for (status, least) in [
        (TcbStatus::SwHardeningNeeded, None),
        (TcbStatus::ConfigurationNeeded, None),
        (TcbStatus::ConfigurationAndSwHardeningNeeded, None),
        (TcbStatus::OutOfDate, Some(1_710_288_000)),
        (TcbStatus::OutOfDateConfigurationNeeded, Some(1_710_288_000)),
    ] {
        let fixture = with_status(status.intel_name(), &["INTEL-SA-00615"]);
        let evidence = fixture.sgx(&production());
        let policy = |accepted_statuses| {
            tcb(TcbPolicy {
                accepted_statuses,
                accepted_advisories: vec!["INTEL-SA-00615".into()],
                min_tcb_date: least,
                ..TcbPolicy::default()
            })
        };
        let verdict = fixture.with_policy(&evidence, &policy(vec![TcbStatus::UpToDate, status]));
        assert_accepted(&verdict);
        assert_eq!(verdict.qv_result(), Some(status.result()));
        let verdict = fixture.with_policy(&evidence, &policy(vec![TcbStatus::UpToDate]));
        assert_refused(&verdict, "TcbStatusRefused", "tcb-status");
        // The quote is genuine nevertheless, and its status is reported.
        assert_eq!(verdict.claims().unwrap().status, status);
    }
    let policy = tcb(TcbPolicy { accepted_statuses: TcbStatus::ALL.to_vec(), ..TcbPolicy::default() });
    let revoked = with_status("Revoked", &[]);
    assert_refused(&revoked.with_policy(&revoked.sgx(&production()), &policy), "Revoked", "revocation");
}

#[test]
fn policy_accepted_advisories() {
    let fixture = with_status("SWHardeningNeeded", &["INTEL-SA-00334", "INTEL-SA-00615"]);
    let evidence = fixture.sgx(&production());
    let appraise = |ids: &[&str]| {
        let accepted_advisories = ids.iter().map(ToString::to_string).collect();
        fixture.with_policy(&evidence, &tcb(TcbPolicy { accepted_advisories, ..TcbPolicy::default() }))
    };
    assert_accepted(&appraise(&["INTEL-SA-00615", "INTEL-SA-00334", "INTEL-SA-00001"]));
    assert_refused(&appraise(&["INTEL-SA-00334"]), "TcbStatusRefused", "tcb-status");
    assert_refused(&appraise(&[]), "TcbStatusRefused", "tcb-status");
    // Nobody could say what the enclave must be hardened against.
    let silent = with_status("SWHardeningNeeded", &[]);
    let verdict = silent.with_policy(&silent.sgx(&production()), &any_identity());
    assert_refused(&verdict, "TcbStatusRefused", "tcb-status");
}

#[test]
fn policy_out_of_date_needs_a_minimum_date() {
    let fixture = with_status("OutOfDate", &[]);
    let appraise = |min_tcb_date| {
        let accepted_statuses = vec![TcbStatus::UpToDate, TcbStatus::OutOfDate];
        let policy = TcbPolicy { accepted_statuses, min_tcb_date, ..TcbPolicy::default() };
        fixture.with_policy(&fixture.sgx(&production()), &tcb(policy))
    };
    assert_refused(&appraise(None), "TcbStatusRefused", "tcb-status");
    assert_accepted(&appraise(Some(1_710_288_000)));
    assert_refused(&appraise(Some(1_710_288_001)), "TcbDateTooOld", "tcb-date");
}

#[test]
fn policy_min_tcb_date() {
    let fixture = Fixture::new();
    let appraise = |least| {
        let policy = TcbPolicy { min_tcb_date: Some(least), ..TcbPolicy::default() };
        fixture.with_policy(&fixture.sgx(&production()), &tcb(policy))
    };
    assert_accepted(&appraise(1_710_288_000));
    assert_refused(&appraise(1_710_288_001), "TcbDateTooOld", "tcb-date");
}

#[test]
fn policy_min_evaluation_number() {
    let fixture = Fixture::new();
    let appraise = |least| {
        let policy = TcbPolicy { min_evaluation_number: Some(least), ..TcbPolicy::default() };
        fixture.with_policy(&fixture.sgx(&production()), &tcb(policy))
    };
    assert_accepted(&appraise(17));
    assert_refused(&appraise(18), "EvaluationNumberTooLow", "evaluation-number");
}

fn with_qe_level(level: IsvTcbLevel, policy: &Policy) -> Verdict {
    let fixture = Fixture::new();
    let identity = QeIdentity { levels: vec![level], ..QeIdentity::of(Tee::Sgx) };
    let options = CollateralOptions { qe_identity: Some(identity), ..CollateralOptions::default() };
    let collateral = fixture.collateral(Tee::Sgx, &options).unwrap();
    fixture.appraise(&fixture.sgx(&production()), &collateral, policy)
}

#[test]
fn policy_status_of_the_quoting_enclave() {
    let with = |status: &str| IsvTcbLevel { status: status.into(), ..IsvTcbLevel::default() };
    let verdict = with_qe_level(with("OutOfDate"), &any_identity());
    let (code, failed) = crate::refused(&verdict);
    assert_eq!((code, failed.as_slice()), ("TcbStatusRefused", ["tcb-status", "qe-status"].as_slice()));
    assert_eq!(verdict.claims().unwrap().qe_status, TcbStatus::OutOfDate);
    // No quoting enclave of Intel's has any other status.
    let verdict = with_qe_level(with("SWHardeningNeeded"), &any_identity());
    assert_eq!(verdict.accepted().unwrap_err().code(), "CollateralMalformed");
}

#[test]
fn policy_an_old_quoting_enclave_is_held_to_the_same_minimum() {
    let level = IsvTcbLevel {
        status: "OutOfDate".into(),
        date: "2023-01-01T00:00:00Z".into(),
        ..IsvTcbLevel::default()
    };
    let appraise = |min_tcb_date| {
        let accepted_statuses = vec![TcbStatus::UpToDate, TcbStatus::OutOfDate];
        let policy = TcbPolicy { accepted_statuses, min_tcb_date, ..TcbPolicy::default() };
        with_qe_level(level.clone(), &tcb(policy))
    };
    assert_accepted(&appraise(Some(1_672_531_200)));
    assert_refused(&appraise(Some(1_672_531_201)), "TcbDateTooOld", "tcb-date");
}

fn platform(options: &Options, platform: PlatformPolicy) -> Verdict {
    let fixture = Fixture::with(options);
    fixture.with_policy(&fixture.sgx(&production()), &Policy { platform, ..any_identity() })
}

#[test]
fn policy_platform_ppids() {
    let options = Options { ppid: [1; 16], ..Options::default() };
    let ppids = |ppids| PlatformPolicy { ppids, ..PlatformPolicy::default() };
    assert_accepted(&platform(&options, ppids(vec![[2; 16], [1; 16]])));
    assert_refused(&platform(&options, ppids(vec![[2; 16]])), "PlatformUnknown", "platform");
}

#[test]
fn policy_platform_instances() {
    let options = Options { platform_instance: [1; 16], ppid: [3; 16], ..Options::default() };
    let instances = |instances| PlatformPolicy { instances, ..PlatformPolicy::default() };
    assert_accepted(&platform(&options, instances(vec![[1; 16]])));
    assert_refused(&platform(&options, instances(vec![[2; 16]])), "PlatformUnknown", "platform");
    // A machine that either list contains is accepted.
    let either = PlatformPolicy { ppids: vec![[3; 16]], instances: vec![[9; 16]], fmspcs: vec![] };
    assert_accepted(&platform(&options, either));
    // The Processor CA names no instance: only the PPID can identify such a machine.
    let processor = Options { ca: PckCa::Processor, ..options };
    assert_refused(&platform(&processor, instances(vec![[1; 16]])), "PlatformUnknown", "platform");
}

#[test]
fn policy_platform_fmspcs() {
    let options = Options { fmspc: [1; 6], ..Options::default() };
    let fmspcs = |fmspcs| PlatformPolicy { fmspcs, ..PlatformPolicy::default() };
    assert_accepted(&platform(&options, fmspcs(vec![[1; 6]])));
    assert_refused(&platform(&options, fmspcs(vec![[2; 6]])), "FmspcRefused", "fmspc");
    // An accepted family does not make the machine accepted.
    let both = PlatformPolicy { ppids: vec![[9; 16]], fmspcs: vec![[1; 6]], ..PlatformPolicy::default() };
    assert_refused(&platform(&options, both), "PlatformUnknown", "platform");
}

/// All checks of the policy are made, so that one run shows everything. The verdict is the first refusal.
#[test]
fn a_refusal_does_not_hide_the_next() {
    let fixture = with_status("ConfigurationNeeded", &[]);
    let platform = PlatformPolicy { ppids: vec![[9; 16]], fmspcs: vec![[9; 6]], ..PlatformPolicy::default() };
    let verdict = fixture.with_policy(&fixture.sgx(&production()), &Policy { platform, ..Policy::default() });
    let (code, failed) = crate::refused(&verdict);
    assert_eq!(code, "TcbStatusRefused");
    assert_eq!(failed, ["tcb-status", "identity", "platform", "fmspc"]);
}
