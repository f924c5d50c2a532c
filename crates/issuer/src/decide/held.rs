//! Issuers whose CA key the enclave holds: what is published of it, and what is said.

use super::clock::{LOOK_AGAIN, Validity, retry_after};
use super::renewal::{self, Due};
use super::said::Said;
use super::{About, AttestationStep, NextSeen, Note, Pass, Plan};
use super::{ca_secret, is_ready, known, ready_condition, self_signed};
use crate::sealed::SealedKey;
use crate::time;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::v1alpha1::CaStatus;
use tcs_enclave_rpc::{CaInfo, Identity};

/// The CA certificate Secret lies where the service may not watch, so it is applied again this often.
const REAPPLY: Duration = Duration::from_mins(10);

impl Pass<'_> {
    pub(super) fn holding(mut self, identity: &Identity, ca: &CaInfo) -> Plan {
        let due = self.renewal_due(ca);
        if due == Due::Now
            && let Some(plan) = self.ask_for_next()
        {
            return plan;
        }
        let spec = self.seen.issuer.spec();
        let fingerprint = hex::encode(ca.fingerprint.as_slice());
        let before = self.status.ca.clone();
        self.status = known(&self.status, self.seen.issuer, ca, self.trusted_now());
        self.status.secret_name = Some(spec.secret_name.clone());
        let wanted = SealedKey::of(ca, self.seen.issuer);
        let validity = Validity::of(ca, self.now);
        let waits = due == Due::WhenClocksAgree || validity != Validity::Valid;
        let mut plan = Plan {
            ca_secret: Some(Box::new(ca_secret::build(self.seen.issuer, ca, &self.status.previous_cas))),
            seal: identity.sealing && !self.seen.sealed.is_some_and(|kept| kept.is(&wanted)),
            requeue: Some(if waits { LOOK_AGAIN } else { REAPPLY }),
            ..Plan::default()
        };
        let signing = format!(
            "signing as {}; CA certificate in Secret {}, SHA-256 {fingerprint}, until {}",
            self.seen.issuer.signer_name(),
            spec.secret_name,
            time::rfc3339(ca.not_after),
        );
        plan.notes.extend(before.and_then(|old| self.replaced(&old, &fingerprint)));
        let present = match (validity, self.outside_validity(ca, validity)) {
            (Validity::NotYet, Some(message)) => Said::not_signing(reasons::CA_NOT_YET_VALID, message),
            (Validity::Ended, Some(message)) => Said::not_signing(reasons::CA_EXPIRED, message),
            _ => Said { status: "True", reason: reasons::READY, message: signing },
        };
        plan.notes.extend(self.awaited(ca, &present.message));
        if due == Due::Now
            && let NextSeen::Offer(offer) = self.seen.next
        {
            return self.renewing(plan, present, offer);
        }
        self.holding_on(plan, present, due)
    }

    /// The present CA is held, and its owner is asked for nothing.
    fn holding_on(mut self, mut plan: Plan, present: Said, due: Due) -> Plan {
        self.status.offer = None;
        self.status.refused_delivery = None;
        let failed = match (self.seen.next, due, self.waits_for_clock()) {
            (NextSeen::Refused(refusal), Due::Now, _) => {
                plan.requeue = retry_after(refusal.code.as_str()).or(plan.requeue);
                format!("; the next CA cannot be had yet: {refusal}")
            }
            (_, Due::WhenClocksAgree, Some(why)) => format!("; the next CA is due: {why}"),
            _ if renewal::is_held_back(self.seen.issuer, &self.status) => {
                "; not renewed as the annotation asks: too many CAs before it have not ended yet".to_owned()
            }
            _ => String::new(),
        };
        plan.attestation =
            if self.seen.attestation.is_some() { AttestationStep::Delete } else { AttestationStep::Keep };
        let Said { status, reason, message } = present;
        let message = format!("{message}{failed}");
        let signs = status == "True";
        if (!signs || !failed.is_empty()) && self.is_news(reason, &message) {
            let about = if signs { reasons::RENEWAL_FAILED } else { reason };
            let message = self.say(&message);
            plan.notes.push(Note { warning: true, reason: about.into(), message, about: About::Issuer });
        }
        let notes = std::mem::take(&mut plan.notes);
        let said = self.finish(status, reason, &message, notes);
        Plan { status: said.status, notes: said.notes, ..plan }
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
}
