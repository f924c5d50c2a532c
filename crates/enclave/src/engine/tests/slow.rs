//! Platforms and key providers that hang.

use super::fixture::{
    Controller, FixturePlatform, Gate, NOW, TestCa, csr, engine_on, engine_with, issue, self_signed,
};
use crate::engine::slow_calls::{MAX_RUNNING, SlowCallError, SlowCalls};
use crate::keys::{CaSigner, KeyError, KeyProvider, QuoteKey, SoftwareKeys};
use crate::{Engine, Error};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tcs_enclave_rpc::{Offer, RefusalCode, RenewCa};
use tcs_x509::KeyAlgorithm;

const WAIT: Duration = Duration::from_mins(1);

/// Waits for a condition.
fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

/// From here on the engine waits for no offer.
fn wait_for_no_offer(engine: &mut Engine) {
    engine.offers = SlowCalls::new(Duration::ZERO);
}

fn renew(issuer: &str) -> RenewCa {
    RenewCa { issuer_uid: issuer.into(), new_key: None, lifetime: 86_400, now: NOW }
}

fn wait_for_offer(engine: &Engine, issuer: &str) -> Offer {
    until("the offer", || match engine.begin(issuer) {
        Ok(offer) => Some(offer),
        Err(code) => {
            assert_eq!(code, RefusalCode::TimedOut);
            None
        }
    })
}

#[test]
fn review_l8_while_quotes_hang_everything_else_goes_on_and_threads_are_bounded() {
    let gate = Gate::default();
    let platform = FixturePlatform { gate: gate.clone(), seals: Some((1, 1)), ..FixturePlatform::default() };
    let mut engine = engine_on(platform);
    engine.provision("delivered", &TestCa::new());
    engine.generate(self_signed("own")).unwrap();
    let sealed = engine.seal("own").unwrap().blob;
    gate.close();
    wait_for_no_offer(&mut engine);

    for _ in 0..8 {
        assert_eq!(engine.begin("hangs-0"), Err(RefusalCode::TimedOut));
        assert_eq!(engine.health(None).overdue_offers, 1, "an issuer occupies one thread");
    }
    for issuer in ["delivered", "own"] {
        engine.issue(issue(issuer, csr(|_| {}))).unwrap();
    }
    engine.generate(self_signed("new")).unwrap();
    engine.renew(renew("new")).unwrap();
    engine.destroy("own");
    engine.restore("own", &sealed).unwrap();

    for number in 1..MAX_RUNNING {
        assert_eq!(engine.begin(&format!("hangs-{number}")), Err(RefusalCode::TimedOut));
    }
    assert_eq!(engine.begin("one-more"), Err(RefusalCode::Busy));
    assert_eq!(engine.begin("hangs-0"), Err(RefusalCode::TimedOut));
    assert_eq!(engine.begin_renewal("delivered"), Err(RefusalCode::Busy));
    let report = engine.health(None);
    assert_eq!((report.overdue_offers, report.overdue_ca_keys), (4, 0));
    let shown = |uid: &str| report.issuers.iter().any(|one| one.issuer_uid == uid);
    assert!((0..MAX_RUNNING).all(|number| shown(&format!("hangs-{number}"))), "each has a place");
    assert!(!shown("one-more"));
    engine.issue(issue("delivered", csr(|_| {}))).unwrap();

    // An issuer that is deleted meanwhile gives its place back at once, and gets no offer afterwards.
    engine.destroy("hangs-1");
    assert!(engine.health(Some("hangs-1")).issuers.is_empty());
    gate.open();
    let offer = wait_for_offer(&engine, "hangs-0");
    assert_eq!(wait_for_offer(&engine, "hangs-0"), offer, "what came late was kept");
    until("the end of all calls", || (engine.health(None).overdue_offers == 0).then_some(()));
    assert!(engine.health(Some("hangs-1")).issuers.is_empty());
    engine.deliver(TestCa::new().delivery("hangs-0", &offer)).unwrap();
}

/// A platform that fails late is asked again.
#[test]
fn review_l8_evidence_that_fails_late_is_made_anew() {
    let platform = FixturePlatform::default();
    let (gate, broken) = (platform.gate.clone(), Arc::clone(&platform.broken));
    let mut engine = engine_on(platform);
    gate.close();
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    wait_for_no_offer(&mut engine);
    assert_eq!(engine.begin("uid"), Err(RefusalCode::TimedOut));
    gate.open();
    until("the failure", || (engine.health(None).overdue_offers == 0).then_some(()));
    assert!(engine.health(None).issuers.is_empty());
    engine.offers = SlowCalls::new(WAIT);
    assert_eq!(engine.begin("uid"), Err(RefusalCode::EvidenceUnavailable));
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(engine.begin("uid").is_ok());
}

/// Keys of CAs come from a token that hangs.
struct HangingKeys(Gate);

impl KeyProvider for HangingKeys {
    fn generate_quote_key(&self) -> Result<Box<dyn QuoteKey>, Error> {
        SoftwareKeys.generate_quote_key()
    }
    fn generate_ca_key(&self, algorithm: KeyAlgorithm) -> Result<Arc<dyn CaSigner>, KeyError> {
        self.0.pass();
        SoftwareKeys.generate_ca_key(algorithm)
    }
    fn restore_ca_key(&self, record: &[u8]) -> Result<Arc<dyn CaSigner>, KeyError> {
        SoftwareKeys.restore_ca_key(record)
    }
}

#[test]
fn review_l8_keys_of_cas_that_hang_hold_up_no_offer_and_leave_nothing_behind() {
    let gate = Gate::default();
    let keys = Box::new(HangingKeys(gate.clone()));
    let mut engine = engine_with(FixturePlatform::default(), keys);
    engine.generate(self_signed("own")).unwrap();
    gate.close();
    engine.ca_keys = SlowCalls::new(Duration::ZERO);
    for _ in 0..MAX_RUNNING {
        assert_eq!(engine.generate(self_signed("hangs")), Err(RefusalCode::TimedOut));
    }
    assert_eq!(engine.generate(self_signed("hangs")), Err(RefusalCode::Busy));
    let report = engine.health(None);
    assert_eq!((report.overdue_offers, report.overdue_ca_keys), (0, 4));
    engine.issue(issue("own", csr(|_| {}))).unwrap();
    engine.renew(renew("own")).unwrap();
    engine.provision("delivered", &TestCa::new());
    gate.open();
    until("the end of all calls", || (engine.health(None).overdue_ca_keys == 0).then_some(()));
    assert!(engine.health(Some("hangs")).issuers.is_empty(), "it was refused, so it must not appear");
}

#[test]
fn review_l8_a_call_that_panics_gives_its_place_back() {
    let calls = SlowCalls::new(WAIT);
    for _ in 0..=MAX_RUNNING {
        let panicked: Result<(), _> = calls.run(|| panic!("as the test asks"));
        assert_eq!(panicked, Err(SlowCallError::Panicked));
    }
    assert_eq!((calls.run(|| 5), calls.overdue()), (Ok(5), 0));
}
