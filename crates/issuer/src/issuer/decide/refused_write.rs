//! Issuers whose Secrets the API server refuses to write.

use super::observed::{Observed, RefusedWrite};
use super::plan::{AttestationStep, Plan};
use super::planner::Planner;
use jiff::Timestamp;
use std::time::Duration;
use tcs_api::{SERVICE_NAMESPACE, reasons, sealed};

/// A Secret of an issuer that was deleted is deleted, too, once Kubernetes' garbage collector has found it.
/// So a refused write is tried again soon.
const RETRY: Duration = Duration::from_secs(10);

/// The plan after a refused write. The Secret is not written again, and Ready is False. If the sealed key
/// could not be written, the status keeps the CA that it names, because a restart would restore that one.
pub fn amend(mut plan: Plan, seen: &Observed<'_>, refused: &RefusedWrite, now: Timestamp) -> Plan {
    (plan.seal, plan.ca_secret) = (false, None);
    let (reason, message) = match refused {
        RefusedWrite::CaCertificate(why) => (
            reasons::SECRET_CONFLICT,
            format!(
                "Secret {} could not be written: {why}. If it is not this issuer's, remove it or choose another \
                 secretName",
                seen.issuer.spec().secret_name
            ),
        ),
        RefusedWrite::SealedKey(why) => {
            withhold_unsealed_ca(&mut plan, seen);
            let name = sealed::name(&seen.issuer.uid());
            (
                reasons::SEALED_KEY_NOT_KEPT,
                format!(
                    "the enclave holds the CA key, but Secret {SERVICE_NAMESPACE}/{name}, which must contain the \
                     sealed key, could not be written: {why}"
                ),
            )
        }
    };
    let status = std::mem::take(&mut plan.status);
    let not_ready = Planner::with_status(seen, now, status).not_ready(reason, &message);
    // The next reconcile finds the CA recorded already, so this Event would be lost.
    plan.events.retain(|event| event.reason == reasons::CA_REPLACED);
    plan.events.extend(not_ready.events);
    Plan { status: not_ready.status, requeue: Some(RETRY), ..plan }
}

/// A CA whose key a restart would lose is not published. What a restart would restore, if anything, stays
/// published.
fn withhold_unsealed_ca(plan: &mut Plan, seen: &Observed<'_>) {
    plan.attestation = AttestationStep::Keep;
    if let Some(present) = &seen.status.ca {
        plan.status.ca = Some(present.clone());
        plan.status.previous_cas.clone_from(&seen.status.previous_cas);
        plan.status.handled_renewal.clone_from(&seen.status.handled_renewal);
        plan.events.clear();
    }
}
