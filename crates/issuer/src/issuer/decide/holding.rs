//! Issuers whose CA key the enclave holds: what is published, and what the Ready condition says.

use super::ca_record::{fingerprint, record_ca};
use super::ca_secret;
use super::clock::{CLOCK_RETRY, Validity, outside_validity, retry_after, waits_for_clock};
use super::observed::NextCa;
use super::plan::{About, AttestationStep, Decision, EventNote, Plan};
use super::planner::Planner;
use super::readiness::Readiness;
use super::renewal::{self, Due};
use super::sealed_key::SealedKey;
use super::self_signed;
use crate::time;
use std::time::Duration;
use tcs_api::v1alpha1::CaStatus;
use tcs_api::{conditions, reasons};
use tcs_enclave_rpc::{CaInfo, Identity};

/// The service may not watch the namespace of the CA certificate Secret, so the Secret is written again this
/// often.
const REAPPLY: Duration = Duration::from_mins(10);

/// The enclave holds this CA.
pub fn decide(mut planner: Planner<'_>, identity: &Identity, ca: &CaInfo) -> Decision {
    let seen = planner.seen;
    let due = renewal::due(&planner, ca);
    if due == Due::Now
        && let Some(step) = renewal::request_next(&planner)
    {
        return Decision::Ask(step);
    }
    let before = planner.status.ca.clone();
    planner.status = record_ca(&planner.status, seen.issuer, ca, planner.trusted_now());
    planner.status.secret_name = Some(seen.issuer.spec().secret_name.clone());
    let wanted = SealedKey::of(ca, seen.issuer);
    let validity = Validity::of(ca, planner.now);
    let waits = due == Due::WhenClocksAgree || validity != Validity::Valid;
    let mut plan = Plan {
        ca_secret: Some(Box::new(ca_secret::build(seen.issuer, ca, &planner.status.previous_cas))),
        seal: identity.sealing && !seen.sealed.is_some_and(|stored| stored.satisfies(&wanted)),
        requeue: Some(if waits { CLOCK_RETRY } else { REAPPLY }),
        ..Plan::default()
    };
    plan.events.extend(before.and_then(|old| replaced(&planner, &old, &fingerprint(ca))));
    let present = readiness(&planner, ca, validity);
    plan.events.extend(obtained(&planner, ca, &present.message));
    if due == Due::Now
        && let NextCa::Offer(offer) = seen.next
    {
        return renewal::decide(planner, plan, &present, offer);
    }
    settled(planner, plan, &present, due).into()
}

/// What the Ready condition says about the CA.
fn readiness(planner: &Planner<'_>, ca: &CaInfo, validity: Validity) -> Readiness {
    let issuer = planner.seen.issuer;
    match (validity, outside_validity(planner.seen.clock, ca, validity)) {
        (Validity::NotYet, Some(message)) => Readiness::not_signing(reasons::CA_NOT_YET_VALID, message),
        (Validity::Ended, Some(message)) => Readiness::not_signing(reasons::CA_EXPIRED, message),
        _ => Readiness::signing(
            reasons::READY,
            format!(
                "signing as {}; CA certificate in Secret {}, SHA-256 {}, until {}",
                issuer.signer_name(),
                issuer.spec().secret_name,
                fingerprint(ca),
                time::rfc3339(ca.not_after),
            ),
        ),
    }
}

/// The issuer holds its current CA, and nothing is requested from the key owner.
fn settled(mut planner: Planner<'_>, mut plan: Plan, present: &Readiness, due: Due) -> Plan {
    let seen = planner.seen;
    planner.status.offer = None;
    planner.status.refused_delivery = None;
    let failure = match (seen.next, due, waits_for_clock(seen.clock)) {
        (NextCa::Refused(refusal), Due::Now, _) => {
            plan.requeue = retry_after(refusal.code.as_str()).or(plan.requeue);
            format!("; the next CA cannot be obtained yet: {refusal}")
        }
        (_, Due::WhenClocksAgree, Some(why)) => format!("; the next CA is due: {why}"),
        _ if renewal::is_held_back(seen.issuer, &planner.status) => {
            "; not renewed although the annotation requests it: too many earlier CAs have not expired yet"
                .to_owned()
        }
        _ => String::new(),
    };
    plan.attestation =
        if seen.attestation.is_some() { AttestationStep::Delete } else { AttestationStep::Keep };
    let signs = present.signs();
    let readiness = Readiness { message: format!("{}{failure}", present.message), ..*present };
    if (!signs || !failure.is_empty()) && planner.is_news(readiness.reason, &readiness.message) {
        let reason = if signs { reasons::RENEWAL_FAILED } else { readiness.reason };
        let message = planner.marked(&readiness.message);
        plan.events.push(EventNote { warning: true, reason: reason.into(), message, about: About::Issuer });
    }
    Plan { status: planner.finish(&readiness), ..plan }
}

/// The Event for a CA that replaces another one. It is a warning unless the issuer was signing, as in a
/// renewal.
fn replaced(planner: &Planner<'_>, old: &CaStatus, fingerprint: &str) -> Option<EventNote> {
    if old.fingerprint == fingerprint {
        return None;
    }
    let stays = if planner.status.previous_cas.iter().any(|ca| ca.fingerprint == old.fingerprint) {
        format!("; the previous certificate stays in ca.crt until {}", old.not_after)
    } else {
        String::new()
    };
    let message = format!("the CA changed from SHA-256 {} to {fingerprint}{stays}", old.fingerprint);
    Some(EventNote {
        warning: !conditions::is_ready(planner.seen.status),
        reason: reasons::CA_REPLACED.into(),
        message: planner.marked(&message),
        about: About::Issuer,
    })
}

/// The Event for a CA that the issuer waited for.
fn obtained(planner: &Planner<'_>, ca: &CaInfo, message: &str) -> Option<EventNote> {
    const WAITING: [&str; 4] =
        [reasons::AWAITING_KEY, reasons::KEY_REJECTED, reasons::KEY_LOST, reasons::SEALED_KEY_NOT_KEPT];
    let waited = conditions::ready_condition(planner.seen.status).is_none_or(|ready| {
        WAITING.contains(&ready.reason.as_str()) || self_signed::is_waiting(&ready.reason)
    });
    let (reason, how) = if planner.seen.issuer.spec().self_sign {
        (reasons::CA_GENERATED, "key made in the enclave".to_owned())
    } else {
        (reasons::KEY_ACCEPTED, format!("key delivered as {}", ca.key_format))
    };
    let message = planner.marked(&format!("{message} ({how})"));
    waited.then(|| EventNote { warning: false, reason: reason.into(), message, about: About::Issuer })
}
