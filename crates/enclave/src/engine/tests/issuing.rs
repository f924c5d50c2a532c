use super::fixture::{Ask, NOW, TestCa, csr, engine, issue, openssl_accepts};
use crate::{Engine, RELEASE_DATE};
use rcgen::{BasicConstraints, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use tcs_enclave_rpc::{Door, Issue, RefusalCode};
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
    let code = |ask: Issue| engine.issue(ask).unwrap_err();
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
fn lifetimes_stay_inside_the_floor_and_the_ca() {
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

#[test]
fn no_two_certificates_share_a_serial_number() {
    let engine = ready();
    let request = issue("uid", csr(|_| {}));
    let one = engine.issue(request.clone()).unwrap();
    assert_ne!(one.chain, engine.issue(request).unwrap().chain);
}

#[test]
fn a18_chain_order_leaf_first_no_root() {
    let root = TestCa::new();
    let (upper, engine) = (root.below(), engine());
    let lower = upper.below();
    engine.provision("uid", &lower);
    for door in [Door::KubernetesCsr, Door::CertManager, Door::PodCertificate] {
        let request = csr(|_| {});
        let issued = engine.issue(Issue { door, ..issue("uid", request.clone()) }).unwrap();
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
    // A root that issues by itself: the leaf alone.
    engine.provision("root", &root);
    assert_eq!(engine.issue(issue("root", csr(|_| {}))).unwrap().chain.len(), 1);
}
