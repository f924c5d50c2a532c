//! The PEM text of a certificate request: one block, whose base64 stands in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_issuer::delivery::read_request;

fuzz_target!(|data: &[u8]| {
    if let Some(der) = read_request(data) {
        assert!(der.len() < data.len());
        assert_eq!(data.windows(5).filter(|window| window == b"BEGIN").count(), 1);
    }
});
