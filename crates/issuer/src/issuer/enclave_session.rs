//! What one reconcile of an issuer learns from the enclave, and requests from it.

use super::decide::{EnclaveState, EnclaveStep, NextCa, SealedKey, fingerprint};
use super::delivery::Delivery;
use super::policy;
use super::sealed_secret::SealedSecret;
use crate::clock::now;
use crate::context::Context;
use crate::enclave_client::{Connected, EnclaveError};
use crate::error::ReconcileError;
use crate::issuer::Issuer;
use crate::runtime::guarded::Guarded;
use crate::runtime::metrics::Metrics;
use kube::Api;
use std::sync::Arc;
use tcs_api::v1alpha1::{IssuerStatus, TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::{ByteVec, CaInfo, CompleteProvisioning, Offer, Refusal, RefusalCode, Restore};

/// The enclave as one reconcile sees it.
pub struct EnclaveSession {
    connected: Option<Connected>,
    /// What the enclave holds for the issuer.
    pub state: EnclaveState,
    /// The response to the request for the next CA.
    pub next: NextCa,
    /// How the enclave refused the delivery or the CA that it was asked to make.
    pub refusal: Option<Refusal>,
    /// Why the enclave refused to restore the sealed key.
    pub restore_refusal: Option<Refusal>,
    /// Why the enclave cannot read the rules of `spec.policy`.
    pub policy_refusal: Option<Refusal>,
}

impl EnclaveSession {
    /// Asks what the enclave holds. A CA that was replaced in another enclave meanwhile is destroyed. If the
    /// enclave holds no CA key, the sealed one is restored. If there is none, or the enclave refuses it, an
    /// issuer that is not self-signed gets an offer.
    pub async fn open(
        connected: Option<Connected>,
        issuer: &Issuer,
        sealed: Option<&SealedSecret>,
        context: &Context,
    ) -> Result<Self, ReconcileError> {
        let mut session = Self {
            connected: None,
            state: EnclaveState::Unavailable,
            next: NextCa::NotRequested,
            refusal: None,
            restore_refusal: None,
            policy_refusal: None,
        };
        let Some(connected) = connected else { return Ok(session) };
        if let Some(rules) = &issuer.spec().policy {
            session.policy_refusal = connected.check_policy(policy::message(rules)).await?;
        }
        session.state = session.first_state(&connected, issuer, sealed, context).await?;
        session.connected = Some(connected);
        Ok(session)
    }

    async fn first_state(
        &mut self,
        connected: &Connected,
        issuer: &Issuer,
        sealed: Option<&SealedSecret>,
        context: &Context,
    ) -> Result<EnclaveState, ReconcileError> {
        let (identity, uid) = (connected.identity.clone(), issuer.uid());
        if let Some(ca) = connected.holdings_of(&uid).await?.and_then(|state| state.ca) {
            if !was_overtaken(&ca, issuer, sealed, context).await? {
                return Ok(EnclaveState::Holding(identity, ca));
            }
            connected.destroy(&uid).await?;
            let (signer, replaced) = (issuer.signer_name(), fingerprint(&ca));
            tracing::warn!(
                issuer = signer,
                replaced,
                "the enclave held a CA that was replaced in another enclave; its copy is destroyed"
            );
        }
        if let Some(sealed) = sealed {
            let blob = ByteVec::from(sealed.blob.clone());
            let request = Restore { issuer_uid: uid.clone(), blob, now: now().as_second() };
            match final_refusal(connected.restore(request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = issuer.signer_name(), "CA key restored");
                    context.enqueue_requests_for(issuer);
                    return Ok(EnclaveState::Holding(identity, ca));
                }
                Err(refusal) => self.restore_refusal = Some(refusal),
            }
        }
        if issuer.spec().self_sign {
            return Ok(EnclaveState::Vacant(identity));
        }
        match connected.offer(&uid, false).await {
            Ok(offer) => Ok(EnclaveState::Offering(identity, offer)),
            Err(EnclaveError::Refused(refusal)) => Ok(EnclaveState::Refused(identity, refusal)),
            Err(error) => Err(error.into()),
        }
    }

    /// Performs a step and keeps the response.
    pub async fn perform(
        &mut self,
        step: EnclaveStep,
        issuer: &Issuer,
        context: &Context,
    ) -> Result<(), EnclaveError> {
        let Some(connected) = self.connected.clone() else { return Err(EnclaveError::Unavailable) };
        let signer = issuer.signer_name();
        match step {
            EnclaveStep::Deliver(delivery) => self.deliver(&connected, issuer, delivery, context).await?,
            EnclaveStep::Generate(request) => match final_refusal(connected.generate(*request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA made");
                    self.hold(&connected, ca);
                }
                Err(refusal) => self.refusal = Some(refusal),
            },
            EnclaveStep::Renew(request) => match final_refusal(connected.renew(request).await)? {
                Ok(ca) => {
                    tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA renewed");
                    self.hold(&connected, ca);
                }
                Err(refusal) => self.next = NextCa::Refused(refusal),
            },
            EnclaveStep::OfferNext => {
                self.next = match final_refusal(connected.offer(&issuer.uid(), true).await)? {
                    Ok(offer) => NextCa::Offer(offer),
                    Err(refusal) => NextCa::Refused(refusal),
                };
            }
        }
        Ok(())
    }

    /// The sealed blob of the CA key that is held.
    pub async fn seal(&self, issuer: &Issuer) -> Result<Vec<u8>, EnclaveError> {
        let connected = self.connected.as_ref().ok_or(EnclaveError::Unavailable)?;
        Ok(connected.seal(&issuer.uid()).await?.blob.to_vec())
    }

    async fn deliver(
        &mut self,
        connected: &Connected,
        issuer: &Issuer,
        delivery: Delivery,
        context: &Context,
    ) -> Result<(), EnclaveError> {
        let ((EnclaveState::Offering(_, offer), _) | (_, NextCa::Offer(offer))) = (&self.state, &self.next)
        else {
            return Err(EnclaveError::Unexpected);
        };
        let request = complete_provisioning(issuer, offer, delivery);
        match final_refusal(connected.deliver(request).await)? {
            Ok(ca) => {
                Metrics::count(&context.metrics.accepted, &ca.key_format);
                tracing::info!(issuer = issuer.signer_name(), format = ca.key_format, "CA key accepted");
                self.hold(connected, ca);
            }
            Err(refusal) => {
                Metrics::count(&context.metrics.refused, refusal.code.as_str());
                self.refusal = Some(refusal);
            }
        }
        Ok(())
    }

    fn hold(&mut self, connected: &Connected, ca: CaInfo) {
        self.state = EnclaveState::Holding(connected.identity.clone(), ca);
        self.next = NextCa::NotRequested;
    }
}

/// Whether a newer CA was made in another enclave, and published, since the enclave got the one that it holds
/// (docs/ha.md). The sealed key tells it, and the status at this moment, because the watch may be late.
async fn was_overtaken(
    ca: &CaInfo,
    issuer: &Issuer,
    sealed: Option<&SealedSecret>,
    context: &Context,
) -> Result<bool, ReconcileError> {
    if !sealed.is_some_and(|sealed| is_older(ca, &sealed.key)) {
        return Ok(false);
    }
    Ok(is_replaced(ca, &stored_status(issuer, context).await?))
}

/// Whether this CA is older than the one that was sealed last. The generations of keys of different enclaves
/// can be compared: they are times. A CA that an administrator brought back (docs/renewal.md) is not older,
/// because its own key is the one that is stored.
fn is_older(ca: &CaInfo, sealed: &SealedKey) -> bool {
    sealed.fingerprint != fingerprint(ca) && sealed.generation > ca.generation
}

/// Whether the issuer published this CA once and another one now.
fn is_replaced(ca: &CaInfo, status: &IssuerStatus) -> bool {
    let fingerprint = fingerprint(ca);
    status.ca.as_ref().is_some_and(|present| present.fingerprint != fingerprint)
        && status.previous_cas.iter().any(|previous| previous.fingerprint == fingerprint)
}

/// The status that the API server has at this moment.
async fn stored_status(issuer: &Issuer, context: &Context) -> Result<IssuerStatus, ReconcileError> {
    let (client, name) = (context.client.clone(), issuer.name());
    let stored = if let Some(namespace) = issuer.namespace() {
        let api: Api<Guarded<TCSIssuer>> = Api::namespaced(client, namespace);
        let stored = api.get_opt(&name).await?.map(Guarded::read).transpose()?;
        stored.map(|stored| Issuer::from(Arc::new(stored)))
    } else {
        let api: Api<Guarded<TCSClusterIssuer>> = Api::all(client);
        let stored = api.get_opt(&name).await?.map(Guarded::read).transpose()?;
        stored.map(|stored| Issuer::from(Arc::new(stored)))
    };
    let stored = stored.filter(|stored| stored.uid() == issuer.uid()).ok_or(ReconcileError::Outdated)?;
    Ok(stored.status().cloned().unwrap_or_default())
}

fn complete_provisioning(issuer: &Issuer, offer: &Offer, delivery: Delivery) -> CompleteProvisioning {
    CompleteProvisioning {
        issuer_uid: issuer.uid(),
        offer_id: offer.offer_id.clone(),
        wrapped_key: ByteVec::from(delivery.wrapped_key),
        chain: delivery.chain.into_iter().map(ByteVec::from).collect(),
        formats: issuer.accepted_formats().iter().map(|format| format.as_str().to_owned()).collect(),
        now: now().as_second(),
    }
}

/// Separates a refusal that is a result from one after which the reconcile must be made again.
fn final_refusal<T>(response: Result<T, EnclaveError>) -> Result<Result<T, Refusal>, EnclaveError> {
    match response {
        Ok(response) => Ok(Ok(response)),
        Err(EnclaveError::Refused(refusal)) if !is_temporary(refusal.code) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

/// Whether a refusal says nothing about the request, so that the reconcile is made again.
fn is_temporary(code: RefusalCode) -> bool {
    use RefusalCode::{AlreadyProvisioned, Busy, Internal, OfferExhausted, UnknownOffer};
    matches!(code, AlreadyProvisioned | Busy | Internal | OfferExhausted | UnknownOffer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;
    use tcs_api::v1alpha1::{DeliverySpec, IssuerSpec, WrapFormat};

    fn sent(delivery: Option<DeliverySpec>) -> Vec<String> {
        let spec: IssuerSpec = serde_json::from_str(r#"{"secretName": "x", "selfSign": false}"#).unwrap();
        let issuer = TCSIssuer::new("a", IssuerSpec { delivery, ..spec });
        let offer = Offer {
            offer_id: ByteVec::from(vec![1; 16]),
            public_key: ByteVec::from(vec![]),
            evidence_kind: String::new(),
            evidence: ByteVec::from(vec![]),
            attempts_left: 16,
        };
        let delivery = Delivery { wrapped_key: vec![1], chain: vec![vec![2]] };
        complete_provisioning(&Issuer::from(Arc::new(issuer)), &offer, delivery).formats
    }

    #[test]
    fn the_accepted_formats_are_sent_with_each_delivery() {
        let only = |formats| sent(Some(DeliverySpec { formats }));
        assert!(sent(None).is_empty() && only(None).is_empty(), "all");
        assert_eq!(only(Some(vec![WrapFormat::KmraV1Sha256])), ["kmra-v1-sha256"]);
        assert_eq!(only(Some(WrapFormat::ALL.to_vec())), ["kmra-v1-sha256", "kmra-v1"]);
    }

    fn ca(fingerprint: u8, generation: u64) -> CaInfo {
        CaInfo {
            fingerprint: ByteVec::from(vec![fingerprint; 32]),
            chain: vec![],
            anchors: vec![],
            not_before: 0,
            not_after: 0,
            key_algorithm: String::new(),
            key_format: String::new(),
            generation,
        }
    }

    #[test]
    fn a_ca_that_was_replaced_in_another_enclave_is_told_from_one_that_was_brought_back() {
        let sealed = |fingerprint, generation| SealedKey {
            fingerprint: super::fingerprint(&ca(fingerprint, 0)),
            generation,
            labels: BTreeMap::new(),
        };
        assert!(is_older(&ca(1, 10), &sealed(2, 20)), "another enclave made the second one");
        assert!(!is_older(&ca(1, 10), &sealed(1, 10)), "an administrator brought the first one back");
        assert!(!is_older(&ca(1, 10), &sealed(1, 20)), "the same certificate was delivered again");
        assert!(!is_older(&ca(1, 30), &sealed(2, 20)), "the first one was delivered again");
        assert!(!is_older(&ca(3, 30), &sealed(2, 20)), "a new one is not stored yet");

        let record = |fingerprint| {
            json!({
                "fingerprint": super::fingerprint(&ca(fingerprint, 0)), "notAfter": "", "keyAlgorithm": "",
                "keyFormat": "", "trustAnchor": "x",
            })
        };
        let status = |status| serde_json::from_value::<IssuerStatus>(status).unwrap();
        let published = status(json!({"ca": record(2), "previousCas": [record(1)]}));
        assert!(is_replaced(&ca(1, 10), &published));
        assert!(!is_replaced(&ca(2, 20), &published));
        assert!(!is_replaced(&ca(3, 30), &published), "it is not published yet");
        assert!(!is_replaced(&ca(1, 10), &status(json!({"ca": record(1)}))));
        assert!(!is_replaced(&ca(1, 10), &status(json!({}))));
    }

    #[test]
    fn review_l8_a_request_that_timed_out_is_shown_and_tried_again() {
        let refused = |code| final_refusal::<()>(Err(EnclaveError::Refused(Refusal::new(code, ""))));
        assert!(matches!(refused(RefusalCode::TimedOut), Ok(Err(_))));
        assert!(refused(RefusalCode::Busy).is_err());
    }
}
