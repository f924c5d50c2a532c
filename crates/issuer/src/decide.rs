//! What an issuer needs next: `decide(observed, now) → Plan`. Pure; `apply` carries it out.
//!
//! The life cycle is that of docs/architecture.md. Whatever is decided is idempotent: the same observation gives
//! the same plan, and a plan that was carried out gives an empty one.

mod attestation;
mod ca_secret;
mod clock;
mod delivered;
mod held;
mod renewal;
mod said;
mod self_signed;

use crate::delivery::Delivery;
use crate::issuer::Issuer;
use crate::time;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::time::Duration;
use tcs_api::v1alpha1::{CaStatus, IssuerStatus, QuoteAttestation, QuoteCondition};
use tcs_api::{SERVICE_NAMESPACE, conditions, reasons};
use tcs_enclave_rpc::{CaInfo, GenerateCa, Identity, Offer, Refusal, RefusalCode, RenewCa};

pub use crate::sealed::SealedKey;
pub use attestation::merge_conditions;
pub use clock::{ClockSeen, TOLERANCE};
pub use renewal::{is_known, known};

/// Begins every text about a simulated platform.
const SIMULATED: &str = "SIMULATED PLATFORM, protects nothing: ";

/// What the enclave said about the issuer.
#[derive(Clone, Copy, Debug)]
pub enum EnclaveSeen<'a> {
    /// No enclave answers.
    Unavailable,
    /// It holds the CA key.
    Holding(&'a Identity, &'a CaInfo),
    /// It holds no CA key and made (or repeated) this offer.
    Offering(&'a Identity, &'a Offer),
    /// It refused to make an offer.
    Refused(&'a Identity, &'a Refusal),
    /// It holds no CA key of this self-signed issuer, which has no offers.
    Vacant(&'a Identity),
}

/// What was found of the Secret that the key owner named.
#[derive(Clone, Copy)]
pub enum SecretSeen<'a> {
    /// Nobody named one yet.
    NotNamed,
    /// It is not there.
    Missing,
    /// It is there.
    Found(&'a Secret),
}

/// What this pass learned of the CA that is to follow the one held.
#[derive(Clone, Copy, Debug)]
pub enum NextSeen<'a> {
    /// Nobody asked yet.
    NotAsked,
    /// The offer for it.
    Offer(&'a Offer),
    /// The enclave refused to make it, or an offer for it.
    Refused(&'a Refusal),
}

/// Everything a decision rests on.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// Its status: the newest known, which may be newer than the watch's.
    pub status: &'a IssuerStatus,
    /// Why nothing may be signed or written for any issuer, if so: the admission policies that limit the service are not in force.
    pub withheld: Option<&'a str>,
    /// The enclave.
    pub enclave: EnclaveSeen<'a>,
    /// The CA that is to follow the one held.
    pub next: NextSeen<'a>,
    /// The `QuoteAttestation` of the issuer's name, if there is one.
    pub attestation: Option<&'a QuoteAttestation>,
    /// The delivery's Secret.
    pub secret: SecretSeen<'a>,
    /// How the delivery that this pass handed over was refused, or the CA that it asked for.
    pub refusal: Option<&'a Refusal>,
    /// The key of which a sealed blob is kept, as its Secret says; `None`: there is none.
    pub sealed: Option<&'a SealedKey>,
    /// Why the sealed key was not restored.
    pub restore_refusal: Option<&'a Refusal>,
    /// The clock that `now` is read from.
    pub clock: ClockSeen,
}

/// What to do with the `QuoteAttestation`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AttestationStep {
    /// Leave it.
    #[default]
    Keep,
    /// Make it.
    Create(Box<QuoteAttestation>),
    /// Put spec and labels back as they were; the status stays.
    Restore(Box<QuoteAttestation>),
    /// It belongs to another offer (or to nobody of ours): delete it, then make this one.
    Recreate(Box<QuoteAttestation>),
    /// Its work is done.
    Delete,
}

/// How the next CA comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The key owner delivers it: an offer is needed.
    Offer,
    /// The enclave makes it.
    Renew(RenewCa),
}

/// What an Event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The issuer alone.
    Issuer,
    /// The issuer and its `QuoteAttestation`.
    IssuerAndAttestation,
}

/// An Event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Warning instead of Normal.
    pub warning: bool,
    /// `CamelCase` reason.
    pub reason: String,
    /// One or two sentences.
    pub message: String,
    /// Where it is published.
    pub about: About,
}

/// What to do, in this order.
#[derive(Default)]
pub struct Plan {
    /// Hand this to the enclave and decide again; nothing else of the plan is carried out then.
    pub deliver: Option<Delivery>,
    /// Let the enclave make this CA and decide again; nothing else of the plan is carried out then.
    pub generate: Option<GenerateCa>,
    /// Ask the enclave for the CA that is to follow, and decide again; nothing else of the plan is carried out then.
    pub next: Option<NextStep>,
    /// Seal the CA key that the enclave holds and keep the blob, before anything is published.
    pub seal: bool,
    /// The CA certificate Secret to apply.
    pub ca_secret: Option<Box<Secret>>,
    /// The `QuoteAttestation`.
    pub attestation: AttestationStep,
    /// Conditions of ours that the `QuoteAttestation` must carry.
    pub attestation_conditions: Vec<QuoteCondition>,
    /// The issuer's status.
    pub status: IssuerStatus,
    /// Events, after everything else succeeded.
    pub notes: Vec<Note>,
    /// Look again after this time, whatever the watches say.
    pub requeue: Option<Duration>,
}

/// Decides what an issuer needs next.
#[must_use]
pub fn decide(seen: &Observed<'_>, now: Timestamp) -> Plan {
    if let Some(message) = unsupported(seen.issuer) {
        return Pass::new(seen, now).not_ready(reasons::UNSUPPORTED, message);
    }
    if let Some(why) = seen.withheld {
        return Pass::new(seen, now).not_ready(reasons::ADMISSION_POLICY_NOT_ENFORCED, why);
    }
    let pass = Pass::new(seen, now);
    match seen.enclave {
        EnclaveSeen::Unavailable => pass.not_ready(
            reasons::ENCLAVE_UNAVAILABLE,
            "the enclave does not answer; see the logs of container tcs-enclave",
        ),
        EnclaveSeen::Refused(identity, refusal) => {
            let reason = match refusal.code {
                RefusalCode::EvidenceUnavailable => reasons::NO_EVIDENCE,
                _ => reasons::ENCLAVE_UNAVAILABLE,
            };
            let mut plan = pass.with_identity(identity).not_ready(reason, &refusal.to_string());
            plan.requeue = Some(Duration::from_secs(30));
            plan
        }
        EnclaveSeen::Holding(identity, ca) => pass.with_identity(identity).holding(identity, ca),
        EnclaveSeen::Vacant(identity) => pass.with_identity(identity).vacant(identity),
        EnclaveSeen::Offering(identity, offer) => pass.with_identity(identity).offering(offer),
    }
}

/// Why an issuer is not served, if it is not.
#[must_use]
pub fn unsupported(issuer: &Issuer) -> Option<&'static str> {
    // There the service may write any Secret, the key owner's among them: nothing would guard secretName.
    let own = issuer.namespace() == Some(SERVICE_NAMESPACE);
    own.then_some("issuers do not live in the service's own namespace; make it in another one")
}

/// The name of the Secret that the key owner's entry names, if the key owner says that it is ready.
#[must_use]
pub fn named_secret<'a>(attestation: &'a QuoteAttestation, issuer: &Issuer) -> Option<&'a str> {
    let status = attestation.status.as_ref()?;
    if !conditions::is_true(&status.conditions, conditions::CA_SECRET_READY) {
        return None;
    }
    Some(attestation::entry_for(status, issuer)?.secret_name.as_str())
}

/// One decision in the making.
struct Pass<'a> {
    seen: &'a Observed<'a>,
    now: Timestamp,
    status: IssuerStatus,
    simulated: bool,
}

impl<'a> Pass<'a> {
    fn new(seen: &'a Observed<'a>, now: Timestamp) -> Self {
        Self { seen, now, status: seen.status.clone(), simulated: seen.status.simulated.unwrap_or(false) }
    }

    fn with_identity(mut self, identity: &Identity) -> Self {
        self.status.evidence = Some(identity.evidence_kind.clone());
        self.status.assurance = Some(identity.assurance.clone());
        self.status.simulated = Some(identity.simulated);
        self.simulated = identity.simulated;
        self
    }

    /// The time, while what cannot be taken back may be decided by it.
    fn trusted_now(&self) -> Option<Timestamp> {
        self.seen.clock.trusted(self.now)
    }

    /// When to try to restore what is sealed again, if time alone may heal it.
    fn restore_again(&self) -> Option<Duration> {
        self.seen.restore_refusal.and_then(|refusal| clock::retry_after(refusal.code.as_str()))
    }

    /// What is true when the key of a published CA is gone.
    fn lost(&self, fingerprint: &str) -> String {
        let why = self.seen.restore_refusal.map_or_else(String::new, |refusal| {
            let heals = clock::heals(refusal.code.as_str());
            format!(" (what was sealed of it could not be restored: {refusal}{heals})")
        });
        format!(
            "the enclave no longer holds the key of the CA with SHA-256 {fingerprint}{why}; its certificate stays published"
        )
    }

    fn not_ready(self, reason: &str, message: &str) -> Plan {
        let normal = matches!(reason, reasons::AWAITING_KEY);
        let notes = if self.is_news(reason, message) {
            let (reason, message) = (reason.to_owned(), self.say(message));
            vec![Note { warning: !normal, reason, message, about: About::Issuer }]
        } else {
            Vec::new()
        };
        self.finish("False", reason, message, notes)
    }

    /// Whether the Ready condition said something else before.
    fn is_news(&self, reason: &str, message: &str) -> bool {
        ready_condition(self.seen.status)
            .is_none_or(|before| before.reason != reason || before.message != self.say(message))
    }

    fn finish(mut self, ready: &str, reason: &str, message: &str, notes: Vec<Note>) -> Plan {
        let condition = Condition {
            type_: conditions::READY.into(),
            status: ready.into(),
            reason: reason.into(),
            message: self.say(message),
            observed_generation: self.seen.issuer.meta().generation,
            last_transition_time: Time(self.now),
        };
        conditions::set(&mut self.status.conditions, condition);
        Plan { status: self.status, notes, ..Plan::default() }
    }

    /// Every surface says when nothing is protected.
    fn say(&self, message: &str) -> String {
        if self.simulated { format!("{SIMULATED}{message}") } else { message.to_owned() }
    }
}

/// A CA as the status shows it.
#[must_use]
pub fn ca_status(ca: &CaInfo) -> CaStatus {
    CaStatus {
        fingerprint: hex::encode(ca.fingerprint.as_slice()),
        not_after: time::rfc3339(ca.not_after),
        key_algorithm: ca.key_algorithm.clone(),
        key_format: ca.key_format.clone(),
        trust_anchor: String::from_utf8(ca_secret::pem(&ca.anchors)).unwrap_or_default(),
    }
}

/// The Ready condition of a status.
#[must_use]
pub fn ready_condition(status: &IssuerStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == conditions::READY)
}

/// Whether the Ready condition is True.
#[must_use]
pub fn is_ready(status: &IssuerStatus) -> bool {
    ready_condition(status).is_some_and(|ready| ready.status == "True")
}

/// A Secret that the API server refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRefused {
    /// That with the CA certificate.
    Certificate(String),
    /// That with the sealed CA key.
    SealedKey(String),
}

/// Changes a plan into one that says a Secret could not be written. What is true of the key stays.
pub fn secret_refused(plan: &mut Plan, seen: &Observed<'_>, refused: &SecretRefused, now: Timestamp) {
    let (reason, message) = match refused {
        SecretRefused::Certificate(why) => (
            reasons::SECRET_CONFLICT,
            format!(
                "Secret {} could not be written: {why}. If it is not this issuer's, remove it or choose another secretName",
                seen.issuer.spec().secret_name
            ),
        ),
        // A CA that a restart would lose is not published.
        SecretRefused::SealedKey(why) => {
            (plan.ca_secret, plan.attestation) = (None, AttestationStep::Keep);
            if let Some(present) = &seen.status.ca {
                // What a restart would bring back is what is published: the CA before, if there is one.
                plan.status.ca = Some(present.clone());
                plan.status.previous_cas.clone_from(&seen.status.previous_cas);
                plan.status.handled_renewal.clone_from(&seen.status.handled_renewal);
                plan.notes.clear();
            }
            let name = tcs_api::sealed::name(&seen.issuer.uid());
            (
                reasons::SEALED_KEY_NOT_KEPT,
                format!(
                    "the CA key is there, and Secret {}/{name}, which is to keep it sealed, could not be written: {why}",
                    tcs_api::SERVICE_NAMESPACE
                ),
            )
        }
    };
    let simulated = plan.status.simulated.unwrap_or(false);
    let pass = Pass { seen, now, status: std::mem::take(&mut plan.status), simulated };
    let said = pass.not_ready(reason, &message);
    plan.status = said.status;
    // Another CA is said once: the next pass takes it for known.
    plan.notes.retain(|note| note.reason == reasons::CA_REPLACED);
    plan.notes.extend(said.notes);
    // A Secret of an issuer that is gone goes, too, as soon as the garbage collector gets to it.
    plan.requeue = Some(Duration::from_secs(10));
}

#[cfg(test)]
mod tests;
