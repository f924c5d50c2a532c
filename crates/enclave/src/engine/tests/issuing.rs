use super::fixture::{Controller, NOW, TestCa, csr, engine, issue, self_signed};
use super::oracles::{self, openssl_accepts};
use crate::{Engine, RELEASE_DATE};
use rcgen::{BasicConstraints, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use std::collections::HashSet;
use tcs_enclave_rpc::{Issue, RefusalCode, RenewCa, RequestApi};
use x509_cert::der::Decode as _;

fn ready() -> Engine {
    let engine = engine();
    engine.provision("uid", &TestCa::new());
    engine
}

#[test]
fn nothing_is_signed_that_should_not_be() {
    use RefusalCode as R;
    let engine = ready();
    let good = issue("uid", csr(|_| {}));
    let code = |params: Issue| engine.issue(params).unwrap_err();
    let with = |request: Vec<u8>| Issue { request: request.into(), ..good.clone() };
    let usages = |names: &[&str]| Issue {
        usages: names.iter().map(|name| (*name).to_owned()).collect(),
        ..good.clone()
    };

    assert_eq!(code(Issue { issuer_uid: "other".into(), ..good.clone() }), R::NotProvisioned);
    assert_eq!(code(with(vec![])), R::RequestMalformed);
    assert_eq!(code(with(vec![0x30; 100])), R::RequestMalformed);
    let mut forged = csr(|_| {});
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(code(with(forged)), R::RequestSignatureInvalid));
    let ca = csr(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(code(with(ca)), R::RequestForCa);
    let signing = csr(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    assert_eq!(code(with(signing)), R::UsageForbidden);
    assert_eq!(code(usages(&["cert sign"])), R::UsageForbidden);
    assert_eq!(code(usages(&["server auth", "crl sign"])), R::UsageForbidden);
    assert_eq!(code(usages(&["serverAuth"])), R::UsageUnknown);
    let nameless = csr(|params| {
        params.subject_alt_names.clear();
        params.distinguished_name = rcgen::DistinguishedName::new();
    });
    assert_eq!(code(with(nameless)), R::IdentityForbidden);
    assert_eq!(code(Issue { lifetime: Some(599), ..good.clone() }), R::LifetimeInvalid);
    assert_eq!(code(Issue { now: RELEASE_DATE - 1, ..good.clone() }), R::ClockTooEarly);
    assert_eq!(code(Issue { now: i64::MIN, ..good.clone() }), R::ClockTooEarly);
    assert_eq!(code(Issue { now: i64::MAX, ..good.clone() }), R::CaExpired);
    engine.issue(good).unwrap();
}

#[test]
fn lifetimes_stay_inside_the_baseline_policy_and_the_ca() {
    let engine = engine();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let ca = TestCa::build(key, |params| params.not_after = date_time_ymd(2028, 1, 1));
    let end = engine.provision("uid", &ca).not_after;
    let lifetime = |lifetime, now| {
        let issued = engine.issue(Issue { lifetime, now, ..issue("uid", csr(|_| {})) }).unwrap();
        (issued.not_after - now, issued.not_after)
    };
    assert!(lifetime(None, NOW).0 <= 90 * 86_400);
    assert!(lifetime(Some(u64::MAX), NOW).0 <= 365 * 86_400);
    assert_eq!(lifetime(Some(86_400), end - 3600).1, end);
}

/// The serial number of a certificate: positive, and of at most 16 bytes.
fn serial(der: &[u8]) -> u128 {
    let certificate = x509_cert::Certificate::from_der(der).unwrap();
    let bytes = certificate.tbs_certificate().serial_number().as_bytes();
    assert!(bytes[0] < 0x80, "negative: {bytes:x?}");
    // DER puts a zero byte before a number whose first bit is set.
    let number = if bytes[0] == 0 { &bytes[1..] } else { bytes };
    assert!((1..=16).contains(&number.len()), "{bytes:x?}");
    number.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// No number occurs twice, and each of the 128 bits takes both values: with `n` random numbers this fails in
/// one of 2^(n - 8) cases.
fn assert_random(serials: &[u128]) {
    assert_eq!(serials.iter().collect::<HashSet<_>>().len(), serials.len());
    let (ones, zeros) = serials.iter().fold((0, 0), |(ones, zeros), serial| (ones | serial, zeros | !serial));
    assert_eq!((ones, zeros), (u128::MAX, u128::MAX), "{ones:x} {zeros:x}");
}

#[test]
fn b08_serials_of_leaves_are_positive_and_128_random_bits() {
    let engine = ready();
    let request = issue("uid", csr(|_| {}));
    let leaf = |_| serial(&engine.issue(request.clone()).unwrap().chain[0]);
    assert_random(&(0..256).map(leaf).collect::<Vec<_>>());
}

#[test]
fn b08_serials_of_made_and_renewed_cas_are_positive_and_128_random_bits() {
    let engine = engine();
    let renewal = RenewCa { issuer_uid: "uid".into(), new_key: None, lifetime: 86_400, now: NOW };
    let mut serials = Vec::new();
    for _ in 0..32 {
        serials.push(serial(&engine.generate(self_signed("uid")).unwrap().chain[0]));
        serials.push(serial(&engine.renew(renewal.clone()).unwrap().chain[0]));
        engine.destroy("uid");
    }
    assert_random(&serials);
}

#[test]
fn a18_chain_order_leaf_first_no_root() {
    let root = TestCa::new();
    let (upper, engine) = (root.below(), engine());
    let lower = upper.below();
    engine.provision("uid", &lower);
    for request_api in [RequestApi::KubernetesCsr, RequestApi::CertManager, RequestApi::PodCertificate] {
        let request = csr(|_| {});
        let issued = engine.issue(Issue { request_api, ..issue("uid", request.clone()) }).unwrap();
        let above: Vec<_> = issued.chain[1..].iter().map(|der| der.to_vec()).collect();
        assert_eq!(above, lower.chain[..2], "the issuing CA, then what is above it, without the root");
        let leaf = x509_cert::Certificate::from_der(&issued.chain[0]).unwrap();
        let asked = x509_cert::request::CertReq::from_der(&request).unwrap();
        assert_eq!(leaf.tbs_certificate().subject_public_key_info(), &asked.info.public_key);
        assert!(openssl_accepts(
            &issued.chain.iter().map(|der| der.to_vec()).collect::<Vec<_>>(),
            &root.chain
        ));
    }
    // A new key of a CA that the old key signed is no self-signed root, and verifiers need its certificate.
    // If the root itself issues, the chain is the leaf alone.
    for (uid, ca, above) in [
        ("plain", root.below(), 1),
        ("below-a-new-key", root.with_next_key().below(), 2),
        ("a-new-key", root.with_next_key(), 1),
        ("root", TestCa::new(), 0),
    ] {
        let info = engine.provision(uid, &ca);
        assert_eq!(info.anchors, [ca.chain.last().unwrap().clone().into()], "{uid}");
        let issued = engine.issue(issue(uid, csr(|_| {}))).unwrap();
        let published: Vec<_> = issued.chain[1..].iter().map(|der| der.to_vec()).collect();
        assert_eq!(published, ca.chain[..above], "{uid}");
        assert_eq!(oracles::accept(&issued, &info, NOW), [true, true], "openssl, Go: {uid}");
    }
}
