//! Issuers whose CA key its owner delivers: the offer, its `QuoteAttestation`, and what is made of a delivery.

use super::clock::{heals, retry_after};
use super::{About, AttestationStep, Pass, Plan, SecretSeen, attestation, named_secret};
use crate::delivery::{self, Delivery};
use kube::ResourceExt as _;
use tcs_api::reasons;
use tcs_api::v1alpha1::{OfferStatus, QuoteAttestation, RefusedDelivery};
use tcs_enclave_rpc::Offer;

/// The one type of delivery of this flow.
const KMRA: &str = "KMRA";

/// What is made of what the key owner says.
pub enum Verdict {
    Waiting,
    Deliver(Delivery),
    /// `text` is what people read, without the mark of a simulated platform.
    Refused {
        code: String,
        text: String,
    },
}

impl Pass<'_> {
    pub(super) fn offering(mut self, offer: &Offer) -> Plan {
        let (step, verdict) = self.offered(offer);
        let init = attestation::init_condition(self.now);
        let mut plan = match verdict {
            Verdict::Waiting => self.waiting(),
            Verdict::Deliver(delivery) => return Plan { deliver: Some(delivery), ..Plan::default() },
            Verdict::Refused { code, text } => self.refused(&code, &text),
        };
        plan.attestation_conditions.insert(0, init);
        plan.attestation = step;
        plan
    }

    /// What is to be done with the attestation of an offer, and what the key owner says in it.
    pub(super) fn offered(&mut self, offer: &Offer) -> (AttestationStep, Verdict) {
        let seen = self.seen;
        let id = hex::encode(offer.offer_id.as_slice());
        let wanted = attestation::build(seen.issuer, offer, self.simulated);
        let step = attestation::compare(seen.attestation, wanted);
        self.status.offer =
            Some(OfferStatus { id: id.clone(), quote_attestation: seen.issuer.attestation_name() });
        self.status.refused_delivery.take_if(|refused| refused.offer != id);
        // What stands in an object of another offer says nothing about this one.
        let current =
            seen.attestation.filter(|_| matches!(step, AttestationStep::Keep | AttestationStep::Restore(_)));
        let verdict = current.map_or(Verdict::Waiting, |current| self.judge_delivery(current, &id));
        if matches!(verdict, Verdict::Waiting) {
            self.status.refused_delivery = None;
        }
        (step, verdict)
    }

    fn judge_delivery(&mut self, attestation: &QuoteAttestation, offer_id: &str) -> Verdict {
        let issuer = self.seen.issuer;
        let refused = |code: &str, message: String| {
            // The enclave says itself when nothing but a new wrap can help.
            let last = message.contains("attest and wrap again");
            let advice = "; nothing was kept: correct the Secret, or its name and type in the status, and it is tried again";
            let advice = if last { "" } else { advice };
            let heals = heals(code);
            Verdict::Refused { code: code.to_owned(), text: format!("{code}: {message}{heals}{advice}") }
        };
        let Some(name) = named_secret(attestation, issuer) else { return Verdict::Waiting };
        let entry = attestation.status.as_ref().and_then(|status| attestation::entry_for(status, issuer));
        let kind = entry.and_then(|entry| entry.secret_type.as_deref()).unwrap_or_default();
        if kind != KMRA {
            return refused(
                "SecretTypeUnsupported",
                format!("secretType is '{kind}'; the one served is {KMRA}"),
            );
        }
        let secret = match self.seen.secret {
            SecretSeen::Found(secret) => secret,
            SecretSeen::NotNamed | SecretSeen::Missing => {
                return refused(
                    "SecretNotFound",
                    format!("there is no Secret '{name}' in namespace tcs-issuer"),
                );
            }
        };
        let seal = RefusedDelivery {
            offer: offer_id.to_owned(),
            secret_uid: secret.uid().unwrap_or_default(),
            secret_resource_version: secret.resource_version().unwrap_or_default(),
            code: String::new(),
            message: String::new(),
        };
        if let Some(refusal) = self.seen.refusal {
            let code = refusal.code.as_str();
            let verdict = refused(code, refusal.message.clone());
            if let (Verdict::Refused { text, .. }, None) = (&verdict, retry_after(code)) {
                let seal = RefusedDelivery { code: code.to_owned(), message: text.clone(), ..seal };
                self.status.refused_delivery = Some(seal);
            } else {
                // What time heals is not held against the delivery: it is tried again by itself.
                self.status.refused_delivery = None;
            }
            return verdict;
        }
        let before = self.status.refused_delivery.as_ref();
        // What time heals was remembered by earlier versions.
        let final_ = |before: &&RefusedDelivery| before.is_of(&seal) && retry_after(&before.code).is_none();
        if let Some(before) = before.filter(final_) {
            // Word for word as it was composed when the delivery was refused, or every pass would write.
            return Verdict::Refused { code: before.code.clone(), text: before.message.clone() };
        }
        self.status.refused_delivery = None;
        match delivery::read(secret) {
            Ok(delivery) => Verdict::Deliver(delivery),
            Err(error) => refused(error.code(), error.to_string()),
        }
    }

    fn waiting(self) -> Plan {
        let name = self.seen.issuer.attestation_name();
        let how = format!(
            "check QuoteAttestation tcs-issuer/{name} with km-attest, then deliver the CA key (kubectl get \
             quoteattestations.tcs.intel.com -n tcs-issuer {name} -o yaml)"
        );
        let (reason, message) = match self.seen.status.ca.as_ref() {
            None => (reasons::AWAITING_KEY, format!("waiting for the CA key: {how}")),
            Some(ca) => (reasons::KEY_LOST, format!("{}. To go on, {how}", self.lost(&ca.fingerprint))),
        };
        let again = self.restore_again();
        Plan { requeue: again, ..self.not_ready(reason, &message) }
    }

    fn refused(self, code: &str, text: &str) -> Plan {
        let condition = attestation::key_accepted_false(code, text, self.now);
        let mut plan = self.not_ready(reasons::KEY_REJECTED, text);
        plan.attestation_conditions.push(condition);
        plan.requeue = retry_after(code);
        for note in &mut plan.notes {
            note.about = About::IssuerAndAttestation;
        }
        plan
    }
}
