//! Enclaves and malformed quotes.

use crate::appraisal::{appraise, collateral, healthy, refused};
use dcap_qvl::QuoteClaims;
use dcap_qvl::quote::Quote;
use tcs_evidence::SgxQuoteV3;
use tcs_sgx_sim::{Enclave, QuoteShape, Td, TdVersion, Tee};

fn shaped(shape: &QuoteShape) -> Result<QuoteClaims, String> {
    let platform = healthy();
    let quote = platform.sgx_quote_shaped(&Enclave::default(), shape).unwrap();
    appraise(&platform, &quote, &collateral(&platform, Tee::Sgx))
}

fn shaped_td(version: TdVersion, shape: &QuoteShape) -> Result<QuoteClaims, String> {
    let platform = healthy();
    let quote = platform.td_quote_shaped(&Td { version, ..Td::default() }, shape).unwrap();
    appraise(&platform, &quote, &collateral(&platform, Tee::Tdx))
}

/// In each of the layouts: version 3, 4 and 5.
fn everywhere(shape: &QuoteShape) -> [Result<QuoteClaims, String>; 3] {
    [shaped(shape), shaped_td(TdVersion::V4, shape), shaped_td(TdVersion::V5Td15, shape)]
}

#[test]
fn every_field_of_an_enclave_is_in_its_report() {
    let enclave = Enclave {
        mrenclave: [1; 32],
        mrsigner: [2; 32],
        isv_prod_id: 0x0304,
        isv_svn: 0x0506,
        flags: 0x8000_0000_0000_0087,
        xfrm: 0x0102_0304_0506_0708,
        miscselect: 0x0a0b_0c0d,
        config_id: [7; 64],
        config_svn: 0x0809,
        isv_ext_prod_id: [9; 16],
        isv_family_id: [10; 16],
        report_data: [11; 64],
    };
    let platform = healthy();
    let quote = platform.sgx_quote(&enclave).unwrap();
    let parsed = SgxQuoteV3::parse(&quote).unwrap();
    assert_eq!((parsed.mrenclave(), parsed.report().mrsigner()), ([1; 32], [2; 32]));
    assert_eq!(
        (parsed.isv_prod_id(), parsed.report().isv_svn(), parsed.report_data()),
        (0x0304, 0x0506, [11; 64])
    );
    let claims = appraise(&platform, &quote, &collateral(&platform, Tee::Sgx)).unwrap();
    let report = claims.report.as_sgx().unwrap();
    assert_eq!(report.misc_select, 0x0a0b_0c0d);
    assert_eq!(report.attributes, [0x87, 0, 0, 0, 0, 0, 0, 0x80, 8, 7, 6, 5, 4, 3, 2, 1]);
    // CONFIGID, CONFIGSVN, ISVEXTPRODID and ISVFAMILYID are in fields that dcap-qvl calls reserved.
    assert_eq!((&report.reserved3[..32], &report.reserved3[32..]), ([0; 32].as_slice(), [7; 64].as_slice()));
    assert_eq!((&report.reserved1[..12], &report.reserved1[12..]), ([0; 12].as_slice(), [9; 16].as_slice()));
    assert_eq!((report.reserved4[..2].to_vec(), &report.reserved4[44..]), (vec![9, 8], [10; 16].as_slice()));
    assert_eq!((report.reserved2, &report.reserved4[2..44]), ([0; 32], [0; 42].as_slice()));
}

#[test]
fn the_shorthand_quotes_the_default_enclave() {
    let platform = healthy();
    let enclave = Enclave { mrenclave: [7; 32], report_data: [9; 64], ..Enclave::default() };
    let (short, long) = (platform.quote([7; 32], [9; 64]).unwrap(), platform.sgx_quote(&enclave).unwrap());
    assert_eq!(short[..432], long[..432], "signatures differ each time");
}

#[test]
fn authentication_data_of_any_length() {
    for length in [0, 1, 31, 33, 64, 1000] {
        let shape = QuoteShape { auth_data: vec![7; length], ..QuoteShape::default() };
        for result in everywhere(&shape) {
            refused(result, "Invalid QE auth data length");
        }
    }
    // The QE report binds them: other bytes of the right length are accepted.
    for result in everywhere(&QuoteShape { auth_data: vec![7; 32], ..QuoteShape::default() }) {
        result.unwrap();
    }
    let shape = QuoteShape { auth_data: vec![7; 65_536], ..QuoteShape::default() };
    let error = healthy().sgx_quote_shaped(&Enclave::default(), &shape).err().unwrap();
    assert_eq!(error.code(), "PlatformTooLong");
}

#[test]
fn a_foreign_attestation_key_is_refused() {
    for result in everywhere(&QuoteShape { ak_swap: true, ..QuoteShape::default() }) {
        refused(result, "QE report hash mismatch");
    }
}

#[test]
fn headers_may_be_wrong() {
    let default = QuoteShape::default();
    for result in everywhere(&QuoteShape { key_type: 3, ..default.clone() }) {
        refused(result, "Unsupported DCAP attestation key type");
    }
    for result in everywhere(&QuoteShape { vendor_id: [0; 16], ..default.clone() }) {
        refused(result, "Unknown QE vendor ID");
    }
    for result in everywhere(&QuoteShape { version: Some(6), ..default.clone() }) {
        refused(result, "Unsupported quote version");
    }
    refused(shaped(&QuoteShape { version: Some(4), ..default.clone() }), "Failed to decode quote");
    refused(shaped(&QuoteShape { tee_type: Some(0x81), ..default.clone() }), "Invalid TEE type");
    let sgx = QuoteShape { tee_type: Some(0), ..default };
    refused(shaped_td(TdVersion::V4, &sgx), "Failed to decode quote");
    refused(shaped_td(TdVersion::V5Td15, &sgx), "SGX TEE quote must have version 3");
}

#[test]
fn enclaves_in_the_layouts_of_trust_domains() {
    for layout in [4, 5] {
        let shape = QuoteShape { sgx_layout: layout, ..QuoteShape::default() };
        let quote = healthy().sgx_quote_shaped(&Enclave::default(), &shape).unwrap();
        let parsed = Quote::parse(&quote).unwrap();
        assert_eq!((parsed.header.version, parsed.report.is_sgx()), (layout, true));
        refused(shaped(&shape), "SGX TEE quote must have version 3");
    }
}

/// dcap-qvl ignores bytes that no field contains.
#[test]
fn bytes_too_many() {
    let platform = healthy();
    let quote = |shape: &QuoteShape| platform.sgx_quote_shaped(&Enclave::default(), shape).unwrap();
    let plain = quote(&QuoteShape::default());
    SgxQuoteV3::parse(&plain).unwrap();
    let after = QuoteShape { trailing: vec![7; 3], ..QuoteShape::default() };
    let long = quote(&after);
    assert_eq!((long.len(), &long[plain.len()..]), (plain.len() + 3, [7; 3].as_slice()));
    assert!(SgxQuoteV3::parse(&long).is_err());
    let inside = QuoteShape { trailing_inside: vec![7; 3], ..QuoteShape::default() };
    let long = quote(&inside);
    assert_eq!(long.len(), plain.len() + 3);
    SgxQuoteV3::parse(&long).unwrap();
    for shape in [after, inside] {
        for result in everywhere(&shape) {
            result.unwrap();
        }
    }
}

#[test]
fn certification_data_may_be_wrong() {
    let shape = QuoteShape { certification_type: 3, ..QuoteShape::default() };
    for result in everywhere(&shape) {
        refused(result, "Unsupported DCAP PCK cert format: 3");
    }
    let leaf =
        healthy().pck_chain().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    let shape = QuoteShape { certification_data: Some(leaf.into_bytes()), ..QuoteShape::default() };
    for result in everywhere(&shape) {
        refused(result, "UnknownIssuer");
    }
}

#[test]
fn flipped_bits_are_refused() {
    let platform = healthy();
    // Version 3: header and report, signature, attestation key, QE report, its signature.
    let sgx = platform.sgx_quote(&Enclave::default()).unwrap();
    for (at, reason) in [
        (30, "ISV enclave report signature is invalid"),
        (120, "ISV enclave report signature is invalid"),
        (470, "ISV enclave report signature is invalid"),
        (520, "QE report hash mismatch"),
        (600, "Signature is invalid for qe_report"),
        (970, "Signature is invalid for qe_report"),
    ] {
        let mut bad = sgx.clone();
        bad[at] ^= 1;
        refused(appraise(&platform, &bad, &collateral(&platform, Tee::Sgx)), reason);
    }
    for (version, body) in [(TdVersion::V4, 632), (TdVersion::V5Td10, 638), (TdVersion::V5Td15, 702)] {
        let good = platform.td_quote(&Td { version, ..Td::default() }).unwrap();
        for (at, reason) in [
            (200, "ISV enclave report signature is invalid"),
            (body + 4, "ISV enclave report signature is invalid"),
            (body + 4 + 64, "QE report hash mismatch"),
            (body + 4 + 128 + 6, "Signature is invalid for qe_report"),
            (body + 4 + 128 + 6 + 384 + 10, "Signature is invalid for qe_report"),
        ] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            refused(appraise(&platform, &bad, &collateral(&platform, Tee::Tdx)), reason);
        }
    }
}
