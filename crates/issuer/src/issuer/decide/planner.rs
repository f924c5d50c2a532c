//! Builds a plan.

use super::clock;
use super::observed::Observed;
use super::plan::{About, EventNote, Plan};
use super::readiness::Readiness;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::time::Duration;
use tcs_api::v1alpha1::IssuerStatus;
use tcs_api::{conditions, reasons};
use tcs_enclave_rpc::Identity;

/// Prefix of every message about a simulated platform.
const SIMULATED: &str = "SIMULATED PLATFORM, protects nothing: ";

/// What was observed, and the status as it has been decided so far.
pub struct Planner<'a> {
    pub seen: &'a Observed<'a>,
    pub now: Timestamp,
    pub status: IssuerStatus,
    pub simulated: bool,
}

impl<'a> Planner<'a> {
    /// Starts with the current status.
    pub fn new(seen: &'a Observed<'a>, now: Timestamp) -> Self {
        Self::with_status(seen, now, seen.status.clone())
    }

    /// Starts with a status that is already decided.
    pub fn with_status(seen: &'a Observed<'a>, now: Timestamp, status: IssuerStatus) -> Self {
        let simulated = status.simulated.unwrap_or(false);
        Self { seen, now, status, simulated }
    }

    /// Records the enclave in the status.
    pub fn with_identity(mut self, identity: &Identity) -> Self {
        self.status.evidence = Some(identity.evidence_kind.clone());
        self.status.assurance = Some(identity.assurance.clone());
        self.status.simulated = Some(identity.simulated);
        self.simulated = identity.simulated;
        self
    }

    /// The time, if a decision that cannot be undone may rely on it.
    pub fn trusted_now(&self) -> Option<Timestamp> {
        self.seen.clock.trusted(self.now)
    }

    /// When to try to restore the sealed key again, if the refusal may pass with time.
    pub fn restore_again(&self) -> Option<Duration> {
        self.seen.restore_refusal.and_then(|refusal| clock::retry_after(refusal.code.as_str()))
    }

    /// The message for a published CA whose key is lost.
    pub fn key_lost_message(&self, fingerprint: &str) -> String {
        let why = self.seen.restore_refusal.map_or_else(String::new, |refusal| {
            let advice = clock::retry_advice(refusal.code.as_str());
            format!(" (its sealed key could not be restored: {refusal}{advice})")
        });
        format!(
            "the enclave no longer holds the key of the CA with SHA-256 {fingerprint}{why}; its certificate stays \
             published"
        )
    }

    /// A plan that only sets Ready to False. An Event reports a new reason or message.
    pub fn not_ready(self, reason: &'static str, message: &str) -> Plan {
        let events = if self.is_news(reason, message) {
            let warning = reason != reasons::AWAITING_KEY;
            vec![EventNote {
                warning,
                reason: reason.to_owned(),
                message: self.marked(message),
                about: About::Issuer,
            }]
        } else {
            Vec::new()
        };
        let readiness = Readiness::not_signing(reason, message.to_owned());
        Plan { status: self.finish(&readiness), events, ..Plan::default() }
    }

    /// Whether the reason or the message of the Ready condition is new.
    pub fn is_news(&self, reason: &str, message: &str) -> bool {
        conditions::ready_condition(self.seen.status)
            .is_none_or(|before| before.reason != reason || before.message != self.marked(message))
    }

    /// The status with this Ready condition.
    pub fn finish(mut self, readiness: &Readiness) -> IssuerStatus {
        let condition = Condition {
            type_: conditions::READY.into(),
            status: readiness.status.into(),
            reason: readiness.reason.into(),
            message: self.marked(&readiness.message),
            observed_generation: self.seen.issuer.meta().generation,
            last_transition_time: Time(self.now),
        };
        conditions::set(&mut self.status.conditions, condition);
        self.status
    }

    /// The message with a mark if the platform is simulated, because then nothing is protected.
    pub fn marked(&self, message: &str) -> String {
        if self.simulated { format!("{SIMULATED}{message}") } else { message.to_owned() }
    }
}
