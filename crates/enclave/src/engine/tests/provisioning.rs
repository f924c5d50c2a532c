use super::fixture::{
    Controller, FixturePlatform, NONCE, NOW, TestCa, csr, engine, engine_on, issue, openssl_accepts,
};
use crate::{Engine, RELEASE_DATE};
use rcgen::{
    IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};
use std::sync::atomic::Ordering;
use tcs_enclave_rpc::{BeginProvisioning, CompleteProvisioning, RefusalCode, Request};
use tcs_keywrap::WrapFormat;

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn code(engine: &Engine, delivery: CompleteProvisioning) -> RefusalCode {
    engine.deliver(delivery).unwrap_err().code
}

#[test]
fn ca_keys_of_every_algorithm_can_be_delivered_in_either_format_and_sign() {
    let engine = engine();
    let kinds = [
        ("RSA-3072", KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).unwrap()),
        ("ECDSA-P384", KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()),
        ("ECDSA-P521", KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap()),
        ("Ed25519", KeyPair::generate_for(&PKCS_ED25519).unwrap()),
    ];
    for (number, (name, key)) in kinds.into_iter().enumerate() {
        let ca = TestCa::with_key(key);
        let offer = engine.begin(name).unwrap();
        let mut delivery = ca.delivery(name, &offer);
        let format = WrapFormat::ALL[number % 2];
        delivery.wrapped_key = ca.wrap(&offer, format).into();
        let info = engine.deliver(delivery).unwrap();
        assert_eq!((info.key_algorithm.as_str(), info.key_format.as_str()), (name, format.as_str()));
        let issued = engine.issue(issue(name, csr(|_| {}))).unwrap();
        assert!(openssl_accepts(&[issued.chain[0].as_slice()], &ca.chain), "{name}");
    }
}

#[test]
fn intermediates_are_served_and_the_root_is_only_an_anchor() {
    let engine = engine();
    let root = TestCa::new();
    let lowest = root.below().below();
    assert_eq!(lowest.chain.len(), 3);
    let info = engine.provision("uid", &lowest);
    assert_eq!((info.chain.len(), info.anchors[0].as_slice()), (2, root.chain[0].as_slice()));
    let issued = engine.issue(issue("uid", csr(|_| {}))).unwrap();
    let chain: Vec<&[u8]> = issued.chain.iter().map(|der| der.as_slice()).collect();
    assert_eq!(chain[1..], [lowest.chain[0].as_slice(), lowest.chain[1].as_slice()]);
    assert!(openssl_accepts(&chain, &root.chain));
}

/// W-S7 and everything else that can be seen without the private key: it is refused by name and not counted,
/// and the offer stays unchanged.
#[test]
fn w_s7_what_shows_without_the_key_is_refused_before_unwrapping() {
    use RefusalCode as R;
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let ca = TestCa::new();
    let good = ca.delivery("uid", &offer);
    for length in [0, 1, 15, 383, 384, 384 + 11, 384 + 16, 384 + 25, 1 << 20] {
        let delivery = CompleteProvisioning { wrapped_key: vec![7; length].into(), ..good.clone() };
        assert_eq!(code(&engine, delivery), R::WrappedKeyLength, "{length}");
    }
    let other = |chain: Vec<Vec<u8>>| CompleteProvisioning {
        chain: chain.into_iter().map(Into::into).collect(),
        ..good.clone()
    };
    let not_ca = TestCa::build(p256(), |params| params.is_ca = IsCa::ExplicitNoCa);
    let expired = TestCa::build(p256(), |params| params.not_after = date_time_ymd(2026, 11, 2));
    let early = TestCa::build(p256(), |params| params.not_before = date_time_ymd(2027, 1, 1));
    assert_eq!(code(&engine, other(vec![])), R::CertificateMalformed);
    assert_eq!(code(&engine, other(vec![vec![0x30, 0]])), R::CertificateMalformed);
    assert_eq!(code(&engine, other(not_ca.chain)), R::CertificateNotCa);
    assert_eq!(code(&engine, other(expired.chain)), R::CertificateExpired);
    assert_eq!(code(&engine, other(early.chain)), R::CertificateNotYetValid);
    assert_eq!(code(&engine, other([ca.chain.clone(), TestCa::new().chain].concat())), R::ChainBroken);
    let early = CompleteProvisioning { now: RELEASE_DATE - 1, ..good.clone() };
    assert_eq!(code(&engine, early), R::ClockTooEarly);
    let unknown = CompleteProvisioning { formats: vec!["kmra-v2".into()], ..good.clone() };
    assert_eq!(code(&engine, unknown), R::MalformedMessage);
    let other_offer = CompleteProvisioning { offer_id: vec![0; 16].into(), ..good.clone() };
    assert_eq!(code(&engine, other_offer), R::UnknownOffer);
    let short_offer = CompleteProvisioning { offer_id: vec![].into(), ..good.clone() };
    assert_eq!(code(&engine, short_offer), R::UnknownOffer);
    assert_eq!(engine.begin("uid").unwrap(), offer, "nothing was counted");
    engine.deliver(good).unwrap();
}

#[test]
fn refusals_after_unwrapping_are_counted_and_leave_the_offer_usable() {
    use RefusalCode as R;
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let ca = TestCa::new();
    let good = ca.delivery("uid", &offer);
    for at in [0, 383, 384, good.wrapped_key.len() - 1] {
        let mut flipped = good.clone();
        flipped.wrapped_key[at] ^= 1;
        assert_eq!(code(&engine, flipped), R::WrappedKeyInvalid);
    }
    let sha1 = CompleteProvisioning {
        wrapped_key: ca.wrap(&offer, WrapFormat::KmraV1).into(),
        formats: vec!["kmra-v1-sha256".into()],
        ..good.clone()
    };
    assert_eq!(code(&engine, sha1), R::WrapFormatForbidden);
    let mismatch =
        CompleteProvisioning { chain: TestCa::new().delivery("uid", &offer).chain, ..good.clone() };
    let refusal = engine.deliver(mismatch).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.message.contains("10 more attempts")),
        (R::KeyMismatch, true),
        "{refusal}"
    );

    let k256 =
        aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256K1_SHA256_ASN1_SIGNING);
    let k256 = k256.unwrap().to_pkcs8v1().unwrap();
    let wrapped =
        |pkcs8: &[u8]| tcs_keywrap::wrap(&offer.public_key, WrapFormat::KmraV1Sha256, pkcs8).unwrap();
    let unsupported = CompleteProvisioning { wrapped_key: wrapped(k256.as_ref()).into(), ..good.clone() };
    assert_eq!(code(&engine, unsupported), R::PrivateKeyUnsupported);
    // An RSA key with an empty private key: only its outer structure is right.
    let hollow = [0x30, 0x14, 2, 1, 0, 0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0, 4, 0];
    let malformed = CompleteProvisioning { wrapped_key: wrapped(&hollow).into(), ..good.clone() };
    assert_eq!(code(&engine, malformed), R::PrivateKeyMalformed);

    let left = engine.begin("uid").unwrap();
    assert_eq!((left.attempts_left, &left.offer_id), (8, &offer.offer_id));
    assert!(engine.health(Some("uid")).issuers[0].ca.is_none(), "nothing is held");
    engine.deliver(good.clone()).unwrap();
    assert_eq!(code(&engine, good), R::AlreadyProvisioned);
    assert_eq!(engine.begin("uid"), Err(R::AlreadyProvisioned));
}

#[test]
fn the_sixteenth_refused_delivery_closes_the_offer() {
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let ca = TestCa::new();
    let good = ca.delivery("uid", &offer);
    let mut bad = good.clone();
    bad.wrapped_key[0] ^= 1;
    for attempt in 1..=16 {
        let refusal = engine.deliver(bad.clone()).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::WrappedKeyInvalid);
        assert_eq!(refusal.message.contains("the offer is closed"), attempt == 16, "{attempt}: {refusal}");
        assert_eq!(refusal.offer_ended, attempt == 16, "{attempt}");
    }
    let refusal = engine.deliver(good).unwrap_err();
    assert_eq!((refusal.code, refusal.offer_ended), (RefusalCode::OfferExhausted, true));
    let shown = engine.health(None).issuers;
    assert_eq!((shown.len(), &shown[0].offer_id), (1, &None), "its place is taken and visible");
    let next = engine.begin("uid").unwrap();
    assert_ne!((&next.offer_id, &next.public_key), (&offer.offer_id, &offer.public_key));
    assert_eq!(next.attempts_left, 16);
    engine.deliver(ca.delivery("uid", &next)).unwrap();
}

#[test]
fn an_offer_is_bound_to_its_nonce() {
    let engine = engine();
    let begin = |nonce: Vec<u8>| {
        engine.outcome(Request::BeginProvisioning(BeginProvisioning {
            issuer_uid: "uid".into(),
            nonce: nonce.into(),
            renewal: false,
        }))
    };
    for wrong in [vec![], vec![0; 31], vec![0; 33]] {
        assert_eq!(begin(wrong).unwrap_err().code, RefusalCode::MalformedMessage);
    }
    begin(NONCE.to_vec()).unwrap();
    begin(NONCE.to_vec()).unwrap();
    assert_eq!(begin(vec![9; 32]).unwrap_err().code, RefusalCode::MalformedMessage);
}

#[test]
fn offers_of_two_issuers_cannot_be_exchanged() {
    let engine = engine();
    let (one, other) = (engine.begin("one").unwrap(), engine.begin("other").unwrap());
    assert_ne!(one.public_key, other.public_key);
    let ca = TestCa::new();
    assert_eq!(code(&engine, ca.delivery("other", &one)), RefusalCode::UnknownOffer);
    let crossed = CompleteProvisioning { offer_id: other.offer_id, ..ca.delivery("other", &one) };
    assert_eq!(code(&engine, crossed), RefusalCode::WrappedKeyInvalid);
    engine.deliver(ca.delivery("one", &one)).unwrap();
    assert_eq!(engine.issue(issue("other", csr(|_| {}))), Err(RefusalCode::NotProvisioned));
}

#[test]
fn a_restart_loses_everything() {
    let before = engine();
    let ca = TestCa::new();
    let offer = before.begin("pending").unwrap();
    before.provision("ready", &ca);
    let after = engine();
    assert_ne!(before.health(None).boot_id, after.health(None).boot_id);
    assert!(after.health(None).issuers.is_empty());
    assert_eq!(code(&after, ca.delivery("pending", &offer)), RefusalCode::UnknownOffer);
    assert_eq!(after.issue(issue("ready", csr(|_| {}))), Err(RefusalCode::NotProvisioned));
}

/// W-R5: an issuer that was deleted and created again has another UID and inherits nothing. The same UID
/// inherits nothing either after it was destroyed.
#[test]
fn w_r5_nothing_is_reused_by_an_issuer_made_again() {
    let engine = engine();
    let ca = TestCa::new();
    let old = engine.begin("old").unwrap();
    engine.deliver(ca.delivery("old", &old)).unwrap();
    assert_eq!(engine.issue(issue("new", csr(|_| {}))), Err(RefusalCode::NotProvisioned));
    let new = engine.begin("new").unwrap();
    assert_ne!((&new.offer_id, &new.public_key), (&old.offer_id, &old.public_key));
    engine.destroy("old");
    let again = engine.begin("old").unwrap();
    assert_ne!((&again.offer_id, &again.public_key), (&old.offer_id, &old.public_key));
    assert_eq!(code(&engine, ca.delivery("old", &old)), RefusalCode::UnknownOffer);
}

#[test]
fn without_evidence_there_is_no_offer_until_the_platform_recovers() {
    let platform = FixturePlatform::default();
    let broken = platform.broken.clone();
    broken.store(true, Ordering::Relaxed);
    let engine = engine_on(platform);
    assert_eq!(engine.begin("uid"), Err(RefusalCode::EvidenceUnavailable));
    assert!(engine.health(None).issuers.is_empty());
    broken.store(false, Ordering::Relaxed);
    let offer = engine.begin("uid").unwrap();
    let late = CompleteProvisioning { now: NOW + 60, ..TestCa::new().delivery("uid", &offer) };
    engine.deliver(late).unwrap();
}
