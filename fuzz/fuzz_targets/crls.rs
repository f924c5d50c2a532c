//! CRLs as DER, in collateral that is valid otherwise: first as that of the root CA, then as that of the PCK
//! CA.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_fuzz::SGX;

fuzz_target!(|der: &[u8]| {
    for member in ["root_ca_crl", "pck_crl"] {
        SGX.check_crl(&SGX.json_with(member, hex::encode(der)));
    }
});
