//! Genuine quotes under Intel's root.

use crate::{any_identity, read};
use tcs_evidence::Evidence;
use tcs_verifier::{
    Class, Collateral, Error, Lacking, PckCa, TcbStatus, TrustAnchor, Validity, Verdict, Workload, verify,
};

/// 2025-06-20T00:00:00Z, 2026-03-01T00:00:00Z and 2026-10-20T00:00:00Z, which are within the validity.
const SUMMER: i64 = 1_750_377_600;
const SPRING: i64 = 1_772_323_200;
const AUTUMN: i64 = 1_792_454_400;
/// The validity of the SGX quote's collateral: 2025-06-19T10:56:11Z to 2025-07-19T10:01:18Z.
const FIRST: i64 = 1_750_330_571;
const LAST: i64 = 1_752_919_278;

fn appraise(name: &str, now: i64) -> Verdict {
    let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{name}"))).unwrap();
    appraise_evidence(&evidence, name, now)
}

fn appraise_evidence(evidence: &Evidence, name: &str, now: i64) -> Verdict {
    let collateral = Collateral::from_json(&read(&format!("dcap-qvl/{name}_collateral.json"))).unwrap();
    verify(evidence, &collateral, &TrustAnchor::intel(), &any_identity(), now)
}

#[test]
fn sgx_quote_is_genuine_and_its_status_refused_by_name() {
    let verdict = appraise("sgx_quote", SUMMER);
    let claims = verdict.claims().unwrap();
    assert_eq!(claims.status, TcbStatus::ConfigurationAndSwHardeningNeeded);
    assert_eq!(claims.advisory_ids, ["INTEL-SA-00289", "INTEL-SA-00615"]);
    assert_eq!(hex::encode(claims.platform.fmspc), "00a067110000");
    assert_eq!(claims.platform.ca, PckCa::Processor);
    assert!(claims.report_data.starts_with(b"Hello, world!"));
    assert!(matches!(claims.workload, Workload::Enclave(_)) && !claims.simulated);
    assert_eq!(verdict.qv_result().unwrap().name(), "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED");
    let error = verdict.accepted().unwrap_err();
    assert_eq!(
        *error,
        Error::TcbStatusRefused {
            whose: "platform",
            status: TcbStatus::ConfigurationAndSwHardeningNeeded,
            advisory_ids: vec!["INTEL-SA-00289".into(), "INTEL-SA-00615".into()],
            lacking: Lacking::Status { accepted: vec!["UpToDate", "SWHardeningNeeded"] },
        }
    );
    assert_eq!(error.class(), Class::Policy);
    assert!(error.to_string().contains("INTEL-SA-00289, INTEL-SA-00615"));
}

#[test]
fn collateral_is_valid_as_long_as_its_shortest_part() {
    let collateral = Collateral::from_json(&read("dcap-qvl/sgx_quote_collateral.json")).unwrap();
    assert_eq!(
        collateral.validity(),
        Validity { not_before: FIRST.cast_unsigned(), not_after: LAST.cast_unsigned() }
    );
}

#[test]
fn tdx_quotes_of_versions_4_and_5_are_up_to_date() {
    for (name, now, fmspc) in
        [("tdx_quote", SUMMER, "b0c06f000000"), ("tdx_quote_td15ex", AUTUMN, "b0c06f000000")]
    {
        let verdict = appraise(name, now);
        let claims = verdict.accepted().unwrap();
        assert_eq!(
            (claims.status, hex::encode(claims.platform.fmspc).as_str()),
            (TcbStatus::UpToDate, fmspc)
        );
        assert!(matches!(claims.workload, Workload::TrustDomain(_)) && !claims.simulated);
        assert_eq!(verdict.qv_result().unwrap().value(), 0);
    }
}

#[test]
fn an_outdated_tdx_platform_is_at_no_level() {
    let verdict = appraise("tdx_quote_outdated", SPRING);
    let error = verdict.accepted().unwrap_err();
    assert_eq!((error.code(), error.class()), ("TcbLevelNotSupported", Class::Verification));
    assert!(verdict.claims().is_none());
}

/// Each a second inside and a second outside its validity, which the comments give.
#[test]
fn outside_the_windows_of_their_collateral_all_are_refused_for_expiry() {
    for (name, first, last, inside) in [
        ("sgx_quote", FIRST, LAST, "TcbStatusRefused"),
        // 2025-06-19T10:32:27Z to 2025-07-19T10:00:35Z, when a CRL expires; at its nextUpdate it has expired.
        ("tdx_quote", 1_750_329_147, 1_752_919_234, "accepted"),
        // 2026-10-08T00:28:26Z to 2026-11-06T23:45:11Z.
        ("tdx_quote_td15ex", 1_791_419_306, 1_794_008_711, "accepted"),
    ] {
        let code = |now| appraise(name, now).accepted().map_or_else(Error::code, |_| "accepted");
        assert_eq!((code(first), code(last)), (inside, inside), "{name}");
        assert_eq!(
            (code(first - 1), code(last + 1)),
            ("CollateralNotYetValid", "CollateralExpired"),
            "{name}"
        );
    }
    for (now, code) in
        [(SPRING - 40 * 86_400, "CollateralNotYetValid"), (SPRING + 40 * 86_400, "CollateralExpired")]
    {
        assert_eq!(appraise("tdx_quote_outdated", now).accepted().unwrap_err().code(), code);
    }
    for (now, code) in [
        (LAST + 50 * 365 * 86_400, "CollateralExpired"),
        (0, "CollateralNotYetValid"),
        (-1, "CollateralNotYetValid"),
        (i64::MIN, "CollateralNotYetValid"),
        (i64::MAX, "CollateralExpired"),
    ] {
        let verdict = appraise("sgx_quote", now);
        let error = verdict.accepted().unwrap_err();
        assert_eq!((error.code(), error.class()), (code, Class::Collateral), "{now}");
    }
}

/// A genuine quote does not become a simulated one by another root.
#[test]
fn genuine_quotes_are_refused_under_a_simulated_root() {
    let other = TrustAnchor::simulated(&read("simulated/ok/root.der")).unwrap();
    for (name, now) in [("sgx_quote", SUMMER), ("tdx_quote", SUMMER), ("tdx_quote_td15ex", AUTUMN)] {
        let evidence = Evidence::from_quote(read(&format!("dcap-qvl/{name}"))).unwrap();
        let collateral = Collateral::from_json(&read(&format!("dcap-qvl/{name}_collateral.json"))).unwrap();
        let verdict = verify(&evidence, &collateral, &other, &any_identity(), now);
        assert_eq!(verdict.accepted().unwrap_err().code(), "UntrustedRoot", "{name}");
    }
}

#[test]
fn collateral_of_another_platform_does_not_fit() {
    let quote = Evidence::from_quote(read("dcap-qvl/tdx_quote")).unwrap();
    let verdict = appraise_evidence(&quote, "sgx_quote", SUMMER);
    assert_eq!(verdict.accepted().unwrap_err().class(), Class::Collateral, "{:?}", verdict.accepted());
}
