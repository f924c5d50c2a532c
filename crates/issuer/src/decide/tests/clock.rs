//! Clocks that are wrong, and what they may not do.

use super::*;
use crate::requests::is_requests_fault;
use tcs_api::annotations;
use tcs_api::v1alpha1::PreviousCa;

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// 99991231235959Z, which is no end (RFC 5280, 4.1.2.5).
const NO_END: i64 = 253_402_300_799;
/// Clocks that are not trusted.
const DOUBTFUL: [ClockSeen; 3] = [ClockSeen::Unknown, ClockSeen::Differs(YEAR), ClockSeen::Differs(-YEAR)];

/// A CA of a year that is published, so many seconds before its end.
fn settled(self_sign: bool, left: i64) -> Scene {
    let mut scene = Scene::holding(7);
    scene.issuer.spec.self_sign = self_sign;
    let held = scene.ca.as_mut().unwrap();
    (held.not_before, held.not_after) = (now().as_second() + left - YEAR, now().as_second() + left);
    scene.sealed = Some(SealedKey::of(&held.clone(), &Issuer::from(&scene.issuer)));
    scene.status = scene.decide().status;
    scene
}

fn renew(scene: &mut Scene) {
    scene.issuer.metadata.annotations = Some([(annotations::RENEW.to_owned(), "now".to_owned())].into());
}

fn message(plan: &Plan) -> &str {
    &ready_condition(&plan.status).unwrap().message
}

/// Nothing that is said may lead to the loss of what a clock could give back.
fn assert_safe(plan: &Plan) {
    let notes = plan.notes.iter().map(|note| note.message.as_str());
    for said in notes.chain([message(plan)]) {
        for advice in ["NEW CA", "new-ca", "delete", "remove"] {
            assert!(!said.contains(advice), "{advice}: {said}");
        }
    }
}

#[test]
fn review_m4_no_first_ca_is_made_by_a_clock_that_differs() {
    for clock in DOUBTFUL {
        let mut scene = Scene { clock, ..Scene::vacant() };
        let plan = scene.decide();
        assert!(plan.generate.is_none());
        assert_eq!((reason(&plan), plan.requeue), (reasons::CLOCK_UNVERIFIED, Some(Duration::from_mins(1))));
        assert_safe(&plan);
        scene.status = plan.status;
        // A moment later the difference is another, and nothing is written.
        if let ClockSeen::Differs(ahead) = clock {
            scene.clock = ClockSeen::Differs(ahead + ahead.signum() * 17);
        }
        let again = scene.decide();
        assert_eq!(again.status, scene.status);
        assert!(again.notes.is_empty());
        scene.clock = ClockSeen::Agrees;
        assert!(scene.decide().generate.is_some());
    }
}

#[test]
fn review_m4_no_ca_is_renewed_by_a_clock_that_differs() {
    for (self_sign, left, asked) in
        [true, false].into_iter().flat_map(|self_sign| [(self_sign, DAY, false), (self_sign, YEAR, true)])
    {
        for clock in DOUBTFUL {
            let mut scene = settled(self_sign, left);
            if asked {
                renew(&mut scene);
            }
            scene.clock = clock;
            let plan = scene.decide();
            assert!(plan.next.is_none());
            assert_eq!((reason(&plan), plan.requeue), (reasons::READY, Some(Duration::from_mins(1))));
            assert!(is_ready(&plan.status) && plan.ca_secret.is_some());
            assert!(message(&plan).contains("no CA is made or renewed"), "{}", message(&plan));
            assert!(plan.notes.iter().any(|note| note.warning && note.reason == reasons::RENEWAL_FAILED));
            assert_safe(&plan);
            scene.status = plan.status;
            let again = scene.decide();
            assert_eq!((&again.status, again.notes.len()), (&scene.status, 0), "said once");
            scene.clock = ClockSeen::Agrees;
            assert!(scene.decide().next.is_some());
        }
    }
}

#[test]
fn review_m4_a_renewal_that_has_begun_goes_on_whatever_the_clock_says() {
    let mut scene = settled(false, DAY);
    scene.next = Next::Offer(offer(3));
    scene.status = scene.decide().status;
    scene.attestation = Some(published(&scene.issuer, &offer(3)));
    let begun = scene.status.clone();
    for clock in DOUBTFUL {
        for time in [now().as_second() - 5 * YEAR, now().as_second(), now().as_second() + 5 * YEAR] {
            let at = Timestamp::from_second(time).unwrap();
            let ask = Scene { next: Next::NotAsked, ..renewing_copy(&scene, &begun, clock) };
            assert_eq!(ask.decide_at(at).next, Some(NextStep::Offer), "{clock:?} at {time}");
            let scene = renewing_copy(&scene, &begun, clock);
            let plan = scene.decide_at(at);
            assert_eq!(plan.attestation, AttestationStep::Keep, "{clock:?} at {time}");
            assert_eq!(plan.status.offer, begun.offer);
            assert_safe(&plan);
        }
    }
    // By a clock that agrees it is no longer due: then it ends.
    scene.next = Next::NotAsked;
    let before = Timestamp::from_second(now().as_second() - 300 * DAY).unwrap();
    assert_eq!(scene.decide_at(before).attestation, AttestationStep::Delete);
}

fn renewing_copy(scene: &Scene, status: &IssuerStatus, clock: ClockSeen) -> Scene {
    Scene {
        issuer: scene.issuer.clone(),
        ca: scene.ca.clone(),
        sealed: scene.sealed.clone(),
        attestation: scene.attestation.clone(),
        status: status.clone(),
        next: Next::Offer(offer(3)),
        clock,
        ..Scene::offering(1)
    }
}

/// The same CA, delivered again after a loss, is no renewal in progress.
#[test]
fn review_m4_a_delivery_after_a_loss_asks_for_no_other_ca() {
    let mut scene = settled(false, YEAR);
    let held = scene.ca.take();
    scene.offer = Some(offer(1));
    scene.status = scene.decide().status;
    assert_eq!(reason(&scene.decide()), reasons::KEY_LOST);
    assert!(scene.status.offer.is_some());
    (scene.ca, scene.clock) = (held, ClockSeen::Differs(YEAR));
    let plan = scene.decide();
    assert!(plan.next.is_none());
    assert_eq!((reason(&plan), &plan.status.offer), (reasons::READY, &None));
}

#[test]
fn review_m4_a_ca_outside_its_validity_is_said_to_come_back_and_does() {
    for self_sign in [true, false] {
        for (time, expected, side) in [
            (now().as_second() - 10 * YEAR, reasons::CA_NOT_YET_VALID, "behind"),
            (now().as_second() + 10 * YEAR, reasons::CA_EXPIRED, "ahead"),
        ] {
            let mut scene = settled(self_sign, YEAR / 2);
            let right = scene.status.clone();
            scene.clock = ClockSeen::of(time, now().as_second());
            let at = |second| Timestamp::from_second(second).unwrap();
            let plan = scene.decide_at(at(time));
            assert_eq!((reason(&plan), plan.requeue), (expected, Some(Duration::from_mins(1))));
            assert!(!is_ready(&plan.status) && plan.next.is_none() && plan.generate.is_none());
            assert!(message(&plan).contains(&format!("more than a year {side}")), "{}", message(&plan));
            assert_safe(&plan);
            let kept = scene.sealed.take();
            assert_eq!(plan.status.ca, right.ca);
            (scene.status, scene.sealed) = (plan.status, kept);
            let later = scene.decide_at(at(time + 61));
            assert_eq!((&later.status, later.notes.len()), (&scene.status, 0), "said once");
            scene.clock = ClockSeen::Agrees;
            let healed = scene.decide();
            assert_eq!((reason(&healed), &healed.status.ca), (reasons::READY, &right.ca));
        }
    }
}

/// Refused by a clock that was ahead; earlier versions remembered that for good.
#[test]
fn review_m4_a_delivery_that_was_refused_as_expired_is_tried_again() {
    let mut scene = Scene::offering(1);
    scene.attestation = Some(patched(published(&scene.issuer, &offer(1)), "wrapped-key", "KMRA"));
    scene.secret = Some(secret("1"));
    scene.refusal = Some(Refusal { code: RefusalCode::CertificateExpired, message: "it has ended".into() });
    let plan = scene.decide();
    assert_eq!((reason(&plan), plan.requeue), (reasons::KEY_REJECTED, Some(Duration::from_mins(1))));
    assert_eq!(plan.status.refused_delivery, None);
    assert!(message(&plan).contains("if the clock of the service's node is ahead, nothing else"));
    assert_safe(&plan);
    (scene.status, scene.refusal) = (plan.status, None);
    assert!(scene.decide().deliver.is_some());
    scene.status.refused_delivery = Some(tcs_api::v1alpha1::RefusedDelivery {
        offer: "01".repeat(16),
        secret_uid: "s".into(),
        secret_resource_version: "1".into(),
        code: "CertificateExpired".into(),
        message: "CertificateExpired: it has ended".into(),
    });
    assert!(scene.decide().deliver.is_some());
    scene.status.refused_delivery.as_mut().unwrap().code = "KeyMismatch".into();
    assert!(scene.decide().deliver.is_none(), "what time does not heal is final");
}

/// An enclave of an earlier version refuses to restore what has ended by the clock that it is told.
#[test]
fn review_m4_a_sealed_key_that_was_refused_as_expired_is_tried_again() {
    for self_sign in [true, false] {
        let mut scene = settled(self_sign, YEAR);
        scene.ca = None;
        (scene.vacant, scene.offer) = (self_sign, (!self_sign).then(|| offer(1)));
        let code = RefusalCode::CertificateExpired;
        scene.restore_refusal = Some(Refusal { code, message: "it has ended".into() });
        let plan = scene.decide();
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
        assert!(!is_requests_fault(code), "{code:?}");
    }
}

fn previous(number: u8, not_after: &str) -> PreviousCa {
    PreviousCa {
        fingerprint: hex::encode([number; 32]),
        not_after: not_after.into(),
        trust_anchor: format!("anchor {number}"),
    }
}

/// The fingerprints' first bytes of the earlier CAs at a time, by this clock.
fn earlier(scene: &Scene, seconds: i64) -> Vec<String> {
    let plan = scene.decide_at(Timestamp::from_second(seconds).unwrap());
    let bundle = String::from_utf8(plan.ca_secret.unwrap().data.unwrap()["ca.crt"].0.clone()).unwrap();
    assert_eq!(bundle.matches("anchor").count(), plan.status.previous_cas.len());
    plan.status.previous_cas.iter().map(|ca| ca.fingerprint[..2].to_owned()).collect()
}

#[test]
fn review_m4_no_trust_anchor_leaves_the_bundle_by_a_clock_that_differs() {
    let mut scene = settled(true, YEAR);
    scene.status.previous_cas = vec![previous(1, &time::rfc3339(now().as_second() + 10 * DAY))];
    let after = now().as_second() + 11 * DAY;
    for clock in DOUBTFUL {
        scene.clock = clock;
        assert_eq!(earlier(&scene, after), ["01"], "{clock:?}");
    }
    scene.clock = ClockSeen::Agrees;
    assert_eq!(earlier(&scene, now().as_second()), ["01"]);
    assert_eq!(earlier(&scene, after), [""; 0]);
}

/// The clock may be wrong that both follow: what it says has ended stays for a week beside what followed it.
#[test]
fn review_m4_a_ca_that_ended_before_it_was_followed_stays_a_week() {
    let mut scene = settled(true, YEAR);
    scene.ca.as_mut().unwrap().not_before = now().as_second() - 300;
    scene.status.previous_cas = vec![previous(1, "1970-01-01T00:00:00Z")];
    assert_eq!(earlier(&scene, now().as_second()), ["01"]);
    assert_eq!(earlier(&scene, now().as_second() + 7 * DAY - 300), ["01"]);
    assert_eq!(earlier(&scene, now().as_second() + 7 * DAY), [""; 0]);
}

#[test]
fn review_l1_a_ca_without_end_is_shown_so_and_its_anchor_stays() {
    let mut scene = settled(false, YEAR);
    scene.ca.as_mut().unwrap().not_after = NO_END;
    scene.status = scene.decide().status;
    assert_eq!(scene.status.ca.as_ref().unwrap().not_after, "9999-12-31T23:59:59Z");
    assert!(message(&scene.decide()).contains("until 9999-12-31T23:59:59Z"));
    assert!(scene.decide().next.is_none(), "not due in this life");
    renew(&mut scene);
    assert_eq!(scene.decide().next, Some(NextStep::Offer));
    scene.ca = Some(CaInfo { anchors: vec![vec![8].into()], not_after: NO_END, ..ca(8) });
    scene.status = scene.decide().status;
    assert_eq!(scene.status.previous_cas[0].fingerprint, "07".repeat(32));
    let plan = scene.decide_at(Timestamp::from_second(900_000).unwrap());
    assert_eq!(plan.status.previous_cas.len(), 1);
    // An end that earlier versions wrote as a number, and one that nobody can read.
    scene.status.previous_cas = vec![previous(1, "253402300799"), previous(2, "?"), previous(3, "")];
    assert_eq!(earlier(&scene, 999_000), ["01", "02", "03"]);
    scene.status.previous_cas = vec![previous(1, "1")];
    assert_eq!(earlier(&scene, 999_000), [""; 0]);
}

#[test]
fn review_l1_no_validity_is_too_long_or_too_odd_for_a_decision() {
    for (not_before, not_after) in
        [(i64::MIN, i64::MAX), (0, NO_END), (i64::MAX, i64::MIN), (NO_END, NO_END + 1), (i64::MIN, i64::MIN)]
    {
        for self_sign in [true, false] {
            let mut scene = settled(self_sign, YEAR);
            let held = scene.ca.as_mut().unwrap();
            (held.not_before, held.not_after) = (not_before, not_after);
            scene.status = scene.decide().status;
            let _ = scene.decide();
        }
    }
}

#[test]
fn review_m4_what_is_said_of_a_clock_is_coarse() {
    let said = |ahead| ClockSeen::of(ahead, 0).doubt().unwrap_or_default();
    assert_eq!((said(TOLERANCE), said(-TOLERANCE)), (String::new(), String::new()));
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
        assert!(said(ahead).ends_with(&text), "{}", said(ahead));
    }
    assert_eq!(ClockSeen::of(i64::MAX, i64::MIN), ClockSeen::Differs(i64::MAX));
    // A clock set to another time zone is wrong by whole hours, give or take the second in which it is looked at.
    for hours in 1..=14 {
        for ahead in [hours * 3600, -hours * 3600] {
            assert_eq!(said(ahead - 1), said(ahead), "{hours}");
        }
    }
}
