//! A genuine SGX quote under Intel's root.

use crate::{any_identity, read};
use tcs_evidence::Evidence;
use tcs_verifier::{Class, Collateral, Error, TrustRoot, verify};

/// 2025-06-20T00:00:00Z: inside the window of all collateral.
const INSIDE: i64 = 1_750_377_600;
/// 2025-06-19T10:56:11Z and 2025-07-19T10:01:18Z.
const FIRST: i64 = 1_750_330_571;
const LAST: i64 = 1_752_919_278;

fn judge(quote: Vec<u8>, now: i64) -> Error {
    let collateral = Collateral::from_json(&read("dcap-qvl/sgx_quote_collateral.json")).unwrap();
    verify(&Evidence::SgxQuote(quote), &collateral, &TrustRoot::intel(), &any_identity(), now).unwrap_err()
}

fn quote() -> Vec<u8> {
    read("dcap-qvl/sgx_quote")
}

#[test]
fn a_genuine_quote_is_verified_and_its_status_refused_by_name() {
    let error = judge(quote(), INSIDE);
    assert_eq!(
        error,
        Error::TcbStatusRefused {
            status: "ConfigurationAndSWHardeningNeeded",
            name: "SGX_QL_QV_RESULT_CONFIG_AND_SW_HARDENING_NEEDED",
            advisory_ids: vec!["INTEL-SA-00289".into(), "INTEL-SA-00615".into()],
        }
    );
    assert_eq!(error.class(), Class::Policy);
    assert!(error.to_string().contains("INTEL-SA-00289, INTEL-SA-00615"));
}

#[test]
fn outside_the_window_of_its_collateral_nothing_is_verified() {
    assert_eq!(judge(quote(), FIRST).code(), "TcbStatusRefused");
    assert_eq!(judge(quote(), LAST).code(), "TcbStatusRefused");
    for (now, code) in [
        (FIRST - 1, "CollateralNotYetValid"),
        (LAST + 1, "CollateralExpired"),
        (LAST + 50 * 365 * 86_400, "CollateralExpired"),
        (0, "CollateralNotYetValid"),
        (-1, "CollateralNotYetValid"),
        (i64::MIN, "CollateralNotYetValid"),
        (i64::MAX, "CollateralExpired"),
    ] {
        let error = judge(quote(), now);
        assert_eq!((error.code(), error.class()), (code, Class::Collateral), "{now}");
    }
}

#[test]
fn flipped_bits_are_refused() {
    // Every 5th byte of header, report, length, signatures, keys, QE report and authentication data.
    for at in (0..436 + 576 + 2 + 32 + 6).step_by(5) {
        let mut flipped = quote();
        flipped[at] ^= 1 << (at % 8);
        let error = judge(flipped, INSIDE);
        assert_ne!(error.class(), Class::Policy, "bit {} of byte {at}: {error}", at % 8);
    }
}
