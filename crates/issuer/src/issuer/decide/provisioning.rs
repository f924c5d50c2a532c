//! Issuers whose CA key the key owner delivers: the offer, its `QuoteAttestation`, and the delivery.

use super::attestation;
use super::clock::{retry_advice, retry_after};
use super::observed::DeliverySecret;
use super::plan::{About, AttestationStep, Decision, EnclaveStep, Plan};
use super::planner::Planner;
use crate::issuer::delivery::{self, Delivery};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use tcs_api::v1alpha1::{OfferStatus, QuoteAttestation, RefusedDelivery};
use tcs_api::{conditions, reasons};
use tcs_enclave_rpc::{Offer, Refusal, RefusalCode};

/// The only type of delivery that is served.
const KMRA: &str = "KMRA";

/// The state of a delivery.
pub enum DeliveryOutcome {
    /// The key owner has not delivered.
    Waiting,
    /// It is complete and has not been tried.
    Deliver(Delivery),
    /// It was refused.
    Refused(Refused),
}

/// A refused delivery.
pub struct Refused {
    /// Stable code.
    pub code: String,
    /// The message for people, without the mark of a simulated platform.
    pub text: String,
}

/// The enclave holds no CA key of the issuer, and this offer is open.
pub fn decide(mut planner: Planner<'_>, offer: &Offer) -> Decision {
    let (step, outcome) = follow_offer(&mut planner, offer);
    let init = attestation::init_condition(planner.now);
    let mut plan = match outcome {
        DeliveryOutcome::Waiting => waiting(planner),
        DeliveryOutcome::Deliver(delivery) => return Decision::Ask(EnclaveStep::Deliver(delivery)),
        DeliveryOutcome::Refused(refused) => rejected(planner, &refused),
    };
    plan.attestation_conditions.insert(0, init);
    plan.attestation = step;
    plan.into()
}

/// What to do with the `QuoteAttestation` of an offer, and the state of the delivery for it.
pub fn follow_offer(planner: &mut Planner<'_>, offer: &Offer) -> (AttestationStep, DeliveryOutcome) {
    let seen = planner.seen;
    let id = hex::encode(offer.offer_id.as_slice());
    let wanted = attestation::build(seen.issuer, offer, planner.simulated);
    let step = attestation::compare(seen.attestation, wanted);
    planner.status.offer =
        Some(OfferStatus { id: id.clone(), quote_attestation: seen.issuer.attestation_name() });
    planner.status.refused_delivery.take_if(|refused| refused.offer != id);
    // The entries in the object of another offer do not apply to this one.
    let current =
        seen.attestation.filter(|_| matches!(step, AttestationStep::Keep | AttestationStep::Restore(_)));
    let outcome =
        current.map_or(DeliveryOutcome::Waiting, |attestation| delivery_outcome(planner, attestation, &id));
    if matches!(outcome, DeliveryOutcome::Waiting) {
        planner.status.refused_delivery = None;
    }
    (step, outcome)
}

fn delivery_outcome(
    planner: &mut Planner<'_>,
    attestation: &QuoteAttestation,
    offer_id: &str,
) -> DeliveryOutcome {
    let status = attestation.status.as_ref();
    let entry = status.and_then(|status| attestation::entry_for(status, planner.seen.issuer));
    let kind = entry.and_then(|entry| entry.secret_type.as_deref()).unwrap_or_default();
    let secret = match planner.seen.secret {
        DeliverySecret::NotNamed => return DeliveryOutcome::Waiting,
        _ if kind != KMRA => {
            let message = format!("secretType is '{kind}', but only {KMRA} is served");
            return refused(reasons::SECRET_TYPE_UNSUPPORTED, &message, false);
        }
        DeliverySecret::Found(secret) => secret,
        DeliverySecret::Missing(name) => {
            let message = format!("there is no Secret '{name}' in namespace tcs-issuer");
            return refused(reasons::SECRET_NOT_FOUND, &message, false);
        }
    };
    let attempted = attempt(secret, offer_id);
    if let Some(refusal) = planner.seen.refusal {
        return refused_by_enclave(planner, attempted, refusal);
    }
    let before = planner.status.refused_delivery.as_ref();
    // Earlier versions also recorded refusals that pass with time.
    let is_final = |before: &&RefusedDelivery| {
        before.is_same_delivery(&attempted)
            && retry_after(&before.code).is_none()
            && !may_be_allowed_now(planner, before)
    };
    if let Some(before) = before.filter(is_final) {
        // The recorded text is used unchanged: otherwise every reconcile would write the status.
        let (code, text) = (before.code.clone(), before.message.clone());
        return DeliveryOutcome::Refused(Refused { code, text });
    }
    planner.status.refused_delivery = None;
    match delivery::read(secret) {
        Ok(delivery) => DeliveryOutcome::Deliver(delivery),
        Err(error) => refused(error.code(), &error.to_string(), false),
    }
}

/// Whether the delivery was refused because of its format, and the issuer's spec has changed since.
fn may_be_allowed_now(planner: &Planner<'_>, before: &RefusedDelivery) -> bool {
    let decided_for =
        conditions::ready_condition(planner.seen.status).and_then(|ready| ready.observed_generation);
    before.code == RefusalCode::WrapFormatForbidden.as_str()
        && decided_for != planner.seen.issuer.meta().generation
}

/// A delivery as the status records it, without the refusal.
fn attempt(secret: &Secret, offer_id: &str) -> RefusedDelivery {
    RefusedDelivery {
        offer: offer_id.to_owned(),
        secret_uid: secret.uid().unwrap_or_default(),
        secret_resource_version: secret.resource_version().unwrap_or_default(),
        code: String::new(),
        message: String::new(),
    }
}

/// Records the enclave's refusal in the status, so that the delivery is not tried again. A refusal that may
/// pass with time is not recorded: that delivery is tried again.
fn refused_by_enclave(
    planner: &mut Planner<'_>,
    attempted: RefusedDelivery,
    refusal: &Refusal,
) -> DeliveryOutcome {
    let refused = refusal_text(refusal.code.as_str(), &refusal.message, refusal.offer_ended);
    let Refused { code, text } = &refused;
    planner.status.refused_delivery = retry_after(code).is_none().then(|| RefusedDelivery {
        code: code.clone(),
        message: text.clone(),
        ..attempted
    });
    DeliveryOutcome::Refused(refused)
}

fn refused(code: &str, message: &str, offer_ended: bool) -> DeliveryOutcome {
    DeliveryOutcome::Refused(refusal_text(code, message, offer_ended))
}

/// The text of a refusal. If the offer has ended, the enclave's message says that the key must be wrapped for
/// a new one.
fn refusal_text(code: &str, message: &str, offer_ended: bool) -> Refused {
    let advice = if offer_ended {
        ""
    } else {
        "; nothing was kept: correct the Secret, or its name and type in the status, and it is tried again"
    };
    Refused { code: code.to_owned(), text: format!("{code}: {message}{}{advice}", retry_advice(code)) }
}

fn waiting(planner: Planner<'_>) -> Plan {
    let name = planner.seen.issuer.attestation_name();
    let how = format!(
        "check QuoteAttestation tcs-issuer/{name} with km-attest, then deliver the CA key (kubectl get \
         quoteattestations.tcs.intel.com -n tcs-issuer {name} -o yaml)"
    );
    let (reason, message) = match planner.seen.status.ca.as_ref() {
        None => (reasons::AWAITING_KEY, format!("waiting for the CA key: {how}")),
        Some(ca) => {
            (reasons::KEY_LOST, format!("{}. To go on, {how}", planner.key_lost_message(&ca.fingerprint)))
        }
    };
    let requeue = planner.restore_again();
    Plan { requeue, ..planner.not_ready(reason, &message) }
}

fn rejected(planner: Planner<'_>, refused: &Refused) -> Plan {
    let condition = attestation::key_accepted_false(&refused.code, &refused.text, planner.now);
    let mut plan = planner.not_ready(reasons::KEY_REJECTED, &refused.text);
    plan.attestation_conditions.push(condition);
    plan.requeue = retry_after(&refused.code);
    for event in &mut plan.events {
        event.about = About::IssuerAndAttestation;
    }
    plan
}
