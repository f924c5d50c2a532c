//! Wrong clocks, and what they must not cause.

use super::fixture::*;
use super::*;
use crate::clock::{ClockComparison, TOLERANCE};
use crate::requests::is_permanent;
use crate::time;
use tcs_api::annotations;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::{IssuerStatus, PreviousCa, RefusedDelivery};
use tcs_enclave_rpc::CaInfo;

const DAY: i64 = 86_400;
/// 99991231235959Z: no end (RFC 5280, section 4.1.2.5).
const NO_END: i64 = 253_402_300_799;
/// Clocks that are not trusted.
const DOUBTFUL: [ClockComparison; 3] =
    [ClockComparison::Unknown, ClockComparison::Differs(YEAR), ClockComparison::Differs(-YEAR)];

fn renew(fixture: &mut Fixture) {
    fixture.issuer.metadata.annotations = Some([(annotations::RENEW.to_owned(), "now".to_owned())].into());
}

fn message(plan: &Plan) -> &str {
    &ready_condition(&plan.status).unwrap().message
}

/// No message may advise people to destroy what a correct clock would restore.
fn assert_safe(plan: &Plan) {
    let events = plan.events.iter().map(|event| event.message.as_str());
    for text in events.chain([message(plan)]) {
        for advice in ["NEW CA", "new-ca", "delete", "remove"] {
            assert!(!text.contains(advice), "{advice}: {text}");
        }
    }
}

#[test]
fn review_m4_no_first_ca_is_made_by_a_clock_that_differs() {
    for clock in DOUBTFUL {
        let mut fixture = Fixture { clock, ..Fixture::vacant() };
        let plan = fixture.plan();
        assert_eq!((reason(&plan), plan.requeue), (reasons::CLOCK_UNVERIFIED, Some(Duration::from_mins(1))));
        assert_safe(&plan);
        fixture.status = plan.status;
        // A moment later the difference has changed, and nothing is written.
        if let ClockComparison::Differs(ahead) = clock {
            fixture.clock = ClockComparison::Differs(ahead + ahead.signum() * 17);
        }
        let again = fixture.plan();
        assert_eq!(again.status, fixture.status);
        assert!(again.events.is_empty());
        fixture.clock = ClockComparison::Agrees;
        assert!(fixture.decide().generate().is_some());
    }
}

#[test]
fn review_m4_no_ca_is_renewed_by_a_clock_that_differs() {
    for (self_sign, left, asked) in
        [true, false].into_iter().flat_map(|self_sign| [(self_sign, DAY, false), (self_sign, YEAR, true)])
    {
        for clock in DOUBTFUL {
            let mut fixture = Fixture::settled(7, self_sign, left);
            if asked {
                renew(&mut fixture);
            }
            fixture.clock = clock;
            let plan = fixture.plan();
            assert_eq!((reason(&plan), plan.requeue), (reasons::READY, Some(Duration::from_mins(1))));
            assert!(is_ready(&plan.status) && plan.ca_secret.is_some());
            assert!(message(&plan).contains("no CA is made or renewed"), "{}", message(&plan));
            assert!(plan.events.iter().any(|event| event.warning && event.reason == reasons::RENEWAL_FAILED));
            assert_safe(&plan);
            fixture.status = plan.status;
            let again = fixture.plan();
            assert_eq!((&again.status, again.events.len()), (&fixture.status, 0), "reported once");
            fixture.clock = ClockComparison::Agrees;
            assert!(fixture.decide().requests_next());
        }
    }
}

#[test]
fn review_m4_a_renewal_that_has_begun_goes_on_whatever_the_clock_says() {
    let mut fixture = Fixture::settled(7, false, DAY);
    fixture.next = NextCa::Offer(offer(3));
    fixture.status = fixture.plan().status;
    fixture.attestation = Some(published(&fixture.issuer, &offer(3)));
    let begun = fixture.status.clone();
    for clock in DOUBTFUL {
        for time in [now().as_second() - 5 * YEAR, now().as_second(), now().as_second() + 5 * YEAR] {
            let at = Timestamp::from_second(time).unwrap();
            let requesting = Fixture { next: NextCa::NotRequested, ..renewing_copy(&fixture, &begun, clock) };
            assert!(requesting.decide_at(at).is_offer_next(), "{clock:?} at {time}");
            let fixture = renewing_copy(&fixture, &begun, clock);
            let plan = fixture.plan_at(at);
            assert_eq!(plan.attestation, AttestationStep::Keep, "{clock:?} at {time}");
            assert_eq!(plan.status.offer, begun.offer);
            assert_safe(&plan);
        }
    }
    // If the clocks agree that the CA is not due any longer, the renewal ends.
    fixture.next = NextCa::NotRequested;
    let before = Timestamp::from_second(now().as_second() - 300 * DAY).unwrap();
    assert_eq!(fixture.plan_at(before).attestation, AttestationStep::Delete);
}

fn renewing_copy(fixture: &Fixture, status: &IssuerStatus, clock: ClockComparison) -> Fixture {
    Fixture {
        issuer: fixture.issuer.clone(),
        ca: fixture.ca.clone(),
        sealed: fixture.sealed.clone(),
        attestation: fixture.attestation.clone(),
        status: status.clone(),
        next: NextCa::Offer(offer(3)),
        clock,
        ..Fixture::offering(1)
    }
}

/// The same CA that is delivered again after a loss is no renewal.
#[test]
fn review_m4_a_delivery_after_a_loss_asks_for_no_other_ca() {
    let mut fixture = Fixture::settled(7, false, YEAR);
    let held = fixture.ca.take();
    fixture.offer = Some(offer(1));
    fixture.status = fixture.plan().status;
    assert_eq!(reason(&fixture.plan()), reasons::KEY_LOST);
    assert!(fixture.status.offer.is_some());
    (fixture.ca, fixture.clock) = (held, ClockComparison::Differs(YEAR));
    let plan = fixture.plan();
    assert_eq!((reason(&plan), &plan.status.offer), (reasons::READY, &None));
}

#[test]
fn review_m4_a_ca_outside_its_validity_signs_again_when_the_clock_is_correct() {
    for self_sign in [true, false] {
        for (time, expected, side) in [
            (now().as_second() - 10 * YEAR, reasons::CA_NOT_YET_VALID, "behind"),
            (now().as_second() + 10 * YEAR, reasons::CA_EXPIRED, "ahead"),
        ] {
            let mut fixture = Fixture::settled(7, self_sign, YEAR / 2);
            let right = fixture.status.clone();
            fixture.clock = ClockComparison::of(time, now().as_second());
            let at = |second| Timestamp::from_second(second).unwrap();
            let plan = fixture.plan_at(at(time));
            assert_eq!((reason(&plan), plan.requeue), (expected, Some(Duration::from_mins(1))));
            assert!(!is_ready(&plan.status));
            assert!(message(&plan).contains(&format!("more than a year {side}")), "{}", message(&plan));
            assert_safe(&plan);
            let sealed = fixture.sealed.take();
            assert_eq!(plan.status.ca, right.ca);
            (fixture.status, fixture.sealed) = (plan.status, sealed);
            let later = fixture.plan_at(at(time + 61));
            assert_eq!((&later.status, later.events.len()), (&fixture.status, 0), "reported once");
            fixture.clock = ClockComparison::Agrees;
            let healed = fixture.plan();
            assert_eq!((reason(&healed), &healed.status.ca), (reasons::READY, &right.ca));
        }
    }
}

/// The clock was ahead when it was refused. Earlier versions recorded such a refusal for good.
#[test]
fn review_m4_a_delivery_that_was_refused_as_expired_is_tried_again() {
    let mut fixture = Fixture::offering(1);
    fixture.attestation = Some(patched(published(&fixture.issuer, &offer(1)), "wrapped-key", "KMRA"));
    fixture.secret = Some(secret("1"));
    fixture.refusal = Some(refusal(RefusalCode::CertificateExpired, "it has ended"));
    let plan = fixture.plan();
    assert_eq!((reason(&plan), plan.requeue), (reasons::KEY_REJECTED, Some(Duration::from_mins(1))));
    assert_eq!(plan.status.refused_delivery, None);
    assert!(message(&plan).contains("if the clock of the service's node is ahead, nothing else"));
    assert_safe(&plan);
    (fixture.status, fixture.refusal) = (plan.status, None);
    assert!(fixture.decide().delivery().is_some());
    fixture.status.refused_delivery = Some(RefusedDelivery {
        offer: "01".repeat(16),
        secret_uid: "s".into(),
        secret_resource_version: "1".into(),
        code: "CertificateExpired".into(),
        message: "CertificateExpired: it has ended".into(),
        ..RefusedDelivery::default()
    });
    assert!(fixture.decide().delivery().is_some());
    fixture.status.refused_delivery.as_mut().unwrap().code = "KeyMismatch".into();
    assert!(fixture.decide().delivery().is_none(), "a refusal that does not pass with time is final");
}

/// An enclave of an earlier version refuses to restore a CA that has expired by the time in the request.
#[test]
fn review_m4_a_sealed_key_that_was_refused_as_expired_is_tried_again() {
    for self_sign in [true, false] {
        let mut fixture = Fixture::settled(7, self_sign, YEAR);
        fixture.ca = None;
        (fixture.vacant, fixture.offer) = (self_sign, (!self_sign).then(|| offer(1)));
        let code = RefusalCode::CertificateExpired;
        fixture.restore_refusal = Some(refusal(code, "it has ended"));
        let plan = fixture.plan();
        assert_eq!((reason(&plan), plan.requeue), (reasons::KEY_LOST, Some(Duration::from_mins(1))));
        assert!(message(&plan).contains("if the clock of the service's node is ahead"), "{}", message(&plan));
        assert_safe(&plan);
    }
}

#[test]
fn review_m4_no_request_fails_for_good_because_of_a_clock_or_of_the_issuers_ca() {
    for code in [
        RefusalCode::ClockTooEarly,
        RefusalCode::CaExpired,
        RefusalCode::CaEndsSoon,
        RefusalCode::CertificateExpired,
        RefusalCode::CertificateNotYetValid,
        RefusalCode::NotProvisioned,
        RefusalCode::TooManyIssuers,
        RefusalCode::Internal,
    ] {
        assert!(!is_permanent(code), "{code:?}");
    }
}

fn previous(number: u8, not_after: &str) -> PreviousCa {
    PreviousCa {
        fingerprint: hex::encode([number; 32]),
        not_after: not_after.into(),
        trust_anchor: format!("anchor {number}"),
    }
}

/// The first bytes of the fingerprints of the earlier CAs at a time, by this clock.
fn earlier(fixture: &Fixture, seconds: i64) -> Vec<String> {
    let plan = fixture.plan_at(Timestamp::from_second(seconds).unwrap());
    let bundle = String::from_utf8(plan.ca_secret.unwrap().data.unwrap()["ca.crt"].0.clone()).unwrap();
    assert_eq!(bundle.matches("anchor").count(), plan.status.previous_cas.len());
    plan.status.previous_cas.iter().map(|ca| ca.fingerprint[..2].to_owned()).collect()
}

#[test]
fn review_m4_no_trust_anchor_leaves_the_bundle_by_a_clock_that_differs() {
    let mut fixture = Fixture::settled(7, true, YEAR);
    fixture.status.previous_cas = vec![previous(1, &time::rfc3339(now().as_second() + 10 * DAY))];
    let after = now().as_second() + 11 * DAY;
    for clock in DOUBTFUL {
        fixture.clock = clock;
        assert_eq!(earlier(&fixture, after), ["01"], "{clock:?}");
    }
    fixture.clock = ClockComparison::Agrees;
    assert_eq!(earlier(&fixture, now().as_second()), ["01"]);
    assert_eq!(earlier(&fixture, after), [""; 0]);
}

/// The clock of both may be wrong: a CA that has expired by it stays in the bundle for a week.
#[test]
fn review_m4_a_ca_that_expired_before_it_was_replaced_stays_a_week() {
    let mut fixture = Fixture::settled(7, true, YEAR);
    fixture.ca.as_mut().unwrap().not_before = now().as_second() - 300;
    fixture.status.previous_cas = vec![previous(1, "1970-01-01T00:00:00Z")];
    assert_eq!(earlier(&fixture, now().as_second()), ["01"]);
    assert_eq!(earlier(&fixture, now().as_second() + 7 * DAY - 300), ["01"]);
    assert_eq!(earlier(&fixture, now().as_second() + 7 * DAY), [""; 0]);
}

#[test]
fn case_p02_review_l1_a_ca_without_end_is_shown_as_such_and_its_anchor_stays() {
    let mut fixture = Fixture::settled(7, false, YEAR);
    fixture.ca.as_mut().unwrap().not_after = NO_END;
    fixture.status = fixture.plan().status;
    assert_eq!(fixture.status.ca.as_ref().unwrap().not_after, "9999-12-31T23:59:59Z");
    assert!(message(&fixture.plan()).contains("until 9999-12-31T23:59:59Z"));
    assert!(!fixture.decide().requests_next(), "it is never due");
    renew(&mut fixture);
    assert!(fixture.decide().is_offer_next());
    fixture.ca = Some(CaInfo { anchors: vec![vec![8].into()], not_after: NO_END, ..ca(8) });
    fixture.status = fixture.plan().status;
    assert_eq!(fixture.status.previous_cas[0].fingerprint, "07".repeat(32));
    let plan = fixture.plan_at(Timestamp::from_second(900_000).unwrap());
    assert_eq!(plan.status.previous_cas.len(), 1);
    // Earlier versions wrote an end as a number. The other texts cannot be read.
    fixture.status.previous_cas = vec![previous(1, "253402300799"), previous(2, "?"), previous(3, "")];
    assert_eq!(earlier(&fixture, 999_000), ["01", "02", "03"]);
    fixture.status.previous_cas = vec![previous(1, "1")];
    assert_eq!(earlier(&fixture, 999_000), [""; 0]);
}

#[test]
fn review_l1_no_validity_is_too_long_or_too_odd_for_a_decision() {
    for (not_before, not_after) in
        [(i64::MIN, i64::MAX), (0, NO_END), (i64::MAX, i64::MIN), (NO_END, NO_END + 1), (i64::MIN, i64::MIN)]
    {
        for self_sign in [true, false] {
            let mut fixture = Fixture::settled(7, self_sign, YEAR);
            let held = fixture.ca.as_mut().unwrap();
            (held.not_before, held.not_after) = (not_before, not_after);
            fixture.status = match fixture.decide() {
                Decision::Settle(plan) => plan.status,
                Decision::Ask(_) => IssuerStatus::default(),
            };
            let _ = fixture.decide();
        }
    }
}

#[test]
fn review_m4_messages_about_a_clock_are_coarse() {
    let doubt = |ahead| ClockComparison::of(ahead, 0).doubt().unwrap_or_default();
    assert_eq!((doubt(TOLERANCE), doubt(-TOLERANCE)), (String::new(), String::new()));
    for (ahead, distance) in [
        (301, "5 minutes ahead of"),
        (-5_399, "5 minutes behind"),
        (5_400, "an hour ahead of"),
        (-2 * DAY, "a day behind"),
        (46 * DAY, "a month ahead of"),
        (i64::MAX, "a year ahead of"),
        (i64::MIN, "a year behind"),
    ] {
        let text = format!("more than {distance} the API server's");
        assert!(doubt(ahead).ends_with(&text), "{}", doubt(ahead));
    }
    assert_eq!(ClockComparison::of(i64::MAX, i64::MIN), ClockComparison::Differs(i64::MAX));
    // A clock that is set to another time zone is wrong by whole hours, or by a second less.
    for hours in 1..=14 {
        for ahead in [hours * 3600, -hours * 3600] {
            assert_eq!(doubt(ahead - 1), doubt(ahead), "{hours}");
        }
    }
}
