use super::fixture::{Controller, NOW, csr, engine, issue, self_signed};
use super::oracles::openssl_accepts;
use tcs_enclave_rpc::{CaSubject, GenerateCa, RefusalCode};

#[test]
fn w_d6_w_r6_a_ca_of_every_kind_is_made_here_and_issues() {
    let enclave = engine();
    for (number, algorithm) in ["ECDSA-P256", "ECDSA-P384", "RSA-3072", "Ed25519"].into_iter().enumerate() {
        let uid = number.to_string();
        let request = GenerateCa { key_algorithm: algorithm.into(), ..self_signed(&uid) };
        let info = enclave.generate(request.clone()).unwrap();
        assert_eq!((info.key_algorithm.as_str(), info.key_format.as_str()), (algorithm, "generated"));
        assert_eq!((info.not_before, info.not_after), (NOW - 300, NOW + 365 * 86_400));
        assert_eq!((info.chain.len(), &info.chain), (1, &info.anchors));
        let anchors: Vec<_> = info.anchors.iter().map(|der| der.as_slice()).collect();
        let issued = enclave.issue(issue(&uid, csr(|_| {}))).unwrap();
        assert_eq!(issued.chain.len(), 1);
        assert!(openssl_accepts(&[issued.chain[0].as_slice()], &anchors), "{algorithm}");
        assert_eq!(
            enclave.generate(request),
            Err(RefusalCode::AlreadyProvisioned),
            "one CA key for each issuer"
        );
        assert_eq!(enclave.begin(&uid), Err(RefusalCode::AlreadyProvisioned));
    }
}

#[test]
fn a_ca_that_cannot_be_is_refused_and_nothing_is_held() {
    let enclave = engine();
    let refused = |change: &dyn Fn(&mut GenerateCa)| {
        let mut request = self_signed("uid");
        change(&mut request);
        enclave.generate(request).unwrap_err()
    };
    assert_eq!(
        refused(&|request| request.key_algorithm = "RSA-2048".into()),
        RefusalCode::PrivateKeyUnsupported
    );
    assert_eq!(refused(&|request| request.now = crate::RELEASE_DATE - 1), RefusalCode::ClockTooEarly);
    assert_eq!(refused(&|request| request.lifetime = 3599), RefusalCode::LifetimeInvalid);
    assert_eq!(refused(&|request| request.lifetime = u64::MAX), RefusalCode::LifetimeInvalid);
    assert_eq!(refused(&|request| request.subject = CaSubject::default()), RefusalCode::IdentityForbidden);
    let reserved = "system:masters".to_owned();
    assert_eq!(
        refused(&|request| request.subject.organizations = vec![reserved.clone()]),
        RefusalCode::IdentityForbidden
    );
    assert_eq!(refused(&|request| request.issuer_uid = String::new()), RefusalCode::MalformedMessage);
    assert!(enclave.health(None).issuers.is_empty());
}
