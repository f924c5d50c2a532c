//! The PEM text of a certificate request: exactly one block, so that everybody reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_issuer::delivery::read_request;

fuzz_target!(|data: &[u8]| {
    if let Some(der) = read_request(data) {
        assert!(der.len() < data.len());
        let lines = data.split(|byte| *byte == b'\n');
        assert_eq!(lines.filter(|line| line.starts_with(b"-----BEGIN ")).count(), 1);
    }
});
