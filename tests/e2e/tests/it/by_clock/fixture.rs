//! An issuer whose controller, enclave and key owner follow a simulated clock.

use crate::by_clock::enclave::{Enclave, UID};
use crate::by_clock::key_owner::KeyOwner;
use crate::by_clock::published::{Published, Verification};
use crate::by_clock::time::{DAY, YEAR};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::{CaSpec, IssuerSpec, IssuerStatus, QuoteAttestation, TCSIssuer};
use tcs_enclave::RELEASE_DATE;
use tcs_enclave_rpc::{ByteVec, CaInfo, CompleteProvisioning, Issued, Offer, Refusal, Request, Response};
use tcs_issuer::clock::ClockComparison;
use tcs_issuer::issuer::Issuer;
use tcs_issuer::issuer::decide::{
    AttestationStep, Decision, DeliverySecret, EnclaveState, EnclaveStep, NextCa, Observed, Plan, SealedKey,
    decide, named_secret, was_published,
};
use tcs_issuer::requests::is_permanent;

/// Lifetimes of the certificates that are requested, in seconds.
const LIFETIMES: [u64; 5] = [3600, 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400];

pub struct Fixture {
    pub enclave: Enclave,
    pub issuer: TCSIssuer,
    owner: KeyOwner,
    /// Whether the first delivery of the key owner is a mistake.
    first_delivery_is_mistaken: bool,
    deliveries: u64,
    pub status: IssuerStatus,
    pub attestation: Option<QuoteAttestation>,
    secret: Option<Secret>,
    pub published: Published,
    /// The clock of the service.
    pub now: i64,
    /// The clock of the API server, if it differs.
    pub server: Option<i64>,
    /// CAs that were published, in their order.
    pub fingerprints: Vec<String>,
    /// How many certificates were not published because their CA was not.
    pub held_back: usize,
    /// Sealed keys: that of the present CA last, those of earlier ones before it.
    pub sealed: Vec<(SealedKey, ByteVec)>,
    /// Messages of conditions and Events.
    pub messages: Vec<String>,
}

impl Fixture {
    /// An issuer on a platform that cannot seal. The first delivery of the key owner is a mistake.
    pub fn without_sealing(ca: Option<CaSpec>, owner: KeyOwner) -> Self {
        Self::new(ca, owner, false)
    }

    /// An issuer on a platform that can seal. It begins two years after the release, so that a clock can be
    /// behind and the program still runs.
    pub fn with_sealing(owner: KeyOwner) -> Self {
        let now = RELEASE_DATE + 2 * YEAR;
        Self { now, first_delivery_is_mistaken: false, ..Self::new(None, owner, true) }
    }

    fn new(ca: Option<CaSpec>, owner: KeyOwner, can_seal: bool) -> Self {
        let spec = IssuerSpec {
            secret_name: "ca".into(),
            self_sign: matches!(owner, KeyOwner::Nobody),
            ca,
            delivery: None,
            policy: None,
            labels: BTreeMap::new(),
        };
        let mut issuer = TCSIssuer::new("by-clock", spec);
        issuer.metadata.namespace = Some("sandbox".into());
        issuer.metadata.uid = Some(UID.into());
        let verification = match owner {
            KeyOwner::Nobody => Verification::Strict,
            KeyOwner::NewKey | KeyOwner::SameKey(_) => Verification::Default,
            KeyOwner::BelowRoot(_) => Verification::WithIntermediates,
        };
        Self {
            enclave: Enclave::new(can_seal),
            issuer,
            owner,
            first_delivery_is_mistaken: true,
            deliveries: 0,
            status: IssuerStatus::default(),
            attestation: None,
            secret: None,
            published: Published::new(verification),
            now: RELEASE_DATE + DAY,
            server: None,
            fingerprints: Vec::new(),
            held_back: 0,
            sealed: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Fingerprint of the CA in the status.
    pub fn ca(&self) -> Option<String> {
        self.status.ca.as_ref().map(|ca| ca.fingerprint.clone())
    }

    /// The reason of the Ready condition.
    pub fn reason(&self) -> &str {
        ready_condition(&self.status).map_or("", |ready| ready.reason.as_str())
    }

    /// Fingerprints of the CAs whose keys are sealed.
    pub fn sealed_cas(&self) -> Vec<String> {
        self.sealed.iter().map(|(key, _)| key.fingerprint.clone()).collect()
    }

    /// One pass of the controller: it restores the sealed key if the enclave holds none, and decides until a
    /// plan is to be carried out.
    pub fn reconcile(&mut self) {
        let (mut next, mut refusal): (Option<Offer>, Option<Refusal>) = (None, None);
        let restore_refusal = self.restore();
        loop {
            let held = self.enclave.ca();
            let offer = (held.is_none() && !self.issuer.spec.self_sign).then(|| self.enclave.offer(false));
            let next_ca = next.clone().map_or(NextCa::NotRequested, NextCa::Offer);
            let decision = self.decide(
                held.clone(),
                offer.clone(),
                &next_ca,
                refusal.as_ref(),
                restore_refusal.as_ref(),
            );
            let request = match decision {
                Decision::Settle(plan) => return self.carry_out(*plan, held.as_ref()),
                Decision::Ask(EnclaveStep::OfferNext) => {
                    next = Some(self.enclave.offer(true));
                    continue;
                }
                Decision::Ask(EnclaveStep::Generate(generate)) => Request::GenerateCa(*generate),
                Decision::Ask(EnclaveStep::Renew(renew)) => Request::RenewCa(renew),
                Decision::Ask(EnclaveStep::Deliver(delivery)) => {
                    Request::CompleteProvisioning(CompleteProvisioning {
                        issuer_uid: UID.into(),
                        offer_id: offer.or(next.clone()).unwrap().offer_id,
                        wrapped_key: delivery.wrapped_key.into(),
                        chain: delivery.chain.into_iter().map(ByteVec::from).collect(),
                        formats: Vec::new(),
                        now: self.now,
                    })
                }
            };
            match self.enclave.handle(request) {
                Response::Provisioned(_) => next = None,
                Response::Refused(refused) => refusal = Some(refused),
                other => panic!("{other:?}"),
            }
            // A request that arrives now meets a CA that is not published yet.
            self.issue_unpublished();
        }
    }

    fn decide(
        &self,
        held: Option<CaInfo>,
        offer: Option<Offer>,
        next_ca: &NextCa,
        refusal: Option<&Refusal>,
        restore_refusal: Option<&Refusal>,
    ) -> Decision {
        let issuer = Issuer::from(Arc::new(self.issuer.clone()));
        let identity = self.enclave.identity.clone();
        let enclave = match (held, offer) {
            (Some(ca), _) => EnclaveState::Holding(identity, ca),
            (None, Some(offer)) => EnclaveState::Offering(identity, offer),
            (None, None) => EnclaveState::Vacant(identity),
        };
        let named = self.attestation.as_ref().and_then(|attestation| named_secret(attestation, &issuer));
        let secret = match (self.secret.clone(), named) {
            (Some(secret), Some(_)) => DeliverySecret::Found(Box::new(secret)),
            (None, Some(name)) => DeliverySecret::Missing(name.to_owned()),
            (_, None) => DeliverySecret::NotNamed,
        };
        let observed = Observed {
            issuer: &issuer,
            status: &self.status,
            withheld: None,
            enclave: &enclave,
            next: next_ca,
            attestation: self.attestation.as_ref(),
            secret: &secret,
            refusal,
            sealed: self.sealed.last().map(|(key, _)| key),
            restore_refusal,
            policy_refusal: None,
            refused_write: None,
            clock: ClockComparison::of(self.now, self.server.unwrap_or(self.now)),
        };
        decide(&observed, Timestamp::from_second(self.now).unwrap())
    }

    /// Carries a plan out in the controller's order: first the bundle, then the status, after which
    /// certificates may be published.
    fn carry_out(&mut self, plan: Plan, held: Option<&CaInfo>) {
        self.messages.extend(plan.events.into_iter().map(|event| event.message));
        self.messages.extend(ready_condition(&plan.status).map(|ready| ready.message.clone()));
        if let (true, Some(ca)) = (plan.seal, held) {
            self.seal(ca);
        }
        if let Some(secret) = plan.ca_secret {
            let ByteString(bundle) = secret.data.unwrap().remove("ca.crt").unwrap();
            let bundle = String::from_utf8(bundle).unwrap();
            if bundle != self.published.bundle {
                self.published.bundle = bundle;
                self.published.check(self.now);
            }
        }
        match plan.attestation {
            AttestationStep::Keep => {}
            AttestationStep::Create(made)
            | AttestationStep::Restore(made)
            | AttestationStep::Recreate(made) => self.attestation = Some(*made),
            AttestationStep::Delete => self.attestation = None,
        }
        self.status = plan.status;
        if let Some(ca) = &self.status.ca
            && self.fingerprints.last() != Some(&ca.fingerprint)
        {
            self.fingerprints.push(ca.fingerprint.clone());
        }
    }

    /// Restores the last sealed key if the enclave holds none; the refusal, if it is refused.
    fn restore(&self) -> Option<Refusal> {
        let (_, blob) = self.sealed.last().filter(|_| self.enclave.ca().is_none())?;
        self.enclave.restore(blob, self.now)
    }

    /// Seals the key that the enclave holds. It replaces an earlier one of the same CA only.
    fn seal(&mut self, ca: &CaInfo) {
        let key = SealedKey::of(ca, &Issuer::from(Arc::new(self.issuer.clone())));
        self.sealed.retain(|(earlier, _)| earlier.fingerprint != key.fingerprint);
        self.sealed.push((key, self.enclave.seal()));
    }

    /// The key owner answers an open offer.
    pub fn deliver(&mut self) {
        let Some(attestation) = &mut self.attestation else { return };
        self.deliveries += 1;
        let mistaken = self.first_delivery_is_mistaken && self.deliveries % 2 == 1 && self.secret.is_none();
        let signer = Issuer::from(Arc::new(self.issuer.clone())).signer_name();
        if let Some(secret) = self.owner.deliver(attestation, signer, self.deliveries, mistaken, self.now) {
            self.secret = Some(secret);
        }
    }

    /// If the issuer is ready, a request arrives and its certificate is published.
    pub fn issue(&mut self) {
        if let Some(issued) = self.sign(|refusal, now| panic!("at {now}: {refusal}")) {
            assert!(was_published(&self.status, &issued.ca_fingerprint), "issuing stopped at {}", self.now);
            self.publish(&issued);
        }
    }

    /// As [`Fixture::issue`], while a new CA may not be published yet: a refusal may be temporary, and a
    /// certificate of the new CA is held back as the controller does it.
    fn issue_unpublished(&mut self) {
        let is_temporary =
            |refusal: &Refusal, now| assert!(!is_permanent(refusal.code), "at {now}: {refusal}");
        let Some(issued) = self.sign(is_temporary) else { return };
        if was_published(&self.status, &issued.ca_fingerprint) {
            self.publish(&issued);
        } else {
            self.held_back += 1;
        }
    }

    fn sign(&self, refused: impl Fn(&Refusal, i64)) -> Option<Issued> {
        if !is_ready(&self.status) {
            return None;
        }
        match self.enclave.issue(LIFETIMES[self.published.count % LIFETIMES.len()], self.now) {
            Response::Issued(issued) => Some(issued),
            Response::Refused(refusal) => {
                refused(&refusal, self.now);
                None
            }
            other => panic!("at {}: {other:?}", self.now),
        }
    }

    fn publish(&mut self, issued: &Issued) {
        self.published.add(issued);
        self.published.check(self.now);
    }
}
