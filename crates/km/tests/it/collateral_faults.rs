//! Sources of collateral with a PCCS of the tests that fails in every possible way.

use crate::support::collateral::{Fixture, assert_fault};
use tcs_km::collateral::{Error, Numbers, PlatformKey, Update, advance};
use tcs_sgx_sim::{CollateralOptions, Tee};
use tcs_testkit::pccs::{Fault, Pccs};
use tcs_verifier::inspect;

#[test]
fn fault_404_the_service_does_not_know_the_platform() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    for status in [404, 410, 461] {
        pccs.fail(Fault::Status(status));
        assert_fault(fixture.ask(&pccs), "CollateralNotFound", &pccs);
    }
    // Another attempt would not help.
    let before = pccs.requests().len();
    let error = fixture.get(&format!("pccs_url = '{}'\nattempts = 5\n", pccs.url())).err().unwrap();
    assert_eq!((error.code(), pccs.requests().len()), ("CollateralNotFound", before + 1));
}

#[test]
fn fault_500_and_other_statuses() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    for status in [500, 503, 400, 401, 403, 429, 204] {
        pccs.fail(Fault::Status(status));
        let result = fixture.ask(&pccs);
        assert!(result.as_ref().err().unwrap().to_string().contains(&status.to_string()));
        assert_fault(result, "CollateralServerError", &pccs);
    }
}

#[test]
fn fault_slow_ends_after_the_time_allowed() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::Slow);
    let settings = format!("pccs_url = '{}'\nattempts = 1\ntimeout_seconds = 1\n", pccs.url());
    assert_fault(fixture.get(&settings), "CollateralTimeout", &pccs);
}

#[test]
fn fault_cut_off_is_no_answer() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::CutOff);
    assert_fault(fixture.ask(&pccs), "CollateralTruncated", &pccs);
}

#[test]
fn fault_wrong_json_is_no_answer() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::WrongJson);
    assert_fault(fixture.ask(&pccs), "CollateralResponseMalformed", &pccs);
    pccs.fail(Fault::NoChains);
    assert_fault(fixture.ask(&pccs), "CollateralResponseMalformed", &pccs);
    // In the right form, but with a status that Intel does not have.
    pccs.fail(Fault::None);
    let mut level = fixture.platform.tcb_level();
    level.status = "Fine".into();
    let options = CollateralOptions { tcb_levels: Some(vec![level]), ..CollateralOptions::default() };
    pccs.serve(fixture.issue(Tee::Sgx, &options));
    assert_fault(fixture.ask(&pccs), "CollateralResponseMalformed", &pccs);
}

#[test]
fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::TooLong);
    assert_fault(fixture.ask(&pccs), "CollateralTooLong", &pccs);
}

#[test]
fn a_redirect_is_not_followed() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.healthy()).unwrap();
    pccs.fail(Fault::Redirect);
    assert_fault(fixture.ask(&pccs), "CollateralServerError", &pccs);
    assert_eq!(pccs.requests().len(), 1);
}

#[test]
fn fault_stale_collateral_is_refused_by_verification() {
    let fixture = Fixture::new();
    let pccs = Pccs::http(fixture.issue(Tee::Sgx, &CollateralOptions::valid_for_days(-1))).unwrap();
    let obtained = fixture.ask(&pccs).unwrap();
    assert_eq!(fixture.appraise(&obtained).accepted().unwrap_err().code(), "CollateralExpired");
}

#[test]
fn fault_wrong_signature_is_refused_by_verification() {
    let fixture = Fixture::new();
    let mut forged = fixture.healthy();
    forged.tcb_info =
        forged.tcb_info.replace("\"tcbEvaluationDataNumber\":17", "\"tcbEvaluationDataNumber\":18");
    let pccs = Pccs::http(forged).unwrap();
    let obtained = fixture.ask(&pccs).unwrap();
    assert_eq!(fixture.appraise(&obtained).accepted().unwrap_err().code(), "SignatureInvalid");
}

#[test]
fn fault_rolled_back_collateral_is_refused_by_the_state() {
    let fixture = Fixture::new();
    let (new, old) = (
        CollateralOptions { root_crl_number: 3, pck_crl_number: 3, ..CollateralOptions::default() },
        CollateralOptions { root_crl_number: 3, pck_crl_number: 2, ..CollateralOptions::default() },
    );
    let pccs = Pccs::http(fixture.issue(Tee::Sgx, &new)).unwrap();
    let key = PlatformKey::of(&inspect(&fixture.sgx()).unwrap());
    let remember = || {
        let verdict = fixture.appraise(&fixture.ask(&pccs).unwrap());
        let claims = verdict.accepted().unwrap();
        advance(&fixture.path("state"), key, Update::Standard, &claims.root_key_id, Numbers::of(claims))
    };
    remember().unwrap();
    pccs.serve(fixture.issue(Tee::Sgx, &old));
    let error = remember().unwrap_err();
    assert!(matches!(error, Error::Rollback { number: "PCK CRL number", found: 2, seen: 3, .. }), "{error}");
    for evaluation in [
        CollateralOptions { tcb_info_evaluation: 16, ..new.clone() },
        CollateralOptions { qe_identity_evaluation: 16, ..new.clone() },
    ] {
        pccs.serve(fixture.issue(Tee::Sgx, &evaluation));
        assert_eq!(remember().unwrap_err().code(), "CollateralRollback");
    }
    pccs.serve(fixture.issue(Tee::Sgx, &new));
    remember().unwrap();
    // The number of the TCB info is compared on its own, even if the number of the QE identity is the lower
    // one.
    pccs.serve(fixture.issue(Tee::Sgx, &CollateralOptions { tcb_info_evaluation: 18, ..new.clone() }));
    remember().unwrap();
    pccs.serve(fixture.issue(Tee::Sgx, &new));
    let error = remember().unwrap_err();
    assert!(matches!(error, Error::Rollback { found: 17, seen: 18, .. }), "{error}");
}

#[test]
fn fault_tls_by_an_unknown_ca() {
    let fixture = Fixture::new();
    let pccs = Pccs::https(fixture.healthy()).unwrap();
    assert_fault(fixture.ask(&pccs), "CollateralTls", &pccs);
    assert!(pccs.requests().is_empty());
    let other = Pccs::https(fixture.healthy()).unwrap();
    fixture.write("ca.pem", other.ca_pem());
    let settings = format!("pccs_url = '{}'\nca_file = 'ca.pem'\nattempts = 1\n", pccs.url());
    assert_fault(fixture.get(&settings), "CollateralTls", &pccs);
    fixture.write("ca.pem", pccs.ca_pem());
    assert!(fixture.appraise(&fixture.get(&settings).unwrap()).accepted().is_ok());
    fixture.write("ca.pem", "no certificate");
    assert_eq!(fixture.get(&settings).err().unwrap().code(), "CollateralSettings");
}

#[test]
fn nobody_there_is_no_connection() {
    let fixture = Fixture::new();
    let url = Pccs::http(fixture.healthy()).unwrap().url();
    let error = fixture.get(&format!("pccs_url = '{url}'\nattempts = 1\n")).err().unwrap();
    assert_eq!(error.code(), "CollateralConnect", "{error}");
}
