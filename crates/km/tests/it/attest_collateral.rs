//! `km-attest` against a PCCS with a cache and a state file, in a build with the feature `simulation`.

use crate::support::attest::{BOUND, Fixture, SIMULATION, assert_accepted, assert_refused, now};
use tcs_sgx_sim::CollateralOptions;

/// A service that was wrong once is used again as soon as it is right.
#[test]
fn collateral_that_is_not_genuine_is_not_kept() {
    let fixture = Fixture::new();
    let issue = || fixture.issue(&CollateralOptions::default());
    let mut forged = issue();
    forged.tcb_info_signature[0] ^= 1;
    let pccs = tcs_testkit::Pccs::http(forged).unwrap();
    let collateral =
        format!("[collateral]\npccs_url = \"{}\"\nproxy = \"none\"\ncache = \"cache\"\n", pccs.url());
    fixture.configure_with(&Fixture::identity(), &collateral, SIMULATION);
    assert_refused(&fixture.run(&[]), 3, "SignatureInvalid", BOUND);
    pccs.serve(issue());
    assert_accepted(&fixture.run(&[]));
    let asked = pccs.requests().len();
    assert_accepted(&fixture.run(&[]));
    assert_eq!(pccs.requests().len(), asked, "now there is a copy");
}

/// The program with a PCCS, a cache and a state file: numbers that were seen once do not decrease.
#[test]
fn collateral_that_goes_back_is_refused_by_the_program() {
    let fixture = Fixture::new();
    let now = now();
    let issue =
        |pck_crl_number| fixture.issue(&CollateralOptions { pck_crl_number, ..CollateralOptions::default() });
    let pccs = tcs_testkit::Pccs::http(issue(5)).unwrap();
    let collateral =
        format!("[collateral]\npccs_url = \"{}\"\nproxy = \"none\"\nstate = \"state.json\"\n", pccs.url());
    fixture.configure_with(&Fixture::identity(), &collateral, SIMULATION);
    assert_accepted(&fixture.run(&[]));
    let state = std::fs::read_to_string(fixture.path("state.json")).unwrap();
    assert!(
        state.contains("platform/00606a000000/sgx/standard/") && state.contains("\"pckCrl\": 5"),
        "{state}"
    );
    pccs.serve(issue(4));
    assert_refused(&fixture.run(&[]), 5, "CollateralRollback", BOUND);
    let document: serde_json::Value = serde_json::from_slice(&fixture.run(&["--json"]).stdout).unwrap();
    let last = document["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["id"], &last["outcome"]), (&"roll-back".into(), &"failed".into()));
    // A file named by an option is treated in the same way. At another time than now, nothing is read or
    // stored.
    fixture.write("old.json", issue(4).to_json());
    let old = fixture.path("old.json");
    assert_refused(&fixture.run(&["--collateral", old.to_str().unwrap()]), 5, "CollateralRollback", BOUND);
    assert_eq!(fixture.run(&["--at", &now.to_string()]).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(fixture.path("state.json")).unwrap(), state);
    // Forged collateral never increases the stored numbers.
    let mut forged = issue(9);
    forged.tcb_info_signature[0] ^= 1;
    pccs.serve(forged);
    assert_refused(&fixture.run(&[]), 3, "SignatureInvalid", BOUND);
    pccs.serve(issue(5));
    assert_accepted(&fixture.run(&[]));
}

/// Genuine collateral that is older than what was seen is not stored either; otherwise the next run would
/// still be refused.
#[test]
fn collateral_that_goes_back_is_not_kept() {
    let fixture = Fixture::new();
    let now = now();
    let issue =
        |pck_crl_number| fixture.issue(&CollateralOptions { pck_crl_number, ..CollateralOptions::default() });
    let pccs = tcs_testkit::Pccs::http(issue(5)).unwrap();
    let settings = |more: &str| {
        let url = pccs.url();
        let text =
            format!("[collateral]\npccs_url = \"{url}\"\nproxy = \"none\"\nstate = \"state.json\"\n{more}");
        fixture.configure_with(&Fixture::identity(), &text, SIMULATION);
    };
    settings("");
    assert_accepted(&fixture.run(&[]));
    settings("cache = \"cache\"\n");
    pccs.serve(issue(4));
    assert_refused(&fixture.run(&[]), 5, "CollateralRollback", BOUND);
    // At another time than now nothing is compared, so nothing is stored.
    assert_eq!(fixture.run(&["--at", &now.to_string()]).status.code(), Some(0));
    pccs.serve(issue(5));
    assert_accepted(&fixture.run(&[]));
}
