//! What TCB info says about itself.

use crate::appraisal::{appraise_collateral, healthy, platform, refused};
use serde_json::Value;
use tcs_sgx_sim::{Collateral, CollateralOptions, Options, Tee};

fn tcb_info(options: &CollateralOptions, tee: Tee) -> Value {
    let collateral: Collateral = healthy().collateral(crate::appraisal::NOW, tee, options).unwrap();
    serde_json::from_str(&collateral.tcb_info).unwrap()
}

#[test]
fn another_family_does_not_fit() {
    let options = CollateralOptions { fmspc: Some([9; 6]), ..CollateralOptions::default() };
    for tee in [Tee::Sgx, Tee::Tdx] {
        refused(appraise_collateral(&healthy(), tee, &options), "Fmspc mismatch");
        let other = platform(&Options { fmspc: [9; 6], ..Options::default() });
        appraise_collateral(&other, tee, &options).unwrap();
    }
}

#[test]
fn another_kind_or_version_does_not_fit() {
    for (tee, id, reason) in [(Tee::Sgx, "TDX", "non-SGX TCB info"), (Tee::Tdx, "SGX", "non-TDX TCB info")] {
        let options = CollateralOptions { tcb_info_id: Some(id.into()), ..CollateralOptions::default() };
        refused(appraise_collateral(&healthy(), tee, &options), reason);
    }
    let options = CollateralOptions { tcb_info_version: 1, ..CollateralOptions::default() };
    refused(appraise_collateral(&healthy(), Tee::Sgx, &options), "non-SGX TCB info");
    refused(appraise_collateral(&healthy(), Tee::Tdx, &options), "non-TDX TCB info");
}

/// dcap-qvl reads neither of them, so the test reads the text.
#[test]
fn pce_id_and_type_may_be_wrong() {
    let options = CollateralOptions { pce_id: Some([0xab, 1]), tcb_type: 1, ..CollateralOptions::default() };
    let default = CollateralOptions::default();
    for tee in [Tee::Sgx, Tee::Tdx] {
        let text = |options| {
            let info = tcb_info(options, tee);
            (info["pceId"].as_str().unwrap().to_owned(), info["tcbType"].as_u64().unwrap())
        };
        assert_eq!(text(&options), ("AB01".into(), 1));
        assert_eq!(text(&default), ("0000".into(), 0));
    }
}

#[test]
fn only_tdx_has_modules() {
    let default = CollateralOptions::default();
    let (sgx, tdx) = (tcb_info(&default, Tee::Sgx), tcb_info(&default, Tee::Tdx));
    for (name, of_level) in [("tdxModule", false), ("tdxModuleIdentities", false), ("tdxtcbcomponents", true)]
    {
        let part = |info: &Value| {
            let object = if of_level { &info["tcbLevels"][0]["tcb"] } else { info };
            object.get(name).is_some()
        };
        assert!(!part(&sgx) && part(&tdx), "{name}");
    }
}
