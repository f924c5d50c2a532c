//! Renewal: when the next CA is due, how it is asked for, and what stays of the ones before.
//!
//! A self-signed CA is followed by a certificate that the enclave makes. The next CA of a delivered one comes from its key owner, as
//! the first did; until it is accepted the present one signs on. Issuing never stops for either.

use super::clock::retry_after;
use super::delivered::Verdict;
use super::said::Said;
use super::{About, NextSeen, NextStep, Note, Pass, Plan, attestation, ready_condition, self_signed};
use crate::issuer::Issuer;
use crate::time;
use jiff::Timestamp;
use tcs_api::v1alpha1::{CaStatus, IssuerStatus, PreviousCa};
use tcs_api::{annotations, reasons};
use tcs_enclave_rpc::{CaInfo, Offer, RenewCa};

/// The next CA is due this long before the present one ends, in seconds: 30 days.
const BEFORE_END: i64 = 30 * 86_400;
/// Most earlier CAs that may still be published when one more is asked for by annotation: the bundle goes into every pod.
const MOST_PREVIOUS: usize = 8;
/// Most earlier CAs that the status holds: after as many new CAs in the life of one, the oldest leave the bundle early.
const MOST_KEPT: usize = 16;
/// A CA that was followed stays in the bundle so long after the next one began, in seconds: 7 days. The clock by which it had ended may
/// have been wrong, the API server's too.
const STAYS: i64 = 7 * 86_400;
/// As much of the annotation as the status keeps.
const LONGEST_VALUE: usize = 63;

/// When the next CA is due, Unix seconds: 30 days before the end, or when a third of the life is left if that is later.
pub fn due_at(ca: &CaInfo) -> i64 {
    let third = ca.not_after.saturating_sub(ca.not_before) / 3;
    ca.not_after.saturating_sub(BEFORE_END.min(third))
}

/// Whether the next CA should be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// No.
    No,
    /// Yes.
    Now,
    /// Yes, by a clock that may be wrong.
    WhenClocksAgree,
}

impl Pass<'_> {
    /// Whether the next CA should be asked for. Not before the present one is published: what was just made is not made again. While the
    /// clock cannot be trusted nothing begins, and what has begun goes on: its key owner may be at work.
    pub(super) fn renewal_due(&self, ca: &CaInfo) -> Due {
        let published = self.seen.status.ca.as_ref().map(|ca| ca.fingerprint.as_str());
        if published != Some(hex::encode(ca.fingerprint.as_slice()).as_str()) {
            return Due::No;
        }
        let asked = is_asked(self.seen.issuer, &self.status) && !is_full(&self.status);
        let due = asked || self.now.as_second() >= due_at(ca);
        match (self.seen.clock.agrees(), due) {
            (true, true) => Due::Now,
            (false, _) if self.is_renewing() => Due::Now,
            (false, true) => Due::WhenClocksAgree,
            (_, false) => Due::No,
        }
    }

    /// Whether the key owner has been asked for the CA that is to follow the present one: there is an offer, and it is not one for a
    /// first key or a lost one. Where the reason does not tell, the renewal waits for the clocks to agree.
    fn is_renewing(&self) -> bool {
        let status = self.seen.status;
        let first = [
            reasons::AWAITING_KEY,
            reasons::KEY_REJECTED,
            reasons::KEY_LOST,
            reasons::ENCLAVE_UNAVAILABLE,
            reasons::ADMISSION_POLICY_NOT_ENFORCED,
        ];
        let waits = ready_condition(status).is_none_or(|ready| first.contains(&ready.reason.as_str()));
        status.offer.is_some() && !waits && !self.seen.issuer.spec().self_sign
    }

    /// What asks for the next CA, if that was not done in this pass.
    pub(super) fn ask_for_next(&self) -> Option<Plan> {
        let issuer = self.seen.issuer;
        let next = if issuer.spec().self_sign {
            NextStep::Renew(request(issuer, self.now.as_second()))
        } else {
            NextStep::Offer
        };
        let asked = !matches!(self.seen.next, NextSeen::NotAsked);
        (!asked).then(|| Plan { next: Some(next), ..Plan::default() })
    }

    /// The present CA is held, and its key owner is asked for the next one. `ready`: what is done for the present one, `present`: what is
    /// said of it.
    pub(super) fn renewing(mut self, ready: Plan, present: Said, offer: &Offer) -> Plan {
        let (step, verdict) = self.offered(offer);
        let name = self.seen.issuer.attestation_name();
        let (next, refused) = match verdict {
            Verdict::Deliver(delivery) => return Plan { deliver: Some(delivery), ..Plan::default() },
            Verdict::Waiting => {
                let how = format!(
                    "waiting for the next CA: check QuoteAttestation tcs-issuer/{name} with km-attest and deliver its key"
                );
                (how, None)
            }
            Verdict::Refused { code, text } => {
                (format!("the next CA was refused: {text}"), Some((code, text)))
            }
        };
        let Said { status, reason, message } = present;
        let signs = status == "True";
        let reason = if signs { reasons::RENEWING } else { reason };
        let message = format!("{message}; {next}");

        let mut plan = Plan { notes: ready.notes, ..Plan::default() };
        if self.is_news(reason, &message) {
            let (note, about) = match &refused {
                Some(_) => (reasons::KEY_REJECTED, About::IssuerAndAttestation),
                None => (reason, About::Issuer),
            };
            let warning = !signs || refused.is_some();
            plan.notes.push(Note { warning, reason: note.into(), message: self.say(&message), about });
        }
        plan.attestation_conditions.push(attestation::init_condition(self.now));
        plan.requeue = ready.requeue;
        if let Some((code, text)) = &refused {
            plan.attestation_conditions.push(attestation::key_accepted_false(code, text, self.now));
            plan.requeue = retry_after(code).or(plan.requeue);
        }
        let notes = std::mem::take(&mut plan.notes);
        let said = self.finish(status, reason, &message, notes);
        Plan {
            status: said.status,
            notes: said.notes,
            attestation: step,
            ca_secret: ready.ca_secret,
            seal: ready.seal,
            ..plan
        }
    }
}

/// The status once this CA is the issuer's: what it takes the place of is remembered, and what has ended is forgotten. `trusted`: the time,
/// while it is trusted; without it nothing has ended.
#[must_use]
pub fn known(
    status: &IssuerStatus,
    issuer: &Issuer,
    ca: &CaInfo,
    trusted: Option<Timestamp>,
) -> IssuerStatus {
    let mut status = status.clone();
    let present = super::ca_status(ca);
    let before = status.ca.take();
    if before.as_ref().is_none_or(|old| old.fingerprint != present.fingerprint) {
        // A CA that is new answers whatever the annotation asks for, and whatever was offered to its key owner.
        status.handled_renewal = asked(issuer);
        status.offer = None;
    }
    if let Some(old) = before.filter(|old| old.fingerprint != present.fingerprint) {
        let CaStatus { fingerprint, not_after, trust_anchor, .. } = old;
        status.previous_cas.insert(0, PreviousCa { fingerprint, not_after, trust_anchor });
    }
    // An end that cannot be read has not come.
    let stays_until = ca.not_before.saturating_add(STAYS);
    let ended = |old: &PreviousCa| {
        let ends = time::read(&old.not_after).map(|end| end.max(stays_until));
        trusted.zip(ends).is_some_and(|(now, end)| end < now.as_second())
    };
    let mut seen = vec![present.trust_anchor.clone()];
    status.previous_cas.retain(|ca| {
        let new = !ended(ca) && !ca.trust_anchor.is_empty() && !seen.contains(&ca.trust_anchor);
        seen.push(ca.trust_anchor.clone());
        new
    });
    status.previous_cas.truncate(MOST_KEPT);
    status.ca = Some(present);
    status
}

/// Whether a CA, named by the SHA-256 of its certificate, is the published one or one before it: what it signed may be published.
#[must_use]
pub fn is_known(status: &IssuerStatus, fingerprint: &[u8]) -> bool {
    let fingerprint = hex::encode(fingerprint);
    status.ca.as_ref().is_some_and(|ca| ca.fingerprint == fingerprint)
        || status.previous_cas.iter().any(|ca| ca.fingerprint == fingerprint)
}

/// The value of the annotation, as much of it as the status keeps.
fn asked(issuer: &Issuer) -> Option<String> {
    issuer.annotation(annotations::RENEW).map(|value| value.chars().take(LONGEST_VALUE).collect())
}

/// Whether there is an annotation that the status has not answered and that cannot be followed.
pub fn is_held_back(issuer: &Issuer, status: &IssuerStatus) -> bool {
    is_asked(issuer, status) && is_full(status)
}

/// Whether the annotation holds a value that no CA has answered.
fn is_asked(issuer: &Issuer, status: &IssuerStatus) -> bool {
    asked(issuer).is_some_and(|value| status.handled_renewal != Some(value))
}

fn is_full(status: &IssuerStatus) -> bool {
    status.previous_cas.len() >= MOST_PREVIOUS
}

fn request(issuer: &Issuer, now: i64) -> RenewCa {
    let wanted = self_signed::request(issuer, now);
    let rotation = issuer.spec().ca.as_ref().and_then(|ca| ca.rotation_policy.as_deref());
    RenewCa {
        issuer_uid: wanted.issuer_uid,
        new_key: (rotation == Some("Always")).then_some(wanted.key_algorithm),
        lifetime: wanted.lifetime,
        now,
    }
}
