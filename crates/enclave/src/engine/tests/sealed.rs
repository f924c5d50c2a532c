use super::fixture::{Controller, NOW, TestCa, csr, engine, issue, sealing_engine, sealing_key, self_signed};
use super::oracles::openssl_accepts;
use crate::sealing::{Contents, Sealer};
use rcgen::{IsCa, KeyPair, PKCS_ECDSA_P256_SHA256};
use tcs_enclave_rpc::{CaInfo, GenerateCa, Issue, RefusalCode, RenewCa};
use x509_cert::der::Decode as _;

#[test]
fn a_ca_survives_a_restart_and_signs_on() {
    let enclave = sealing_engine(1, 1);
    let made = enclave.generate(self_signed("made")).unwrap();
    let root = TestCa::new();
    let delivered = enclave.provision("delivered", &root.below());
    for (uid, info) in [("made", made), ("delivered", delivered)] {
        let sealed = enclave.seal(uid).unwrap();
        let restarted = sealing_engine(1, 1);
        assert_eq!(restarted.issue(issue(uid, csr(|_| {}))), Err(RefusalCode::NotProvisioned));
        assert_eq!(restarted.restore(uid, &sealed.blob).unwrap(), info);
        assert_eq!(
            (restarted.seal(uid).unwrap().generation, info.generation),
            (sealed.generation, sealed.generation)
        );
        let issued = restarted.issue(issue(uid, csr(|_| {}))).unwrap();
        let (chain, anchors) = (&issued.chain, &info.anchors);
        let slices =
            |all: &[tcs_enclave_rpc::ByteVec]| all.iter().map(|der| der.to_vec()).collect::<Vec<_>>();
        assert!(openssl_accepts(&slices(chain), &slices(anchors)));
        assert_eq!(restarted.restore(uid, &sealed.blob), Err(RefusalCode::AlreadyProvisioned));
    }
}

/// What was accepted can be sealed.
#[test]
fn a_long_policy_can_be_sealed() {
    use tcs_enclave_rpc::{Policy, Texts};
    let texts = |letter: &str| Some(Texts(vec![letter.repeat(500); 60]));
    let policy = Policy {
        common_names: texts("x"),
        dns_names: Some(Texts(vec!["**.example".into(); 60])),
        ..Policy::default()
    };
    let enclave = sealing_engine(1, 1);
    enclave.generate(GenerateCa { policy: Some(policy), ..self_signed("uid") }).unwrap();
    let blob = enclave.seal("uid").unwrap().blob;
    assert!(blob.len() > 30_000);
    assert!(sealing_engine(1, 1).restore("uid", &blob).is_ok());
}

#[test]
fn a_blob_of_another_issuer_machine_or_enclave_is_refused() {
    let enclave = sealing_engine(1, 1);
    enclave.generate(self_signed("uid")).unwrap();
    let blob = enclave.seal("uid").unwrap().blob;
    let foreign = Err(RefusalCode::SealedBlobForeign);
    assert_eq!(sealing_engine(1, 1).restore("other", &blob), foreign);
    assert_eq!(sealing_engine(2, 1).restore("uid", &blob), foreign);
    assert_eq!(sealing_engine(1, 2).restore("uid", &blob), foreign);
    let mut damaged = blob.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(sealing_engine(1, 1).restore("uid", &damaged), Err(RefusalCode::SealedBlobInvalid));
    assert_eq!(sealing_engine(1, 1).restore("uid", &[]), Err(RefusalCode::SealedBlobInvalid));
}

#[test]
fn w_d6_a_blob_relabelled_to_another_issuer_is_not_restored() {
    let enclave = sealing_engine(1, 1);
    enclave.generate(self_signed("issuer-one")).unwrap();
    let mut blob = enclave.seal("issuer-one").unwrap().blob.to_vec();
    assert!(sealing_engine(1, 1).restore("issuer-one", &blob).is_ok());
    let places: Vec<_> = (0..blob.len() - 9).filter(|&at| blob[at..].starts_with(b"issuer-one")).collect();
    let [at] = places[..] else { panic!("the header names the issuer once: {places:?}") };
    blob[at..at + 10].copy_from_slice(b"issuer-two");
    let restarted = sealing_engine(1, 1);
    assert_eq!(restarted.restore("issuer-two", &blob), Err(RefusalCode::SealedBlobInvalid));
    assert!(restarted.health(None).issuers.is_empty(), "nothing is held");
}

#[test]
fn an_older_blob_than_one_that_was_seen_is_refused() {
    let enclave = sealing_engine(1, 1);
    enclave.generate(self_signed("uid")).unwrap();
    let old = enclave.seal("uid").unwrap();
    enclave.destroy("uid");
    let info = enclave.generate(self_signed("uid")).unwrap();
    let new = enclave.seal("uid").unwrap();
    assert!(new.generation > old.generation);
    enclave.destroy("uid");
    assert_eq!(enclave.restore("uid", &old.blob), Err(RefusalCode::SealedBlobOld));
    assert_eq!(enclave.restore("uid", &new.blob).unwrap(), info);

    // After a restart the enclave does not know which keys it has seen; SECURITY.md says so.
    assert!(sealing_engine(1, 1).restore("uid", &old.blob).is_ok());
}

#[test]
fn what_is_restored_is_validated_again() {
    let fresh = || sealing_engine(1, 1);
    // Only a faulty enclave would seal these.
    let sealer = Sealer::new(sealing_key(1, 1)).unwrap();
    let blob_of = |key: &KeyPair, certificate: &[u8]| {
        let pkcs8 = key.serialized_der();
        sealer
            .seal(
                "uid",
                1,
                &Contents { key: pkcs8, chain: vec![certificate], key_format: "generated", rules: None },
            )
            .unwrap()
    };
    let (one, other) = (TestCa::new(), TestCa::new());
    assert_eq!(fresh().restore("uid", &blob_of(&other.key, &one.chain[0])), Err(RefusalCode::KeyMismatch));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let leaf = TestCa::build(key, |params| params.is_ca = IsCa::ExplicitNoCa);
    assert_eq!(
        fresh().restore("uid", &blob_of(&leaf.key, &leaf.chain[0])),
        Err(RefusalCode::CertificateNotCa)
    );
    let junk = Contents { key: b"junk", chain: vec![&one.chain[0]], key_format: "generated", rules: None };
    let junk = sealer.seal("uid", 1, &junk).unwrap();
    assert_eq!(fresh().restore("uid", &junk), Err(RefusalCode::PrivateKeyMalformed));
    assert!(fresh().restore("uid", &blob_of(&one.key, &one.chain[0])).is_ok());
}

#[test]
fn a_platform_that_cannot_seal_says_so_and_an_offer_is_never_sealed() {
    let enclave = engine();
    enclave.generate(self_signed("uid")).unwrap();
    assert_eq!(enclave.seal("uid"), Err(RefusalCode::NoSealing));
    assert_eq!(enclave.restore("uid", &[]), Err(RefusalCode::NoSealing));
    let enclave = sealing_engine(1, 1);
    enclave.begin("uid").unwrap();
    assert_eq!(enclave.seal("uid"), Err(RefusalCode::NotProvisioned));
}

/// The time in the request does not prevent the restoring of a sealed CA, and gives it no power: the validity
/// is checked for every certificate.
#[test]
fn review_m4_a_sealed_ca_is_restored_at_any_clock_and_issues_only_within_its_validity() {
    let year = 365 * 86_400;
    let enclave = sealing_engine(1, 1);
    let made = enclave.generate(self_signed("made")).unwrap();
    let chain = TestCa::build(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2035, 1, 1);
    });
    let delivered = enclave.provision("delivered", &chain.below());
    for (uid, info) in [("made", made), ("delivered", delivered)] {
        let blob = enclave.seal(uid).unwrap().blob;
        let clocks =
            [i64::MIN, 0, crate::RELEASE_DATE - 1, info.not_before - 1, info.not_after + 1, i64::MAX];
        for clock in clocks {
            let restarted = sealing_engine(1, 1);
            assert_eq!(restarted.restore_at(uid, &blob, clock), Ok(info.clone()), "{uid} at {clock}");
            let at = |now| {
                let request = Issue { now, ..issue(uid, csr(|_| {})) };
                restarted.issue(request).map(|issued| issued.not_after)
            };
            let early = crate::RELEASE_DATE.max(info.not_before) - 1;
            for (now, code) in [
                (i64::MIN, RefusalCode::ClockTooEarly),
                (early, RefusalCode::ClockTooEarly),
                (info.not_after, RefusalCode::CaExpired),
                (info.not_after + 10 * year, RefusalCode::CaExpired),
                (i64::MAX, RefusalCode::CaExpired),
            ] {
                assert_eq!(at(now), Err(code), "{uid} at {now}");
            }
            assert!(at(NOW).is_ok(), "{uid} after the clock is right again");
        }
    }
}

/// After an outage beyond the end of the CA, its key signs the next certificate.
#[test]
fn review_m4_a_ca_that_ended_while_the_service_was_down_is_renewed_with_the_same_key() {
    let enclave = sealing_engine(1, 1);
    let made = enclave.generate(self_signed("uid")).unwrap();
    let blob = enclave.seal("uid").unwrap().blob;
    let later = made.not_after + 5 * 86_400;
    let restarted = sealing_engine(1, 1);
    restarted.restore_at("uid", &blob, later).unwrap();
    let lifetime = 365 * 86_400;
    let next = RenewCa { issuer_uid: "uid".into(), new_key: None, lifetime, now: later };
    let next = restarted.renew(next).unwrap();
    assert_ne!(next.fingerprint, made.fingerprint);
    let key = |info: &CaInfo| {
        let certificate = x509_cert::Certificate::from_der(&info.chain[0]).unwrap();
        certificate.tbs_certificate().subject_public_key_info().clone()
    };
    assert_eq!(key(&next), key(&made));
    assert!(restarted.issue(Issue { now: later, ..issue("uid", csr(|_| {})) }).is_ok());
}
