//! The marks of a simulation.

use crate::appraisal::{collateral, healthy, platform, sgx, td};
use dcap_qvl::quote::Quote;
use tcs_evidence::SgxQuoteV3;
use tcs_sgx_sim::{Names, Options, Td, TdVersion, Tee};

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn quotes_say_it_whatever_the_names_are() {
    for names in [Names::Honest, Names::IntelShaped] {
        let platform = platform(&Options { names, ..Options::default() });
        let quote = sgx(&platform);
        let parsed = SgxQuoteV3::parse(&quote).unwrap();
        assert!(parsed.is_debug());
        assert_eq!(parsed.isv_prod_id(), 0xffff);
        for version in [TdVersion::V4, TdVersion::V5Td10, TdVersion::V5Td15, TdVersion::V5Td15Ex] {
            let quote = platform.td_quote(&Td { version, ..Td::default() }).unwrap();
            assert_eq!(&quote[28..48], b"SIMULATION NOT A TEE");
            let report = Quote::parse(&quote).unwrap().report;
            let td = report.as_td10().unwrap();
            assert_eq!(td.td_attributes[0] & 1, 1, "under debug");
            assert_ne!(td.mr_signer_seam, [0; 48], "Intel's TDX modules have zeros");
        }
        assert_eq!(&quote[28..48], b"SIMULATION NOT A TEE");
    }
}

#[test]
fn the_quoting_enclaves_signer_is_not_intels() {
    let intels = [
        "8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff",
        "dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5",
    ];
    let platform = healthy();
    for (quote, tee) in [(sgx(&platform), Tee::Sgx), (td(&platform), Tee::Tdx)] {
        let report = *Quote::parse(&quote).unwrap().qe_report();
        let signer = hex::encode(&report[128..160]);
        assert!(!intels.contains(&signer.as_str()));
        assert!(collateral(&platform, tee).qe_identity.contains(&signer.to_uppercase()));
    }
}

#[test]
fn honest_names_never_name_intel_as_their_owner() {
    let platform = healthy();
    assert!(contains(platform.root_certificate(), "TCS SIMULATION ROOT - NOT A TEE"));
    let collateral = collateral(&platform, Tee::Sgx);
    for crl in [&collateral.root_ca_crl, &collateral.pck_crl] {
        assert!(contains(crl, "TCS SIMULATION - NOT A TEE"));
        assert!(!contains(crl, "Intel"));
    }
    let chain = dcap_qvl::intel::extract_cert_chain(&Quote::parse(&sgx(&platform)).unwrap()).unwrap();
    assert_eq!(chain.len(), 3);
    for certificate in chain {
        assert!(contains(&certificate, "TCS SIMULATION - NOT A TEE"));
        assert!(!contains(&certificate, "Intel Corporation"));
        assert!(!contains(&certificate, "trustedservices"));
    }
}
