//! What an issuer needs next. `decide(observed, now)` is a pure function; [`super::reconcile`] carries the
//! decision out.
//!
//! `docs/architecture.md` describes the life cycle. Decisions are idempotent: the same observation gives the
//! same decision, and after a plan was carried out the next one changes nothing.

mod attestation;
mod ca_record;
mod ca_secret;
mod clock;
mod confirmation;
mod holding;
mod malformed_policy;
mod observed;
mod plan;
mod planner;
mod provisioning;
mod readiness;
mod refused_write;
mod renewal;
mod sealed_key;
mod self_signed;

pub use attestation::{merge_conditions, named_secret};
pub use ca_record::{fingerprint, must_be_recorded, record_ca, trust_anchor, was_published};
pub use confirmation::confirm;
pub use observed::{DeliverySecret, EnclaveState, NextCa, Observed, RefusedWrite};
pub use plan::{About, AttestationStep, Decision, EnclaveStep, EventNote, Plan};
pub use renewal::renewal_window;
pub use sealed_key::SealedKey;

use crate::issuer::Issuer;
use jiff::Timestamp;
use planner::Planner;
use std::time::Duration;
use tcs_api::{SERVICE_NAMESPACE, conditions, reasons};
use tcs_enclave_rpc::{Identity, Refusal, RefusalCode};

/// How soon an issuer is reconciled again after the enclave refused to make an offer.
const OFFER_RETRY: Duration = Duration::from_secs(30);

/// Decides what an issuer needs next.
#[must_use]
pub fn decide(seen: &Observed<'_>, now: Timestamp) -> Decision {
    let decision = match (by_enclave(seen, now), seen.refused_write) {
        (Decision::Settle(plan), Some(refused)) => refused_write::amend(*plan, seen, refused, now).into(),
        (decision, _) => decision,
    };
    match (decision, seen.policy_refusal) {
        (Decision::Settle(plan), Some(refusal)) if conditions::is_ready(&plan.status) => {
            malformed_policy::amend(*plan, seen, refusal, now).into()
        }
        (decision, _) => decision,
    }
}

/// Why an issuer is not served, if it is not.
#[must_use]
pub fn unsupported(issuer: &Issuer) -> Option<&'static str> {
    // In this namespace the service may write any Secret, including the key owner's: nothing would protect
    // them from an issuer's secretName.
    let in_service_namespace = issuer.namespace() == Some(SERVICE_NAMESPACE);
    in_service_namespace
        .then_some("issuers in the service's own namespace are not served; create it in another namespace")
}

/// The decision by what the enclave holds.
fn by_enclave(seen: &Observed<'_>, now: Timestamp) -> Decision {
    let planner = Planner::new(seen, now);
    if let Some(message) = unsupported(seen.issuer) {
        return planner.not_ready(reasons::UNSUPPORTED, message).into();
    }
    if let Some(why) = seen.withheld {
        return planner.not_ready(reasons::ADMISSION_POLICY_NOT_ENFORCED, why).into();
    }
    match seen.enclave {
        EnclaveState::Unavailable => {
            let message = "the enclave does not answer; see the logs of container tcs-enclave";
            planner.not_ready(reasons::ENCLAVE_UNAVAILABLE, message).into()
        }
        EnclaveState::Refused(identity, refusal) => no_offer(planner, identity, refusal).into(),
        EnclaveState::Holding(identity, ca) => holding::decide(planner.with_identity(identity), identity, ca),
        EnclaveState::Vacant(identity) => self_signed::decide(planner.with_identity(identity), identity),
        EnclaveState::Offering(identity, offer) => {
            provisioning::decide(planner.with_identity(identity), offer)
        }
    }
}

/// The enclave refused to make an offer.
fn no_offer(planner: Planner<'_>, identity: &Identity, refusal: &Refusal) -> Plan {
    let reason = match refusal.code {
        RefusalCode::EvidenceUnavailable | RefusalCode::TimedOut => reasons::NO_EVIDENCE,
        _ => reasons::ENCLAVE_UNAVAILABLE,
    };
    let plan = planner.with_identity(identity).not_ready(reason, &refusal.to_string());
    Plan { requeue: Some(OFFER_RETRY), ..plan }
}

#[cfg(test)]
mod tests;
