//! The policy file of km-attest: mistakes are reported on one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_km::appraisal::Settings;

fuzz_target!(|text: &str| {
    if let Err(error) = Settings::parse(text) {
        assert!(!error.is_empty() && !error.contains('\n'), "{error:?}");
    }
});
