//! The next certificate of a CA, made in the enclave or delivered.

use super::fixture::{Controller, NOW, TestCa, csr, engine, issue, sealing_engine, self_signed};
use super::oracles::openssl_accepts;
use crate::engine::state::MAX_ATTEMPTS;
use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyPair};
use tcs_enclave_rpc::{CaInfo, GenerateCa, Policy, RefusalCode, RenewCa, Texts};
use tcs_x509::CaCertificate;

const DAY: i64 = 86_400;

fn renewal(new_key: Option<&str>) -> RenewCa {
    RenewCa {
        issuer_uid: "uid".into(),
        new_key: new_key.map(str::to_owned),
        lifetime: 400 * 86_400,
        now: NOW + DAY,
    }
}

fn certificate(ca: &CaInfo) -> CaCertificate {
    CaCertificate::from_der(&ca.chain[0]).unwrap()
}

fn leaf(by: &impl Controller) -> Vec<Vec<u8>> {
    let params = tcs_enclave_rpc::Issue { lifetime: Some(10 * 86_400), ..issue("uid", csr(|_| {})) };
    let issued = by.issue(params).unwrap();
    issued.chain.iter().map(|der| der.to_vec()).collect()
}

fn anchors(all: &[&CaInfo]) -> Vec<Vec<u8>> {
    all.iter().flat_map(|ca| &ca.anchors).map(|der| der.to_vec()).collect()
}

#[test]
fn the_next_certificate_of_the_same_key_verifies_what_the_present_one_does() {
    let enclave = sealing_engine(1, 1);
    let texts = |text: &str| Some(Texts(vec![text.to_owned()]));
    let policy = Policy { dns_names: texts("*.example"), common_names: texts("*"), ..Policy::default() };
    let old = enclave
        .generate(GenerateCa { policy: Some(policy), path_length: Some(3), ..self_signed("uid") })
        .unwrap();
    let before = leaf(&enclave);
    let sealed = enclave.seal("uid").unwrap();
    let new = enclave.renew(renewal(None)).unwrap();
    let (one, two) = (certificate(&old), certificate(&new));
    assert_ne!(old.fingerprint, new.fingerprint);
    assert_eq!(one.subject_raw(), two.subject_raw());
    assert_eq!(two.path_length(), Some(3));
    assert_eq!((new.not_before, new.not_after), (NOW + DAY - 300, NOW + 401 * DAY));
    assert_eq!((new.key_algorithm.as_str(), new.key_format.as_str()), ("ECDSA-P256", "generated"));
    assert!(new.generation > old.generation);

    let params = tcs_enclave_rpc::Issue { now: NOW + DAY, ..issue("uid", csr(|_| {})) };
    let issued = enclave.issue(params).unwrap();
    assert_eq!(issued.ca_fingerprint, new.fingerprint);
    let after: Vec<_> = issued.chain.iter().map(|der| der.to_vec()).collect();
    for trusted in [&[&old][..], &[&new], &[&new, &old], &[&old, &new]] {
        for leaf in [&before, &after] {
            let at = NOW + DAY;
            assert!(super::oracles::openssl_accepts_at(leaf, &anchors(trusted), at), "{}", trusted.len());
        }
    }
    // What was fixed stays fixed, and the earlier sealed blob is old.
    let mut bank = issue(
        "uid",
        csr(|params| params.subject_alt_names = vec![rcgen::SanType::DnsName("a.bank".try_into().unwrap())]),
    );
    bank.now = NOW + DAY;
    assert_eq!(enclave.issue(bank), Err(RefusalCode::PolicyRefused));
    let newest = enclave.seal("uid").unwrap();
    enclave.destroy("uid");
    assert_eq!(enclave.restore_at("uid", &sealed.blob, NOW + DAY), Err(RefusalCode::SealedBlobOld));
    assert_eq!(enclave.restore_at("uid", &newest.blob, NOW + DAY).unwrap(), new);
}

#[test]
fn a_new_key_of_any_kind_may_follow_and_both_are_told_apart() {
    for algorithm in ["ECDSA-P256", "ECDSA-P384", "RSA-3072", "Ed25519"] {
        let enclave = engine();
        let old = enclave.generate(self_signed("uid")).unwrap();
        let before = leaf(&enclave);
        let new = enclave.renew(RenewCa { now: NOW, ..renewal(Some(algorithm)) }).unwrap();
        assert_eq!((new.key_algorithm.as_str(), new.key_format.as_str()), (algorithm, "generated"));
        assert_eq!(certificate(&old).subject_raw(), certificate(&new).subject_raw());
        let after = leaf(&enclave);
        for trusted in [[&old, &new], [&new, &old]] {
            assert!(
                openssl_accepts(&before, &anchors(&trusted)) && openssl_accepts(&after, &anchors(&trusted))
            );
        }
        assert!(!openssl_accepts(&before, &anchors(&[&new])) && !openssl_accepts(&after, &anchors(&[&old])));
    }
}

#[test]
fn a_renewal_that_cannot_be_changes_nothing() {
    let enclave = engine();
    assert_eq!(enclave.renew(renewal(None)), Err(RefusalCode::NotProvisioned));
    let ca = enclave.generate(self_signed("uid")).unwrap();
    let refused = |change: &dyn Fn(&mut RenewCa)| {
        let mut params = renewal(None);
        change(&mut params);
        enclave.renew(params).unwrap_err()
    };
    assert_eq!(refused(&|params| params.lifetime = 3599), RefusalCode::LifetimeInvalid);
    assert_eq!(refused(&|params| params.now = crate::RELEASE_DATE - 1), RefusalCode::ClockTooEarly);
    assert_eq!(
        refused(&|params| params.new_key = Some("RSA-1024".into())),
        RefusalCode::PrivateKeyUnsupported
    );
    assert_eq!(refused(&|params| params.issuer_uid = String::new()), RefusalCode::MalformedMessage);
    assert_eq!(refused(&|params| params.issuer_uid = "other".into()), RefusalCode::NotProvisioned);
    assert_eq!(enclave.health(Some("uid")).issuers[0].ca.as_ref(), Some(&ca));
    // A delivered CA cannot follow either, because what was fixed would not apply to it.
    assert_eq!(enclave.begin_renewal("uid"), Err(RefusalCode::AlreadyProvisioned));
    // Although the enclave holds the key of the owner's root, it does not sign another root certificate.
    enclave.destroy("uid");
    enclave.provision("uid", &TestCa::new());
    assert_eq!(enclave.renew(renewal(None)), Err(RefusalCode::NotGenerated));
}

#[test]
fn the_next_ca_is_delivered_while_the_present_one_signs_on() {
    let enclave = sealing_engine(1, 1);
    let (one, two) = (TestCa::new(), TestCa::new());
    let old = enclave.provision("uid", &one);
    assert_eq!(
        enclave.begin("uid"),
        Err(RefusalCode::AlreadyProvisioned),
        "not unless a renewal is asked for"
    );
    let offer = enclave.begin_renewal("uid").unwrap();
    assert_eq!(enclave.begin_renewal("uid").unwrap(), offer);
    let before = leaf(&enclave);
    assert_eq!(enclave.seal("uid").unwrap().generation, old.generation);

    // A certificate with another key is refused and counted, and the current CA continues to sign.
    let mut wrong = one.delivery("uid", &offer);
    wrong.chain = two.delivery("uid", &offer).chain;
    assert_eq!(enclave.deliver(wrong).unwrap_err().code, RefusalCode::KeyMismatch);
    assert_eq!(enclave.begin_renewal("uid").unwrap().attempts_left, MAX_ATTEMPTS - 1);
    leaf(&enclave);

    let same = enclave.deliver(one.delivery("uid", &offer)).unwrap_err();
    assert_eq!(same.code, RefusalCode::CertificateUnsupported, "the present CA is not the next one");
    assert_eq!(enclave.begin_renewal("uid").unwrap().attempts_left, MAX_ATTEMPTS - 1);

    let new = enclave.deliver(two.delivery("uid", &offer)).unwrap();
    assert!(new.generation > old.generation && new.fingerprint != old.fingerprint);
    let after = leaf(&enclave);
    for trusted in [[&old, &new], [&new, &old]] {
        assert!(openssl_accepts(&before, &anchors(&trusted)) && openssl_accepts(&after, &anchors(&trusted)));
    }
    let again = enclave.deliver(two.delivery("uid", &offer)).unwrap_err();
    assert_eq!(again.code, RefusalCode::AlreadyProvisioned, "the offer has ended");
}

#[test]
fn a_next_ca_that_verifiers_could_not_tell_apart_is_refused_before_unwrapping() {
    let without_key_id = || {
        TestCa::build(KeyPair::generate().unwrap(), |params| {
            params.is_ca = IsCa::NoCa;
            let mut constraints =
                CustomExtension::from_oid_content(&[2, 5, 29, 19], b"\x30\x03\x01\x01\xff".to_vec());
            constraints.set_criticality(true);
            params.custom_extensions.push(constraints);
        })
    };
    let enclave = engine();
    enclave.provision("uid", &without_key_id());
    let offer = enclave.begin_renewal("uid").unwrap();
    let refused = enclave.deliver(without_key_id().delivery("uid", &offer)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::CertificateUnsupported);
    assert!(refused.message.contains("key identifier"), "{}", refused.message);
    assert_eq!(enclave.begin_renewal("uid").unwrap().attempts_left, MAX_ATTEMPTS);
    let named = TestCa::build(KeyPair::generate().unwrap(), |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Test CA 2");
    });
    assert!(enclave.deliver(named.delivery("uid", &offer)).is_ok());
}
