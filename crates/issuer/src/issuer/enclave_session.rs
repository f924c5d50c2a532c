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
use kube::{Api, Client};
use std::sync::Arc;
use tcs_api::v1alpha1::{IssuerStatus, TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::{
    ByteVec, CaInfo, CompleteProvisioning, GenerateCa, Offer, Refusal, RefusalCode, RenewCa, Restore,
};

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
    ) -> Result<(), ReconcileError> {
        let connected = self.connected.clone().ok_or(EnclaveError::Unavailable)?;
        let signer = issuer.signer_name();
        let decided_on = Decided { issuer, version: context.statuses.newest_version(issuer) };
        match step {
            EnclaveStep::Deliver(delivery) => self.deliver(&connected, issuer, delivery, context).await?,
            EnclaveStep::Generate(request) => {
                match generate(&connected, *request, decided_on, &context.client).await? {
                    Ok(ca) => {
                        tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA made");
                        self.hold(&connected, ca);
                    }
                    Err(refusal) => self.refusal = Some(refusal),
                }
            }
            EnclaveStep::Renew(request) => {
                match renew(&connected, request, decided_on, &context.client).await? {
                    Ok(ca) => {
                        tracing::info!(issuer = signer, algorithm = ca.key_algorithm, "CA renewed");
                        self.hold(&connected, ca);
                    }
                    Err(refusal) => self.next = NextCa::Refused(refusal),
                }
            }
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
    let stored = stored(issuer, &context.client).await?;
    Ok(stored.status().is_some_and(|status| is_replaced(ca, status)))
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

/// The issuer as the API server has it at this moment.
async fn stored(issuer: &Issuer, client: &Client) -> Result<Issuer, ReconcileError> {
    let (client, name) = (client.clone(), issuer.name());
    let stored = if let Some(namespace) = issuer.namespace() {
        let api: Api<Guarded<TCSIssuer>> = Api::namespaced(client, namespace);
        let stored = api.get_opt(&name).await?.map(Guarded::read).transpose()?;
        stored.map(|stored| Issuer::from(Arc::new(stored)))
    } else {
        let api: Api<Guarded<TCSClusterIssuer>> = Api::all(client);
        let stored = api.get_opt(&name).await?.map(Guarded::read).transpose()?;
        stored.map(|stored| Issuer::from(Arc::new(stored)))
    };
    stored.filter(|stored| stored.uid() == issuer.uid()).ok_or(ReconcileError::Outdated)
}

/// The issuer on which a step was decided.
#[derive(Clone, Copy)]
struct Decided<'a> {
    issuer: &'a Issuer,
    version: u64,
}

impl Decided<'_> {
    /// Ends the reconcile if the issuer was changed since: its watch reports that. A controller that has just
    /// taken over may not have seen yet that its predecessor published a CA. The one that it would make would
    /// cost a key and a second change of the trust anchor.
    async fn must_be_current(self, client: &Client) -> Result<(), ReconcileError> {
        let is_current = stored(self.issuer, client).await?.version() == self.version;
        if is_current { Ok(()) } else { Err(ReconcileError::Outdated) }
    }
}

async fn generate(
    connected: &Connected,
    request: GenerateCa,
    decided_on: Decided<'_>,
    client: &Client,
) -> Result<Result<CaInfo, Refusal>, ReconcileError> {
    decided_on.must_be_current(client).await?;
    Ok(final_refusal(connected.generate(request).await)?)
}

async fn renew(
    connected: &Connected,
    request: RenewCa,
    decided_on: Decided<'_>,
    client: &Client,
) -> Result<Result<CaInfo, Refusal>, ReconcileError> {
    decided_on.must_be_current(client).await?;
    Ok(final_refusal(connected.renew(request).await)?)
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
    use crate::enclave_client::EnclaveLink;
    use crate::runtime::lease::boot_time::BootTime;
    use crate::runtime::lease::leadership::Leadership;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tcs_api::v1alpha1::{DeliverySpec, IssuerSpec, WrapFormat};
    use tcs_enclave_rpc::{
        CaSubject, Endpoint, Handler, HealthReport, Identity, Request, Response, Server, ServerOptions,
    };
    use tokio_util::sync::CancellationToken;

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

    /// Counts the CAs that it makes.
    #[derive(Default)]
    struct MakesCas(AtomicU32);

    impl Handler for MakesCas {
        fn handle(&self, request: Request) -> Response {
            match request {
                Request::Identity => Response::Identity(Identity {
                    boot_id: ByteVec::from(vec![]),
                    version: String::new(),
                    platform: String::new(),
                    simulated: true,
                    evidence_kind: String::new(),
                    assurance: String::new(),
                    sealing: false,
                }),
                Request::Health(_) => Response::Health(HealthReport {
                    boot_id: ByteVec::from(vec![]),
                    issuers: Vec::new(),
                    overdue_offers: 0,
                    overdue_ca_keys: 0,
                }),
                _ => {
                    self.0.fetch_add(1, Ordering::Relaxed);
                    Response::Provisioned(ca(1, 1))
                }
            }
        }
    }

    fn issuer(uid: &str, version: &str) -> Value {
        json!({"apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer", "spec": {"secretName": "s"},
            "metadata": {"name": "a", "namespace": "n", "uid": uid, "resourceVersion": version}})
    }

    /// A new leader may have a cache that does not show yet what its predecessor published.
    #[tokio::test]
    async fn case_n7_no_ca_is_made_for_an_issuer_that_changed_since_the_watch_showed_it() {
        let server = Server::bind(&Endpoint::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let (endpoint, handle) = (server.endpoint().clone(), server.handle());
        let made = Arc::new(MakesCas::default());
        let handler: Arc<dyn Handler> = Arc::clone(&made) as _;
        let serving = std::thread::spawn(move || server.run(&handler, &ServerOptions::default()));
        let (leadership, stop) = (Leadership::default(), CancellationToken::new());
        leadership.extend(BootTime::now().after(Duration::from_mins(10)));
        let connected = EnclaveLink::start(endpoint, leadership, stop.clone()).settled().await.unwrap();
        let watched: TCSIssuer = serde_json::from_value(issuer("u", "5")).unwrap();
        let watched = Issuer::from(Arc::new(watched));
        let [organizations, organizational_units, countries, localities, provinces] = [const { vec![] }; 5];
        let common_name = String::new();
        let subject =
            CaSubject { common_name, organizations, organizational_units, countries, localities, provinces };
        for (stored, is_made) in [
            (Some(issuer("u", "5")), true),
            (Some(issuer("u", "6")), false),
            (Some(issuer("v", "5")), false),
            (None, false),
        ] {
            let status = if stored.is_some() { 200 } else { 404 };
            let answer = stored
                .unwrap_or(json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}));
            let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
                let body = kube::client::Body::from(answer.to_string().into_bytes());
                let answer = http::Response::builder().status(status).body(body).unwrap();
                std::future::ready(Ok::<_, std::convert::Infallible>(answer))
            });
            let client = Client::new(service, "default");
            let decided_on = Decided { issuer: &watched, version: watched.version() };
            let request = GenerateCa {
                issuer_uid: "u".into(),
                subject: subject.clone(),
                key_algorithm: String::new(),
                lifetime: 1,
                path_length: None,
                now: 0,
                policy: None,
            };
            let before = made.0.load(Ordering::Relaxed);
            let generated = generate(&connected, request, decided_on, &client).await;
            let request = RenewCa { issuer_uid: "u".into(), new_key: None, lifetime: 1, now: 0 };
            let renewed = renew(&connected, request, decided_on, &client).await;
            for result in [generated, renewed] {
                assert!(
                    if is_made { result.is_ok() } else { matches!(result, Err(ReconcileError::Outdated)) },
                    "{result:?}"
                );
            }
            assert_eq!(made.0.load(Ordering::Relaxed) - before, if is_made { 2 } else { 0 });
        }
        stop.cancel();
        handle.stop();
        drop(connected);
        serving.join().unwrap().unwrap();
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
