//! Certificate requests, DER: names and keys of accepted requests are copied byte for byte, and the
//! certificates that are built pass the check of the final bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::{CertificateProfile, CertificateRequest, IssuanceRequest, Usage};

fuzz_target!(|data: &[u8]| {
    let _ = tcs_x509::CaCertificate::from_der(data);
    let Ok(request) = CertificateRequest::from_der(data) else { return };
    let holds = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    assert!(holds(request.subject_raw()) && holds(request.spki_raw()));
    assert!(request.san_raw().is_none_or(holds));
    let fixed = Some(&tcs_fuzz::CA.1);
    for profile in [
        CertificateProfile::KubernetesCsr,
        CertificateProfile::CertManager,
        CertificateProfile::PodCertificate,
    ] {
        for usages in [&[][..], &[Usage::ServerAuth], &[Usage::CertSign, Usage::ServerAuth]] {
            let is_ca = usages.contains(&Usage::CertSign);
            tcs_fuzz::build_and_check(&IssuanceRequest {
                profile,
                usages,
                fixed,
                is_ca,
                ..tcs_fuzz::params(&request)
            });
        }
    }
});
