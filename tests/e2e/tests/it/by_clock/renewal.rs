//! Renewal through more than three years, in steps of days. At every moment openssl, trusting the bundle that
//! is published then, must accept every published certificate that has not expired.

use crate::by_clock::fixture::Fixture;
use crate::by_clock::key_owner::KeyOwner;
use crate::by_clock::time::DAY;
use rcgen::KeyPair;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::CaSpec;

/// Lives for 1,200 days, in steps that meet no boundary on purpose.
fn live(ca: Option<CaSpec>, owner: KeyOwner) -> Fixture {
    let mut fixture = Fixture::without_sealing(ca, owner);
    let end = fixture.now + 1200 * DAY;
    let mut steps = 0;
    for step in [5 * DAY + 11, 3 * DAY + 3601, 2 * DAY].iter().cycle() {
        if fixture.now >= end {
            break;
        }
        fixture.reconcile();
        let ready = ready_condition(&fixture.status).unwrap();
        assert!(
            is_ready(&fixture.status) || fixture.fingerprints.is_empty(),
            "at {}: {ready:?}",
            fixture.now
        );
        fixture.issue();
        steps += 1;
        fixture.now += step;
        if steps % 3 == 0 {
            fixture.deliver();
        }
    }
    // A CA of 365 or 400 days is followed by the next one 30 days before its end.
    assert_eq!(fixture.fingerprints.len(), 4, "{:?}", fixture.fingerprints);
    assert!(fixture.held_back >= 3, "no request came between a new CA and its publication");
    assert!(fixture.published.count > 300, "{}", fixture.published.count);
    fixture
}

fn ephemeral(rotation_policy: Option<&str>) -> CaSpec {
    let rotation_policy = rotation_policy.map(str::to_owned);
    CaSpec { allow_ephemeral: true, rotation_policy, ..CaSpec::default() }
}

fn anchors(fixture: &Fixture) -> usize {
    fixture.published.bundle.matches("BEGIN CERTIFICATE").count()
}

#[test]
fn w_d7_a_self_signed_ca_is_renewed_with_the_same_key() {
    let fixture = live(Some(ephemeral(None)), KeyOwner::Nobody);
    assert!(anchors(&fixture) <= 2, "what has expired is not published for ever");
}

#[test]
fn a_self_signed_ca_with_a_new_key_each_time() {
    live(Some(ephemeral(Some("Always"))), KeyOwner::Nobody);
}

#[test]
fn a_delivered_ca_with_a_new_key_each_time() {
    live(None, KeyOwner::NewKey);
}

#[test]
fn a_delivered_ca_with_a_new_certificate_of_the_same_key() {
    live(None, KeyOwner::SameKey(Box::new(KeyPair::generate().unwrap())));
}

#[test]
fn a_delivered_intermediate_below_the_same_root() {
    let fixture = live(None, KeyOwner::BelowRoot(Box::new(KeyPair::generate().unwrap())));
    assert_eq!(anchors(&fixture), 1, "one root is enough");
}
