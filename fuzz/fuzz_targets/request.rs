//! Certificate requests, DER: what is accepted is taken over byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::CertificateRequest;

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = CertificateRequest::from_der(data) {
        let holds = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
        assert!(holds(request.subject_raw()) && holds(request.spki_raw()));
        assert!(request.san_raw().is_none_or(holds));
    }
    let _ = tcs_x509::CaCertificate::from_der(data);
});
