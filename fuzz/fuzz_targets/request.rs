//! Certificate requests, DER: what is accepted is taken over byte for byte, and what is made of it passes the judge of the final bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tcs_x509::{CertificateRequest, LeafRequest, Profile, Tbs, Usage};

fuzz_target!(|data: &[u8]| {
    let _ = tcs_x509::CaCertificate::from_der(data);
    let Ok(request) = CertificateRequest::from_der(data) else { return };
    let holds = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    assert!(holds(request.subject_raw()) && holds(request.spki_raw()));
    assert!(request.san_raw().is_none_or(holds));
    let (ca, policy) = &*tcs_fuzz::CA;
    for profile in [Profile::KubernetesCsr, Profile::CertManager, Profile::PodCertificate] {
        for usages in [&[][..], &[Usage::ServerAuth], &[Usage::CertSign, Usage::ServerAuth]] {
            let ask = LeafRequest {
                profile,
                request: &request,
                usages,
                lifetime: None,
                now: tcs_fuzz::NOW,
                serial: [1; 16],
                clock_floor: 0,
                fixed: Some(policy),
                narrowing: None,
                is_ca: usages.contains(&Usage::CertSign),
            };
            if let Ok(tbs) = Tbs::build(&ask, ca) {
                let judged = tbs.judge(&ask, ca);
                assert!(!matches!(judged, Err(tcs_x509::Error::Judgement(_))), "{judged:?}");
            }
        }
    }
});
