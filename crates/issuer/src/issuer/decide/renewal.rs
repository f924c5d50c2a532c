//! Renewal: when the next CA is due, and how it is requested.
//!
//! The enclave makes the next certificate of a self-signed CA. The next CA of any other issuer is delivered
//! by its key owner, as the first one was. Until the next CA is accepted, the current one signs, so that
//! issuing does not stop in either case.

use super::attestation;
use super::ca_record::{fingerprint, requested_renewal};
use super::clock::retry_after;
use super::observed::NextCa;
use super::plan::{About, Decision, EnclaveStep, EventNote, Plan};
use super::planner::Planner;
use super::provisioning::{DeliveryOutcome, Refused, follow_offer};
use super::readiness::Readiness;
use super::self_signed;
use crate::issuer::Issuer;
use tcs_api::v1alpha1::IssuerStatus;
use tcs_api::{MAX_PREVIOUS_BY_ANNOTATION, conditions, reasons};
use tcs_enclave_rpc::{CaInfo, Offer, RenewCa};

/// The next CA is due this long before the current one expires, in seconds: 30 days.
const RENEW_BEFORE: i64 = 30 * 86_400;

/// When the next CA is due, in Unix seconds: 30 days before the current one expires, or when a third of its
/// lifetime is left if that is later.
fn due_at(ca: &CaInfo) -> i64 {
    ca.not_after.saturating_sub(renewal_window(ca.not_after.saturating_sub(ca.not_before)))
}

/// How long before its end a CA with this lifetime is renewed, in seconds.
#[must_use]
pub fn renewal_window(lifetime: i64) -> i64 {
    RENEW_BEFORE.min(lifetime / 3)
}

/// Whether the next CA is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// No.
    No,
    /// Yes.
    Now,
    /// It is due by a clock that may be wrong.
    WhenClocksAgree,
}

/// Whether the next CA is requested. It is not requested before the current one is published, so that a CA
/// that was just made is not replaced. While the clock is not trusted, no renewal begins. A renewal that has
/// begun continues, because the key owner may be working on it.
pub fn due(planner: &Planner<'_>, ca: &CaInfo) -> Due {
    let published = planner.seen.status.ca.as_ref().map(|ca| ca.fingerprint.as_str());
    if published != Some(fingerprint(ca).as_str()) {
        return Due::No;
    }
    let requested = is_requested(planner.seen.issuer, &planner.status) && !is_full(&planner.status);
    let due = requested || planner.now.as_second() >= due_at(ca);
    match (planner.seen.clock.agrees(), due) {
        (true, true) => Due::Now,
        (false, _) if is_renewing(planner) => Due::Now,
        (false, true) => Due::WhenClocksAgree,
        (_, false) => Due::No,
    }
}

/// Whether the next CA has been requested from the key owner: there is an offer, and it is not for the first
/// key or for a lost one. If the reason of the Ready condition does not tell, the renewal waits until the
/// clocks agree.
fn is_renewing(planner: &Planner<'_>) -> bool {
    const OTHER_OFFERS: [&str; 5] = [
        reasons::AWAITING_KEY,
        reasons::KEY_REJECTED,
        reasons::KEY_LOST,
        reasons::ENCLAVE_UNAVAILABLE,
        reasons::ADMISSION_POLICY_NOT_ENFORCED,
    ];
    let status = planner.seen.status;
    let other =
        conditions::ready_condition(status).is_none_or(|ready| OTHER_OFFERS.contains(&ready.reason.as_str()));
    status.offer.is_some() && !other && !planner.seen.issuer.spec().self_sign
}

/// The request for the next CA, if it was not made in this reconcile.
pub fn request_next(planner: &Planner<'_>) -> Option<EnclaveStep> {
    let issuer = planner.seen.issuer;
    if !matches!(planner.seen.next, NextCa::NotRequested) {
        return None;
    }
    Some(if issuer.spec().self_sign {
        EnclaveStep::Renew(renew_request(issuer, planner.now.as_second()))
    } else {
        EnclaveStep::OfferNext
    })
}

/// The enclave holds the current CA, and the next one is requested from the key owner. `plan` is the plan for
/// the current CA, and `present` its Ready condition.
pub fn decide(mut planner: Planner<'_>, mut plan: Plan, present: &Readiness, offer: &Offer) -> Decision {
    let (step, outcome) = follow_offer(&mut planner, offer);
    let name = planner.seen.issuer.attestation_name();
    let (next, refused) = match outcome {
        DeliveryOutcome::Deliver(delivery) => return Decision::Ask(EnclaveStep::Deliver(delivery)),
        DeliveryOutcome::Waiting => (
            format!(
                "waiting for the next CA: check QuoteAttestation tcs-issuer/{name} with km-attest and deliver its key"
            ),
            None,
        ),
        DeliveryOutcome::Refused(refused) => {
            (format!("the next CA was refused: {}", refused.text), Some(refused))
        }
    };
    let signs = present.signs();
    let readiness = Readiness {
        reason: if signs { reasons::RENEWING } else { present.reason },
        message: format!("{}; {next}", present.message),
        ..*present
    };
    plan.events.extend(event(&planner, &readiness, refused.as_ref()));
    plan.attestation = step;
    plan.attestation_conditions.push(attestation::init_condition(planner.now));
    if let Some(Refused { code, text }) = &refused {
        plan.attestation_conditions.push(attestation::key_accepted_false(code, text, planner.now));
        plan.requeue = retry_after(code).or(plan.requeue);
    }
    Plan { status: planner.finish(&readiness), ..plan }.into()
}

/// The Event for a renewal, if its reason or message is new.
fn event(planner: &Planner<'_>, readiness: &Readiness, refused: Option<&Refused>) -> Option<EventNote> {
    let (reason, about) = match refused {
        Some(_) => (reasons::KEY_REJECTED, About::IssuerAndAttestation),
        None => (readiness.reason, About::Issuer),
    };
    planner.is_news(readiness.reason, &readiness.message).then(|| EventNote {
        warning: !readiness.signs() || refused.is_some(),
        reason: reason.into(),
        message: planner.marked(&readiness.message),
        about,
    })
}

/// Whether the annotation requests a renewal that is held back, because too many replaced CAs are still
/// published.
pub fn is_held_back(issuer: &Issuer, status: &IssuerStatus) -> bool {
    is_requested(issuer, status) && is_full(status)
}

/// Whether the annotation has a value that was not handled.
fn is_requested(issuer: &Issuer, status: &IssuerStatus) -> bool {
    requested_renewal(issuer).is_some_and(|value| status.handled_renewal != Some(value))
}

fn is_full(status: &IssuerStatus) -> bool {
    status.previous_cas.len() >= MAX_PREVIOUS_BY_ANNOTATION
}

fn renew_request(issuer: &Issuer, now: i64) -> RenewCa {
    let wanted = self_signed::request(issuer, now);
    let rotation = issuer.spec().ca.as_ref().and_then(|ca| ca.rotation_policy.as_deref());
    RenewCa {
        issuer_uid: wanted.issuer_uid,
        new_key: (rotation == Some("Always")).then_some(wanted.key_algorithm),
        lifetime: wanted.lifetime,
        now,
    }
}
