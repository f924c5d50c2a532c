//! The clock of the service is wrong, alone or together with that of the API server, at every step of an
//! issuer's life. When the clock is right again, everything is as it was, by itself.

use crate::by_clock::fixture::Fixture;
use crate::by_clock::key_owner::KeyOwner;
use crate::by_clock::time::{DAY, YEAR};
use rcgen::KeyPair;
use tcs_api::annotations::RENEW;
use tcs_api::conditions::is_ready;
use tcs_enclave_rpc::{Refusal, Response};
use tcs_issuer::requests::is_permanent;

/// How far a clock is wrong: ahead and behind, by less and more than the life of a CA, and before anything of
/// this was made.
const WRONG: [i64; 6] = [2 * YEAR, 50 * YEAR, 400, -400, -YEAR, -20 * YEAR];

/// The refusal of a request that arrives now, whatever the issuer's status says.
fn refusal(fixture: &Fixture) -> Option<Refusal> {
    match fixture.enclave.issue(3600, fixture.now) {
        Response::Issued(_) => None,
        Response::Refused(refusal) => Some(refusal),
        other => panic!("{other:?}"),
    }
}

/// Reconciles with wrong clocks, and once more when the clock is right. Nothing is made, lost or dropped, and
/// no message advises something dangerous.
fn survive(fixture: &mut Fixture, phase: &str) {
    let right = fixture.now;
    let (ca, ready) = (fixture.ca(), is_ready(&fixture.status));
    let (anchors, sealed) = (fixture.published.anchors(), fixture.sealed_cas());
    for restarts in [false, true] {
        // One wrong clock after the other is a clock that jumps.
        for wrong in WRONG {
            fixture.server = Some(right);
            reconcile_at(fixture, right + wrong, restarts, &format!("{phase}, {wrong}"));
        }
        (fixture.now, fixture.server) = (right, None);
        fixture.reconcile();
        let messages = &fixture.messages;
        assert_eq!((fixture.ca(), is_ready(&fixture.status)), (ca.clone(), ready), "{phase}: {messages:?}");
        let now = fixture.published.anchors();
        assert!(anchors.iter().all(|anchor| now.contains(anchor)), "{phase}");
        assert_eq!(fixture.sealed_cas(), sealed, "{phase}");
        if ready {
            fixture.issue();
        }
    }
}

/// Reconciles four times from a wrong time on. The enclave restarts in between if `restarts` is set.
fn reconcile_at(fixture: &mut Fixture, wrong: i64, restarts: bool, what: &str) {
    let ca = fixture.ca();
    fixture.messages.clear();
    for step in 0..3 {
        fixture.now = wrong + step * 61;
        if restarts && step == 1 {
            fixture.enclave.restart();
        }
        fixture.reconcile();
        assert_eq!(fixture.ca(), ca, "{what}: {:?}", fixture.messages);
        if let Some(refusal) = fixture.enclave.ca().and_then(|_| refusal(fixture)) {
            assert!(!is_permanent(refusal.code), "{what}: {refusal}");
        }
    }
    let before = fixture.status.clone();
    fixture.now += 61;
    fixture.reconcile();
    assert_eq!(fixture.status, before, "{what}: the status does not change any more");
    for message in &fixture.messages {
        for advice in ["NEW CA", "new-ca", "delete"] {
            assert!(!message.contains(advice), "{what}: {message}");
        }
    }
}

/// A ready issuer with one certificate.
fn ready(owner: KeyOwner) -> Fixture {
    let mut fixture = Fixture::with_sealing(owner);
    fixture.reconcile();
    fixture.deliver();
    fixture.reconcile();
    assert_eq!(fixture.reason(), "Ready");
    fixture.issue();
    fixture
}

fn owners() -> [fn() -> KeyOwner; 3] {
    [|| KeyOwner::Nobody, || KeyOwner::NewKey, || KeyOwner::BelowRoot(Box::new(KeyPair::generate().unwrap()))]
}

#[test]
fn review_m4_a_first_ca_waits_for_the_clock() {
    let mut fixture = Fixture::with_sealing(KeyOwner::Nobody);
    let right = fixture.now;
    for wrong in WRONG {
        (fixture.now, fixture.server) = (right + wrong, Some(right));
        fixture.reconcile();
        assert_eq!((fixture.reason(), fixture.ca()), ("ClockUnverified", None), "{wrong}");
        assert!(fixture.enclave.ca().is_none());
    }
    (fixture.now, fixture.server) = (right, None);
    fixture.reconcile();
    assert_eq!(fixture.reason(), "Ready", "made when the clocks agreed");
    fixture.issue();
}

#[test]
fn review_m4_an_offer_and_a_delivery_wait_for_the_clock() {
    for owner in [owners()[1], owners()[2]] {
        let mut fixture = Fixture::with_sealing(owner());
        fixture.reconcile();
        survive(&mut fixture, "offered");
        assert_eq!(fixture.reason(), "AwaitingKey");
        // A clock that is wrong refuses a delivery. When it is right again, the same delivery is accepted.
        for wrong in [2 * YEAR, 50 * YEAR, -3 * YEAR] {
            let (right, offer) = (fixture.now, fixture.attestation.clone());
            fixture.deliver();
            (fixture.now, fixture.server) = (right + wrong, Some(right));
            for _ in 0..2 {
                fixture.reconcile();
                assert_eq!((fixture.reason(), fixture.ca()), ("KeyRejected", None), "{wrong}");
                assert!(fixture.status.refused_delivery.is_none());
            }
            (fixture.now, fixture.server) = (right, None);
            assert_eq!(fixture.attestation.as_ref().unwrap().spec, offer.unwrap().spec);
            fixture.reconcile();
            assert_eq!(fixture.reason(), "Ready", "{wrong}");
            fixture.issue();
            fixture = Fixture::with_sealing(owner());
            fixture.reconcile();
        }
    }
}

#[test]
fn review_m4_a_ready_issuer_survives_every_clock_and_restart() {
    for owner in owners() {
        survive(&mut ready(owner()), "ready");
    }
}

#[test]
fn review_m4_a_renewal_by_time_waits_for_the_clock() {
    for owner in owners() {
        let mut fixture = ready(owner());
        let before = fixture.ca();
        let right = fixture.enclave.ca().unwrap().not_after - 10 * DAY;
        for wrong in WRONG {
            (fixture.now, fixture.server) = (right + wrong, Some(right));
            for restarts in [false, true] {
                if restarts {
                    fixture.enclave.restart();
                }
                fixture.reconcile();
                assert_eq!(fixture.ca(), before, "{wrong}");
                assert!(fixture.attestation.is_none(), "{wrong}");
            }
        }
        (fixture.now, fixture.server) = (right, None);
        fixture.reconcile();
        fixture.deliver();
        fixture.reconcile();
        assert_ne!(fixture.ca(), before, "renewed when the clocks agreed");
        fixture.issue();
        survive(&mut fixture, "renewed");
        assert_eq!(fixture.reason(), "Ready");
    }
}

#[test]
fn review_m4_a_renewal_that_was_asked_for_waits_and_goes_on() {
    for owner in owners() {
        let mut fixture = ready(owner());
        let (before, right) = (fixture.ca(), fixture.now);
        let annotation = (RENEW.to_owned(), "now".to_owned());
        fixture.issuer.metadata.annotations = Some([annotation].into());
        for wrong in WRONG {
            (fixture.now, fixture.server) = (right + wrong, Some(right));
            fixture.reconcile();
            assert_eq!(fixture.ca(), before, "{wrong}");
        }
        (fixture.now, fixture.server) = (right, None);
        fixture.reconcile();
        if !fixture.issuer.spec.self_sign {
            assert_eq!(fixture.reason(), "Renewing");
            survive(&mut fixture, "renewing");
            assert_eq!(fixture.reason(), "Renewing");
            // The key owner answers the open offer while the clock is wrong.
            fixture.deliver();
            (fixture.now, fixture.server) = (right + 50 * YEAR, Some(right));
            fixture.reconcile();
            assert_eq!(fixture.ca(), before);
            (fixture.now, fixture.server) = (right, None);
            fixture.reconcile();
        }
        assert_ne!(fixture.ca(), before);
        assert_eq!(fixture.reason(), "Ready");
        fixture.issue();
    }
}

/// After an outage beyond the end of the CA, the sealed key is restored and signs the next CA certificate.
#[test]
fn review_m4_a_ca_that_ended_during_an_outage_is_renewed_with_the_same_key() {
    let mut fixture = ready(KeyOwner::Nobody);
    let before = fixture.ca();
    let held = fixture.enclave.ca().unwrap();
    fixture.now = held.not_after + 40 * DAY;
    fixture.enclave.restart();
    fixture.reconcile();
    assert_eq!(fixture.reason(), "Ready");
    assert_ne!(fixture.ca(), before);
    assert!(!fixture.messages.iter().any(|message| message.contains("NEW CA")), "{:?}", fixture.messages);
    let sealed = fixture.sealed_cas();
    assert_eq!((sealed.len(), Some(&sealed[0])), (2, before.as_ref()));
    fixture.issue();
    survive(&mut fixture, "after an outage");

    let mut delivered = ready(KeyOwner::NewKey);
    let before = delivered.ca();
    delivered.now = delivered.enclave.ca().unwrap().not_after + 40 * DAY;
    delivered.enclave.restart();
    delivered.reconcile();
    assert_eq!((delivered.reason(), delivered.ca()), ("CAExpired", before.clone()));
    survive(&mut delivered, "ended");
    delivered.deliver();
    delivered.reconcile();
    assert_eq!(delivered.reason(), "Ready");
    assert_ne!(delivered.ca(), before);
}

/// Both clocks are wrong and agree, so a renewal cannot be told from one that is due. The earlier CA is kept
/// and can be brought back.
#[test]
fn review_m4_clocks_that_are_wrong_together_lose_nothing() {
    let mut fixture = ready(KeyOwner::Nobody);
    let (right, before, bundle) = (fixture.now, fixture.ca().unwrap(), fixture.published.anchors());
    let leaves = std::mem::take(&mut fixture.published.leaves);
    fixture.now = right + 2 * YEAR;
    fixture.reconcile();
    let early = fixture.ca().unwrap();
    assert_ne!(early, before);
    assert!(
        fixture.published.anchors().contains(&bundle[0]),
        "its certificates are valid for everybody else"
    );

    fixture.now = right;
    fixture.reconcile();
    assert_eq!(fixture.reason(), "CANotYetValid");
    fixture.published.leaves = leaves;
    fixture.published.check(fixture.now);
    let sealed_cas = fixture.sealed_cas();
    assert_eq!((sealed_cas.len(), &sealed_cas[0]), (2, &before));
    assert!(!is_permanent(refusal(&fixture).unwrap().code));
    // The earlier key is brought back, as docs/renewal.md says.
    let sealed = fixture.sealed.clone();
    fixture.sealed.truncate(1);
    fixture.enclave.restart();
    fixture.reconcile();
    assert_eq!((fixture.reason(), fixture.ca()), ("Ready", Some(before)));
    fixture.issue();
    // Or the next CA is requested: the same key, by the right time.
    fixture.sealed = sealed;
    fixture.enclave.restart();
    fixture.reconcile();
    assert_eq!((fixture.reason(), fixture.ca()), ("CANotYetValid", Some(early)));
    fixture.issuer.metadata.annotations = Some([(RENEW.to_owned(), "again".to_owned())].into());
    fixture.reconcile();
    assert_eq!(fixture.reason(), "Ready");
    fixture.issue();

    let mut delivered = ready(KeyOwner::NewKey);
    let (right, before) = (delivered.now, delivered.ca());
    delivered.now = right + 2 * YEAR;
    delivered.reconcile();
    assert_eq!(delivered.reason(), "CAExpired");
    delivered.enclave.restart();
    delivered.reconcile();
    delivered.now = right;
    delivered.reconcile();
    assert_eq!((delivered.reason(), delivered.ca()), ("Ready", before));
    delivered.issue();
}
