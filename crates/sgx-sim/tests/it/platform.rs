//! Each option of a platform is seen by the verifier.

use crate::appraisal::{
    AwsLc, DAY, NOW, appraise, appraise_at, appraise_collateral, collateral, healthy, platform, refused,
};
use crate::appraisal::{sgx, td};
use dcap_qvl::PckCertFlag;
use dcap_qvl::intel::{PckExtension, extract_cert_chain, parse_pck_extension_with};
use dcap_qvl::quote::Quote;
use dcap_qvl::tcb_info::TcbStatus;
use tcs_sgx_sim::{CollateralOptions, Options, PckCa, Platform, Tee};

fn extension(platform: &Platform) -> PckExtension {
    let chain = extract_cert_chain(&Quote::parse(&sgx(platform)).unwrap()).unwrap();
    parse_pck_extension_with::<AwsLc>(&chain[0]).unwrap()
}

fn components(extension: &PckExtension) -> Vec<u8> {
    let component = |number| {
        let oid = format!("1.2.840.113741.1.13.1.2.{number}").parse().unwrap();
        *extension.get_value(&oid).unwrap().unwrap().last().unwrap()
    };
    (1..=16).map(component).collect()
}

#[test]
fn identity_and_flags_are_in_the_claims() {
    let options = Options {
        fmspc: [0x10, 0x20, 0x30, 0x40, 0x50, 0x60],
        pce_id: [0x12, 0x34],
        ppid: [0x42; 16],
        platform_instance: [0x37; 16],
        dynamic_platform: true,
        sgx_type: 2,
        cpu_svn: [9; 16],
        components: [9; 16],
        pce_svn: 300,
        ..Options::default()
    };
    let platform = platform(&options);
    for (quote, tee) in [(sgx(&platform), Tee::Sgx), (td(&platform), Tee::Tdx)] {
        let pck = appraise(&platform, &quote, &collateral(&platform, tee)).unwrap().platform.pck;
        assert_eq!((pck.fmspc, pck.cpu_svn, pck.pce_svn), (options.fmspc, [9; 16], 300));
        assert_eq!(
            (pck.pce_id.as_slice(), pck.ppid.as_slice()),
            ([0x12, 0x34].as_slice(), [0x42; 16].as_slice())
        );
        assert_eq!((pck.platform_instance_id, pck.sgx_type), (Some([0x37; 16]), 2));
        assert_eq!(pck.dynamic_platform, PckCertFlag::True);
        assert_eq!((pck.cached_keys, pck.smt_enabled), (PckCertFlag::False, PckCertFlag::False));
    }
    let collateral = collateral(&platform, Tee::Sgx);
    assert!(collateral.tcb_info.contains("\"pceId\":\"1234\""));
    let claims = appraise(&platform, &sgx(&platform), &collateral).unwrap();
    assert_eq!((claims.header.pce_svn, claims.platform.tcb_level.tcb.pce_svn), (300, 300));
    assert_eq!(claims.report.as_sgx().unwrap().cpu_svn, [9; 16]);
    assert_eq!(claims.qe.report.cpu_svn, [9; 16]);
}

#[test]
fn each_flag_is_its_own() {
    let flags = |options: &Options| {
        let extension = extension(&platform(options));
        [extension.dynamic_platform, extension.cached_keys, extension.smt_enabled]
    };
    let default = Options::default();
    assert_eq!(flags(&default), [Some(false); 3]);
    let only = |at: usize| (0..3).map(|flag| Some(flag == at)).collect::<Vec<_>>();
    assert_eq!(flags(&Options { dynamic_platform: true, ..default.clone() }).as_slice(), only(0));
    assert_eq!(flags(&Options { cached_keys: true, ..default.clone() }).as_slice(), only(1));
    assert_eq!(flags(&Options { smt_enabled: true, ..default }).as_slice(), only(2));
}

#[test]
fn a_processor_ca_certifies_neither_instance_nor_flags() {
    let options = Options { ca: PckCa::Processor, dynamic_platform: true, ..Options::default() };
    let platform = platform(&options);
    let pck = appraise(&platform, &sgx(&platform), &collateral(&platform, Tee::Sgx)).unwrap().platform.pck;
    assert_eq!(pck.platform_instance_id, None);
    assert_eq!([pck.dynamic_platform, pck.cached_keys, pck.smt_enabled], [PckCertFlag::Undefined; 3]);
    let ca = |platform| {
        let quote = Quote::parse(&sgx(platform)).unwrap();
        dcap_qvl::intel::quote_ca_with::<AwsLc>(&quote).unwrap().as_id_str()
    };
    assert_eq!((ca(&platform), ca(&healthy())), ("processor", "platform"));
}

#[test]
fn components_may_contradict_the_cpu_svn() {
    let lower = [7, 9, 3, 3, 254, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let options = Options { components: lower, ..Options::default() };
    let extension = extension(&platform(&options));
    assert_eq!((components(&extension), extension.cpu_svn), (lower.to_vec(), options.cpu_svn));
    let extension = self::extension(&healthy());
    assert_eq!(components(&extension), extension.cpu_svn, "one above 127 too");
}

/// dcap-qvl does not check common names, so OpenSSL shows them.
#[test]
fn names_may_be_wrong() {
    let options =
        Options { pck_name: "Some Leaf".into(), tcb_signer_name: "Some Signer".into(), ..Options::default() };
    let (wrong, right) = (platform(&options), healthy());
    let subject = |pem: String| crate::openssl::run(&["x509", "-noout", "-subject"], pem.as_bytes());
    assert!(subject(wrong.pck_chain()).contains("CN = Some Leaf,"));
    assert!(subject(right.pck_chain()).contains("CN = Intel SGX PCK Certificate,"));
    let signer = |platform| subject(collateral(platform, Tee::Sgx).tcb_info_issuer_chain);
    assert!(signer(&wrong).contains("CN = Some Signer,"));
    assert!(signer(&right).contains("CN = Intel SGX TCB Signing,"));
}

#[test]
fn certificates_end_when_told() {
    let platform = platform(&Options { certificate_days: 10, ..Options::default() });
    let quote = sgx(&platform);
    for (days, good) in [(9, true), (11, false)] {
        let now = NOW + days * DAY;
        let result = appraise_at(&platform, &quote, &collateral(&platform, Tee::Sgx), now);
        if good { assert!(result.is_ok()) } else { refused(result, "CertExpired") }
    }
}

/// dcap-qvl accepts an expired root as a trust anchor, so only the claims show its date.
#[test]
fn the_root_ends_when_told() {
    let platform = platform(&Options { root_days: 10, ..Options::default() });
    let claims = appraise(&platform, &sgx(&platform), &collateral(&platform, Tee::Sgx)).unwrap();
    assert_eq!(i64::try_from(claims.earliest_expiration_date), Ok(NOW + 10 * DAY));
}

#[test]
fn status_and_advisories_are_those_of_the_own_level() {
    let options = Options {
        tcb_status: "OutOfDate".into(),
        advisories: vec!["INTEL-SA-00614".into()],
        ..Options::default()
    };
    for tee in [Tee::Sgx, Tee::Tdx] {
        let result = appraise_collateral(&platform(&options), tee, &CollateralOptions::default());
        crate::appraisal::status(result, TcbStatus::OutOfDate, &["INTEL-SA-00614"]);
    }
}
