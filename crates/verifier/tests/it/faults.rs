//! Verdicts on many quotes, most of them refused.

use crate::fixture::{Fixture, TD_PRODUCTION, production, trust_domain};
use crate::{any_identity, read};
use tcs_evidence::Evidence;
use tcs_sgx_sim::{CollateralOptions, Enclave, QeIdentity, QuoteShape, Td, TdVersion, Tee};
use tcs_verifier::{Collateral, TrustAnchor, Verdict, verify};

pub const SERVICE_TD: [u8; 48] = [0xab; 48];

/// The 52 cases of `docs/verification.md`, "Against Intel's library", and the genuine quotes.
pub fn vectors() -> Vec<(String, Verdict)> {
    let table = String::from_utf8(read("simulated/verdicts.tsv")).unwrap();
    let mut verdicts = Vec::new();
    for name in table.lines().skip(1).map(|line| line.split('\t').next().unwrap()) {
        let file = |file: &str| read(&format!("simulated/{name}/{file}"));
        let quote = file("quote.bin");
        let evidence = Evidence::from_quote(quote.clone()).unwrap_or(Evidence::SgxQuote(quote));
        let now = String::from_utf8(file("time")).unwrap().trim().parse().unwrap();
        let trust = TrustAnchor::simulated(&file("root.der")).unwrap();
        if let Ok(collateral) = Collateral::from_json(&file("collateral.json")) {
            verdicts.push((name.into(), verify(&evidence, &collateral, &trust, &any_identity(), now)));
        }
    }
    for (name, now) in [
        ("sgx_quote", 1_750_377_600),
        ("tdx_quote", 1_750_377_600),
        ("tdx_quote_outdated", 1_772_323_200),
        ("tdx_quote_td15ex", 1_792_454_400),
    ] {
        let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{name}"))).unwrap();
        let collateral = Collateral::from_json(&read(&format!("dcap-qvl/{name}_collateral.json"))).unwrap();
        verdicts
            .push((name.into(), verify(&evidence, &collateral, &TrustAnchor::intel(), &any_identity(), now)));
    }
    verdicts
}

/// Trust domains that no policy accepts, and quotes and collateral with one more fault each.
pub fn faults(fixture: &Fixture) -> Vec<(String, Verdict)> {
    let td15 = || Td { version: TdVersion::V5Td15, ..trust_domain() };
    let mut tds = vec![
        Td { mr_service_td: SERVICE_TD, ..td15() },
        Td { version: TdVersion::V5Td15Ex, mr_service_td: SERVICE_TD, ..trust_domain() },
        Td { mr_signer_seam: [9; 48], ..trust_domain() },
        Td { seam_attributes: 1, ..trust_domain() },
        Td { tee_tcb_svn: [0; 16], ..trust_domain() },
        Td { tee_tcb_svn2: [0; 16], ..td15() },
    ];
    for bits in [1 << 29, 1 << 17, 1 << 8, 1 << 40, 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7] {
        tds.push(Td { td_attributes: TD_PRODUCTION | bits, ..trust_domain() });
    }
    tds.push(Td { td_attributes: 0, ..trust_domain() });
    let mut verdicts: Vec<(String, Verdict)> = tds
        .iter()
        .map(|td| (format!("{td:?}"), fixture.with_policy(&fixture.td(td), &any_identity())))
        .collect();
    for options in [
        CollateralOptions { fmspc: Some([0xfa; 6]), ..CollateralOptions::default() },
        CollateralOptions { pce_id: Some([9, 9]), ..CollateralOptions::default() },
        CollateralOptions { tcb_info_version: 2, ..CollateralOptions::default() },
        CollateralOptions { tcb_type: 7, ..CollateralOptions::default() },
        CollateralOptions { tcb_info_id: Some("TDX".into()), ..CollateralOptions::default() },
        CollateralOptions {
            qe_identity: Some(QeIdentity { mrsigner: [0xfb; 32], ..QeIdentity::of(Tee::Sgx) }),
            ..CollateralOptions::default()
        },
        CollateralOptions {
            qe_identity: Some(QeIdentity { isv_prod_id: 4711, ..QeIdentity::of(Tee::Sgx) }),
            ..CollateralOptions::default()
        },
        CollateralOptions {
            qe_identity: Some(QeIdentity { version: 77, ..QeIdentity::of(Tee::Sgx) }),
            ..CollateralOptions::default()
        },
    ] {
        if let Ok(collateral) = fixture.collateral(Tee::Sgx, &options) {
            let verdict = fixture.appraise(&fixture.sgx(&production()), &collateral, &any_identity());
            verdicts.push((format!("{options:?}"), verdict));
        }
    }
    for shape in [
        QuoteShape { vendor_id: [0xfc; 16], ..QuoteShape::default() },
        QuoteShape { auth_data: vec![1; 31], ..QuoteShape::default() },
        QuoteShape {
            qe: Some(Enclave { miscselect: 1, ..Enclave::quoting(Tee::Sgx) }),
            ..QuoteShape::default()
        },
        QuoteShape {
            qe: Some(Enclave { flags: 0x15, ..Enclave::quoting(Tee::Sgx) }),
            ..QuoteShape::default()
        },
        QuoteShape {
            qe: Some(Enclave { flags: 0x31, ..Enclave::quoting(Tee::Sgx) }),
            ..QuoteShape::default()
        },
        QuoteShape {
            qe: Some(Enclave { isv_svn: 1, ..Enclave::quoting(Tee::Sgx) }),
            ..QuoteShape::default()
        },
    ] {
        let verdict = fixture.with_policy(&fixture.shaped(&production(), &shape), &any_identity());
        verdicts.push((format!("{shape:?}"), verdict));
    }
    verdicts
}
