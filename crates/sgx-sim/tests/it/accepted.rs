//! Valid platforms of every kind are accepted under their own root and under no other.

use crate::appraisal::{
    NOW, appraise, appraise_with, collateral, healthy, platform, refused, sgx, td, verifier,
};
use dcap_qvl::quote::Quote;
use dcap_qvl::tcb_info::TcbStatus;
use dcap_qvl::verify::QuoteVerifier;
use tcs_evidence::SgxQuoteV3;
use tcs_sgx_sim::{Enclave, Names, Options, PckCa, Platform, Td, TdVersion, Tee};

const VERSIONS: [(TdVersion, u16, usize); 4] = [
    (TdVersion::V4, 4, 584),
    (TdVersion::V5Td10, 5, 584),
    (TdVersion::V5Td15, 5, 648),
    (TdVersion::V5Td15Ex, 5, 885),
];

fn every_kind() -> impl Iterator<Item = Platform> {
    let kinds = [
        (Names::Honest, PckCa::Platform),
        (Names::Honest, PckCa::Processor),
        (Names::IntelShaped, PckCa::Platform),
        (Names::IntelShaped, PckCa::Processor),
    ];
    kinds.into_iter().map(|(names, ca)| platform(&Options { names, ca, ..Options::default() }))
}

#[test]
fn sgx_quotes_of_every_kind_of_platform() {
    for platform in every_kind() {
        let quote = sgx(&platform);
        SgxQuoteV3::parse(&quote).unwrap();
        let claims = appraise(&platform, &quote, &collateral(&platform, Tee::Sgx)).unwrap();
        assert_eq!((claims.tcb.status, claims.tcb.advisory_ids.len()), (TcbStatus::UpToDate, 0));
        assert_eq!((claims.header.version, claims.tee_type), (3, 0));
        assert_eq!((claims.header.qe_svn, claims.header.pce_svn), (8, 13));
    }
}

#[test]
fn td_quotes_of_every_version_and_kind_of_platform() {
    for platform in every_kind() {
        let collateral = collateral(&platform, Tee::Tdx);
        for (version, number, body) in VERSIONS {
            let quote = platform.td_quote(&Td { version, ..Td::default() }).unwrap();
            let claims = appraise(&platform, &quote, &collateral).unwrap();
            assert_eq!((claims.tcb.status, claims.tcb.advisory_ids.len()), (TcbStatus::UpToDate, 0));
            assert_eq!((claims.header.version, claims.tee_type), (number, 0x81));
            let header = if number == 5 { 54 } else { 48 };
            assert_eq!(Quote::parse(&quote).unwrap().signed_length(), header + body);
        }
    }
}

#[test]
fn debug_is_refused_unless_asked_for() {
    let platform = healthy();
    for (quote, tee) in [(sgx(&platform), Tee::Sgx), (td(&platform), Tee::Tdx)] {
        let strict = verifier(&platform).allow_debug(false);
        refused(appraise_with(&strict, &quote, &collateral(&platform, tee), NOW), "Debug mode is enabled");
    }
    let strict = verifier(&platform).allow_debug(false);
    let production = platform.sgx_quote(&Enclave { flags: 0x05, ..Enclave::default() }).unwrap();
    appraise_with(&strict, &production, &collateral(&platform, Tee::Sgx), NOW).unwrap();
    let production = platform.td_quote(&Td { td_attributes: 1 << 28, ..Td::default() }).unwrap();
    appraise_with(&strict, &production, &collateral(&platform, Tee::Tdx), NOW).unwrap();
}

#[test]
fn another_platforms_root_accepts_nothing() {
    for (one, other) in every_kind().zip(every_kind()) {
        let result = appraise_with(&verifier(&other), &sgx(&one), &collateral(&one, Tee::Sgx), NOW);
        refused(result, "CRL");
    }
}

#[test]
fn intels_root_accepts_nothing() {
    const ROOT: &[u8] = include_bytes!("../../../verifier/src/intel-sgx-root-ca.der");
    for platform in every_kind() {
        let intel = QuoteVerifier::new_with_config(ROOT.to_vec()).allow_debug(true);
        refused(appraise_with(&intel, &sgx(&platform), &collateral(&platform, Tee::Sgx), NOW), "root CA CRL");
    }
}

#[test]
fn collateral_of_the_other_environment_does_not_fit() {
    let platform = healthy();
    let (sgx_collateral, tdx_collateral) = (collateral(&platform, Tee::Sgx), collateral(&platform, Tee::Tdx));
    refused(appraise(&platform, &td(&platform), &sgx_collateral), "Unsupported QE Identity");
    refused(appraise(&platform, &sgx(&platform), &tdx_collateral), "Unsupported QE Identity");
}
