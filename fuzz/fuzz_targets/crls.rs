//! CRLs as DER, in collateral that is sound: first as the root CA's, then as the PCK CA's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_fuzz::SGX;

fuzz_target!(|der: &[u8]| {
    for member in ["root_ca_crl", "pck_crl"] {
        SGX.check_crl(&SGX.json_with(member, hex::encode(der)));
    }
});
