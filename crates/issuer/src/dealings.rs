//! What a pass over an issuer learns from the enclave, and asks of it.

use crate::context::Context;
use crate::decide::{EnclaveSeen, NextSeen, NextStep, Plan};
use crate::delivery::Delivery;
use crate::enclave::{Connected, EnclaveError};
use crate::issuer::Issuer;
use crate::issuers::now;
use crate::metrics::Metrics;
use crate::sealed::Kept;
use tcs_enclave_rpc::{
    ByteVec, CaInfo, CompleteProvisioning, GenerateCa, Identity, Offer, Refusal, RefusalCode, Restore,
};

/// The enclave's side of one pass.
pub struct Dealings {
    enclave: Enclave,
    next: Next,
    refusal: Option<Refusal>,
    restore_refusal: Option<Refusal>,
}

enum Enclave {
    Unavailable,
    Vacant(Identity),
    Holding(Identity, CaInfo),
    Offering(Identity, Offer),
    Refused(Identity, Refusal),
}

/// The CA that is to follow.
enum Next {
    NotAsked,
    Offer(Offer),
    Refused(Refusal),
}

/// What a plan asks of the enclave before anything is decided for good.
pub enum EnclaveStep {
    /// Hand a delivery over.
    Deliver(Delivery),
    /// Have a CA made.
    Generate(Box<GenerateCa>),
    /// Ask for the next one.
    Next(NextStep),
}

impl EnclaveStep {
    /// Takes it out of a plan.
    pub fn of(plan: &mut Plan) -> Option<Self> {
        let deliver = plan.deliver.take().map(Self::Deliver);
        let generate = plan.generate.take().map(|ask| Self::Generate(Box::new(ask)));
        let next = plan.next.take().map(Self::Next);
        deliver.or(generate).or(next)
    }
}

impl Dealings {
    /// What the enclave holds; if nothing, what was sealed is handed back to it first.
    pub async fn begin(
        connected: Option<&Connected>,
        issuer: &Issuer,
        kept: Option<&Kept>,
        context: &Context,
    ) -> Result<Self, EnclaveError> {
        let mut begun = Self {
            enclave: Enclave::Unavailable,
            next: Next::NotAsked,
            refusal: None,
            restore_refusal: None,
        };
        let Some(connected) = connected else { return Ok(begun) };
        let (identity, uid) = (connected.identity.clone(), issuer.uid());
        if let Some(ca) = connected.holdings_of(&uid).await?.and_then(|state| state.ca) {
            begun.enclave = Enclave::Holding(identity, ca);
            return Ok(begun);
        }
        if let Some(kept) = kept {
            let blob = ByteVec::from(kept.blob.clone());
            let request = Restore { issuer_uid: uid.clone(), blob, now: now().as_second() };
            match refusable(connected.restore(request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = issuer.signer_name(), "CA key restored");
                    context.wake_requests(Some(issuer));
                    begun.enclave = Enclave::Holding(identity, ca);
                    return Ok(begun);
                }
                Err(refusal) => begun.restore_refusal = Some(refusal),
            }
        }
        begun.enclave = if issuer.spec().self_sign {
            Enclave::Vacant(identity)
        } else {
            match connected.offer(&uid, false).await {
                Ok(offer) => Enclave::Offering(identity, offer),
                Err(EnclaveError::Refused(refusal)) => Enclave::Refused(identity, refusal),
                Err(error) => return Err(error),
            }
        };
        Ok(begun)
    }

    /// What the enclave said about the issuer.
    pub fn enclave(&self) -> EnclaveSeen<'_> {
        match &self.enclave {
            Enclave::Unavailable => EnclaveSeen::Unavailable,
            Enclave::Holding(identity, ca) => EnclaveSeen::Holding(identity, ca),
            Enclave::Offering(identity, offer) => EnclaveSeen::Offering(identity, offer),
            Enclave::Refused(identity, refusal) => EnclaveSeen::Refused(identity, refusal),
            Enclave::Vacant(identity) => EnclaveSeen::Vacant(identity),
        }
    }

    /// What it said about the CA that is to follow.
    pub fn next(&self) -> NextSeen<'_> {
        match &self.next {
            Next::NotAsked => NextSeen::NotAsked,
            Next::Offer(offer) => NextSeen::Offer(offer),
            Next::Refused(refusal) => NextSeen::Refused(refusal),
        }
    }

    /// How it refused what this pass handed over, or the CA that it asked for.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// Why it did not take back what was sealed.
    pub fn restore_refusal(&self) -> Option<&Refusal> {
        self.restore_refusal.as_ref()
    }

    /// Asks, and learns the answer; the CA, if it is the issuer's first and was made here.
    pub async fn take(
        &mut self,
        step: EnclaveStep,
        connected: &Connected,
        issuer: &Issuer,
        context: &Context,
    ) -> Result<Option<CaInfo>, EnclaveError> {
        let (uid, signer) = (issuer.uid(), issuer.signer_name());
        match step {
            EnclaveStep::Deliver(delivery) => {
                let ((Enclave::Offering(_, offer), _) | (_, Next::Offer(offer))) =
                    (&self.enclave, &self.next)
                else {
                    return Err(EnclaveError::Unexpected);
                };
                match hand_over(connected, &uid, offer, delivery).await? {
                    Ok(ca) => {
                        Metrics::count(&context.metrics.accepted, &ca.key_format);
                        tracing::info!(issuer = signer, format = ca.key_format, "CA key accepted");
                        self.hold(connected, ca);
                    }
                    Err(refused) => {
                        Metrics::count(&context.metrics.refused, refused.code.as_str());
                        self.refusal = Some(refused);
                    }
                }
            }
            EnclaveStep::Generate(request) => match refusable(connected.generate(*request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA made");
                    self.hold(connected, ca.clone());
                    return Ok(Some(ca));
                }
                Err(refused) => self.refusal = Some(refused),
            },
            EnclaveStep::Next(NextStep::Renew(request)) => match refusable(connected.renew(request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA renewed");
                    self.hold(connected, ca);
                }
                Err(refused) => self.next = Next::Refused(refused),
            },
            EnclaveStep::Next(NextStep::Offer) => {
                self.next = match refusable(connected.offer(&uid, true).await)? {
                    Ok(offer) => Next::Offer(offer),
                    Err(refused) => Next::Refused(refused),
                };
            }
        }
        Ok(None)
    }

    fn hold(&mut self, connected: &Connected, ca: CaInfo) {
        self.enclave = Enclave::Holding(connected.identity.clone(), ca);
        self.next = Next::NotAsked;
    }
}

async fn hand_over(
    connected: &Connected,
    uid: &str,
    offer: &Offer,
    delivery: Delivery,
) -> Result<Result<CaInfo, Refusal>, EnclaveError> {
    let request = CompleteProvisioning {
        issuer_uid: uid.to_owned(),
        offer_id: offer.offer_id.clone(),
        wrapped_key: ByteVec::from(delivery.wrapped_key),
        chain: delivery.chain.into_iter().map(ByteVec::from).collect(),
        formats: Vec::new(),
        now: now().as_second(),
    };
    refusable(connected.deliver(request).await)
}

/// Tells a refusal that stands from one that only says to make the pass again.
fn refusable<T>(answer: Result<T, EnclaveError>) -> Result<Result<T, Refusal>, EnclaveError> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(EnclaveError::Refused(refusal)) if !is_moments_fault(refusal.code) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

/// Whether a refusal says nothing about what was handed over: the pass is simply made again.
fn is_moments_fault(code: RefusalCode) -> bool {
    use RefusalCode::{AlreadyProvisioned, Busy, Internal, OfferExhausted, UnknownOffer};
    matches!(code, AlreadyProvisioned | Busy | Internal | OfferExhausted | UnknownOffer)
}
