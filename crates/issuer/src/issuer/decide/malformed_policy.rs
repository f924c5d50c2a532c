//! Issuers whose `spec.policy` the enclave cannot read.

use super::observed::Observed;
use super::plan::Plan;
use super::planner::Planner;
use jiff::Timestamp;
use tcs_api::reasons;
use tcs_enclave_rpc::Refusal;

/// The plan for an issuer that would sign, if the enclave could read its policy. Everything is carried out,
/// but Ready is False: the enclave would refuse every certificate. The CRD refuses such policies, but it may
/// have been another one when the issuer was stored.
pub fn amend(mut plan: Plan, seen: &Observed<'_>, refusal: &Refusal, now: Timestamp) -> Plan {
    let message =
        format!("spec.policy cannot be used, so that nothing is signed until it is corrected: {refusal}");
    let status = std::mem::take(&mut plan.status);
    let not_ready = Planner::with_status(seen, now, status).not_ready(reasons::POLICY_MALFORMED, &message);
    plan.events.retain(|event| event.reason != reasons::READY);
    plan.events.extend(not_ready.events);
    Plan { status: not_ready.status, ..plan }
}
