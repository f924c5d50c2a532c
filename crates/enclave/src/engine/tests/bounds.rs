//! What grows with the number of issuers is bounded, and a place that is taken is visible.

use super::fixture::{
    Controller, FixturePlatform, NOW, TestCa, csr, engine, engine_with, issue, self_signed,
};
use crate::Error;
use crate::keys::{CaSigner, KeyError, KeyProvider, QuoteKey, SoftwareKeys};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tcs_enclave_rpc::{GenerateCa, RefusalCode, RenewCa};
use tcs_x509::KeyAlgorithm;

/// Every CA gets the same key, which costs no time.
struct OneCaKey(Arc<dyn CaSigner>);

impl KeyProvider for OneCaKey {
    fn generate_quote_key(&self) -> Result<Box<dyn QuoteKey>, Error> {
        SoftwareKeys.generate_quote_key()
    }
    fn generate_ca_key(&self, _: KeyAlgorithm) -> Result<Arc<dyn CaSigner>, KeyError> {
        Ok(Arc::clone(&self.0))
    }
    fn restore_ca_key(&self, record: &[u8]) -> Result<Arc<dyn CaSigner>, KeyError> {
        SoftwareKeys.restore_ca_key(record)
    }
}

#[test]
fn review_m3_seventy_thousand_issuers_later_a_new_one_is_served_and_held_ones_are_as_before() {
    let platform = FixturePlatform { seals: Some((1, 1)), ..FixturePlatform::default() };
    let key = SoftwareKeys.generate_ca_key(KeyAlgorithm::P256).unwrap();
    let engine = engine_with(platform, Box::new(OneCaKey(key)));
    engine.generate(self_signed("held")).unwrap();
    let old = engine.seal("held").unwrap();
    engine.renew(RenewCa { issuer_uid: "held".into(), new_key: None, lifetime: 86_400, now: NOW }).unwrap();
    let new = engine.seal("held").unwrap();

    // Most of them get a CA that exists already, because making one costs a millisecond here.
    let some_ca = engine.state.ca("held").unwrap();
    for number in 0..70_000 {
        let uid = number.to_string();
        if number % 16 == 0 {
            let made = engine.generate(self_signed(&uid));
            assert!(made.is_ok(), "{number}: {made:?}");
        } else {
            let installed = engine.state.install_generated(&uid, Arc::clone(&some_ca), 1);
            assert_eq!(installed, Ok(1), "{number}");
        }
        engine.destroy(&uid);
    }

    engine.generate(self_signed("new")).unwrap();
    assert!(engine.begin("new-delivered").is_ok());
    engine.issue(issue("new", csr(|_| {}))).unwrap();
    engine.issue(issue("held", csr(|_| {}))).unwrap();
    assert_eq!(engine.seal("held").unwrap().generation, new.generation);
    engine.destroy("held");
    assert_eq!(engine.restore("held", &old.blob), Err(RefusalCode::SealedBlobOld));
    engine.restore("held", &new.blob).unwrap();
    engine.issue(issue("held", csr(|_| {}))).unwrap();
}

/// The controller destroys what Health shows and no longer exists, so all places can be used again.
#[test]
fn review_l2_an_issuer_with_an_exhausted_offer_is_shown_and_can_be_destroyed() {
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let mut wrong = TestCa::new().delivery("uid", &offer);
    wrong.wrapped_key[0] ^= 1;
    for attempt in 1..=16 {
        let refusal = engine.deliver(wrong.clone()).unwrap_err();
        assert_eq!(
            (refusal.code, refusal.offer_ended),
            (RefusalCode::WrappedKeyInvalid, attempt == 16),
            "{attempt}"
        );
    }
    for only in [None, Some("uid")] {
        let shown = engine.health(only).issuers;
        assert_eq!(shown.len(), 1, "{only:?}");
        let one = &shown[0];
        assert_eq!((one.issuer_uid.as_str(), &one.offer_id, &one.ca), ("uid", &None, &None));
    }
    assert_eq!(engine.deliver(wrong).unwrap_err().code, RefusalCode::OfferExhausted);
    engine.destroy("uid");
    assert!(engine.health(None).issuers.is_empty());
    assert_ne!(engine.begin("uid").unwrap().offer_id, offer.offer_id);
}

/// Counts the CA keys that it generates.
struct CountingKeys(Arc<AtomicUsize>);

impl KeyProvider for CountingKeys {
    fn generate_quote_key(&self) -> Result<Box<dyn QuoteKey>, Error> {
        SoftwareKeys.generate_quote_key()
    }
    fn generate_ca_key(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn CaSigner>, KeyError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        SoftwareKeys.generate_ca_key(algorithm)
    }
    fn restore_ca_key(&self, record: &[u8]) -> Result<Arc<dyn CaSigner>, KeyError> {
        SoftwareKeys.restore_ca_key(record)
    }
}

/// Otherwise whoever creates issuers makes a full enclave generate keys without end.
#[test]
fn review_l2_where_no_place_is_left_no_key_is_generated() {
    let generated = Arc::new(AtomicUsize::new(0));
    let keys = Box::new(CountingKeys(Arc::clone(&generated)));
    let engine = engine_with(FixturePlatform::default(), keys);
    engine.generate(self_signed("first")).unwrap();
    let some_ca = engine.state.ca("first").unwrap();
    let mut held = 1;
    while engine.state.install_generated(&held.to_string(), Arc::clone(&some_ca), 1).is_ok() {
        held += 1;
    }
    assert_eq!(held, 1024);
    for _ in 0..3 {
        assert_eq!(engine.generate(self_signed("one-more")), Err(RefusalCode::TooManyIssuers));
    }
    assert_eq!(engine.generate(self_signed("first")), Err(RefusalCode::AlreadyProvisioned));
    assert_eq!(generated.load(Ordering::Relaxed), 1, "only that of the first");
    engine.destroy("1");
    engine.generate(self_signed("one-more")).unwrap();
    assert_eq!(generated.load(Ordering::Relaxed), 2);
}

#[test]
fn a_ca_that_cannot_be_made_takes_no_place() {
    let engine = engine();
    let unknown = GenerateCa { key_algorithm: "RSA-1024".into(), ..self_signed("uid") };
    assert_eq!(engine.generate(unknown), Err(RefusalCode::PrivateKeyUnsupported));
    assert!(engine.health(None).issuers.is_empty());
}
