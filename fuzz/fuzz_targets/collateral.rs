//! Collateral as JSON. After a first byte `0` or `1`: the text of the TCB info or of the QE identity, in JSON
//! that is valid otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_fuzz::{SGX, TDX};

fuzz_target!(|data: &[u8]| {
    let member = match data.first() {
        Some(b'0') => "tcb_info",
        Some(b'1') => "qe_identity",
        _ => {
            SGX.check_collateral(data);
            TDX.check_collateral(data);
            return;
        }
    };
    if let Ok(text) = std::str::from_utf8(&data[1..]) {
        SGX.check_collateral(&SGX.json_with(member, text.into()));
        TDX.check_collateral(&TDX.json_with(member, text.into()));
    }
});
