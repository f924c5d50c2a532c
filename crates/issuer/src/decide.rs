//! What an issuer needs next: `decide(observed, now) → Plan`. Pure; `apply` carries it out.
//!
//! The life cycle is that of the design, section 4. Whatever is decided is idempotent: the same observation gives
//! the same plan, and a plan that was carried out gives an empty one.

mod attestation;
mod ca_secret;
mod delivered;
mod renewal;
mod self_signed;

use crate::delivery::Delivery;
use crate::issuer::Issuer;
use crate::sealed::SealedKey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use std::time::Duration;
use tcs_api::v1alpha1::{CaStatus, IssuerStatus, QuoteAttestation, QuoteCondition};
use tcs_api::{SERVICE_NAMESPACE, conditions, reasons};
use tcs_enclave_rpc::{CaInfo, GenerateCa, Identity, Offer, Refusal, RefusalCode, RenewCa};

pub use attestation::merge_conditions;
pub use renewal::{is_known, known};

/// The CA certificate Secret lies where the service may not watch, so it is applied again this often.
const REAPPLY: Duration = Duration::from_mins(10);
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
        return Pass::new(seen, now).not_ready(reasons::ADMISSION_POLICY_MISSING, why);
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

    fn holding(mut self, identity: &Identity, ca: &CaInfo) -> Plan {
        let due = self.renewal_due(ca);
        if due && let Some(plan) = self.ask_for_next() {
            return plan;
        }
        let spec = self.seen.issuer.spec();
        let fingerprint = hex::encode(ca.fingerprint.as_slice());
        let before = self.status.ca.clone();
        self.status = known(&self.status, self.seen.issuer, ca, self.now);
        self.status.secret_name = Some(spec.secret_name.clone());
        let wanted = SealedKey::of(ca, self.seen.issuer);
        let mut plan = Plan {
            ca_secret: Some(Box::new(ca_secret::build(self.seen.issuer, ca, &self.status.previous_cas))),
            seal: identity.sealing && !self.seen.sealed.is_some_and(|kept| kept.is(&wanted)),
            requeue: Some(REAPPLY),
            ..Plan::default()
        };
        let message = format!(
            "signing as {}; CA certificate in Secret {}, SHA-256 {fingerprint}, until {}",
            self.seen.issuer.signer_name(),
            spec.secret_name,
            rfc3339(ca.not_after),
        );
        plan.notes.extend(before.and_then(|old| self.replaced(&old, &fingerprint)));
        plan.notes.extend(self.awaited(ca, &message));

        let expired = self.now.as_second() >= ca.not_after;
        let ended =
            format!("the CA certificate with SHA-256 {fingerprint} has ended at {}", rfc3339(ca.not_after));
        if due && let NextSeen::Offer(offer) = self.seen.next {
            let ends = if expired { ended } else { message };
            return self.renewing(plan, &ends, expired, offer);
        }
        self.status.offer = None;
        self.status.refused_delivery = None;
        let failed = match self.seen.next {
            NextSeen::Refused(refusal) if due => format!("; the next CA cannot be had yet: {refusal}"),
            _ if renewal::is_held_back(self.seen.issuer, &self.status) => {
                "; not renewed as the annotation asks: too many CAs before it have not ended yet".to_owned()
            }
            _ => String::new(),
        };
        let attestation =
            if self.seen.attestation.is_some() { AttestationStep::Delete } else { AttestationStep::Keep };
        let (status, reason, message) = if expired {
            ("False", reasons::CA_EXPIRED, format!("{ended}{failed}"))
        } else {
            ("True", reasons::READY, format!("{message}{failed}"))
        };
        let warning = if expired { reasons::CA_EXPIRED } else { reasons::RENEWAL_FAILED };
        if (expired || !failed.is_empty()) && self.is_news(reason, &message) {
            let message = self.say(&message);
            plan.notes.push(Note { warning: true, reason: warning.into(), message, about: About::Issuer });
        }
        let notes = std::mem::take(&mut plan.notes);
        let said = self.finish(status, reason, &message, notes);
        Plan { status: said.status, notes: said.notes, attestation, ..plan }
    }

    /// Said of another CA than the one before. One that follows while the issuer signs is expected.
    fn replaced(&self, old: &CaStatus, fingerprint: &str) -> Option<Note> {
        if old.fingerprint == fingerprint {
            return None;
        }
        let stays = if self.status.previous_cas.iter().any(|ca| ca.fingerprint == old.fingerprint) {
            format!("; the certificate before stays in ca.crt until {}", old.not_after)
        } else {
            String::new()
        };
        let message =
            self.say(&format!("the CA changed from SHA-256 {} to {fingerprint}{stays}", old.fingerprint));
        let warning = !is_ready(self.seen.status);
        Some(Note { warning, reason: reasons::CA_REPLACED.into(), message, about: About::Issuer })
    }

    /// Said of a CA that was waited for.
    fn awaited(&self, ca: &CaInfo, message: &str) -> Option<Note> {
        let waited = ready_condition(self.seen.status).is_none_or(|ready| {
            let waiting = [
                reasons::AWAITING_KEY,
                reasons::KEY_REJECTED,
                reasons::KEY_LOST,
                reasons::SEALED_KEY_NOT_KEPT,
            ];
            waiting.contains(&ready.reason.as_str()) || self_signed::waits(&ready.reason)
        });
        let (reason, how) = if self.seen.issuer.spec().self_sign {
            ("CAGenerated", "key made in the enclave".to_owned())
        } else {
            (reasons::KEY_ACCEPTED, format!("key delivered as {}", ca.key_format))
        };
        let message = self.say(&format!("{message} ({how})"));
        waited.then(|| Note { warning: false, reason: reason.into(), message, about: About::Issuer })
    }

    /// When to try to restore what is sealed again, if time alone may heal it.
    fn restore_again(&self) -> Option<Duration> {
        self.seen.restore_refusal.and_then(|refusal| retry_after(refusal.code.as_str()))
    }

    /// What is true when the key of a published CA is gone.
    fn lost(&self, fingerprint: &str) -> String {
        let why = self.seen.restore_refusal.map_or_else(String::new, |refusal| {
            format!(" (what was sealed of it could not be restored: {refusal})")
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
        not_after: rfc3339(ca.not_after),
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

/// When to try again after a refusal that ends by itself.
fn retry_after(code: &str) -> Option<Duration> {
    let healed =
        [RefusalCode::CertificateNotYetValid, RefusalCode::ClockTooEarly, RefusalCode::TooManyIssuers];
    healed.iter().any(|healed| healed.as_str() == code).then_some(Duration::from_secs(10))
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests;
