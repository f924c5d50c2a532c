//! Observations and objects for the tests.

use super::super::*;
use crate::clock::ClockComparison;
use crate::issuer::delivery::Delivery;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use std::collections::BTreeMap;
use std::sync::Arc;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::{
    IssuerSpec, IssuerStatus, QuoteAttestation, QuoteAttestationStatus, QuoteCondition, SecretEntry,
    TCSClusterIssuer, TCSIssuer,
};
use tcs_enclave_rpc::{ByteVec, CaInfo, GenerateCa, Offer, RenewCa};

/// Seconds.
pub const YEAR: i64 = 365 * 86_400;
pub const SIGNER: &str = "tcsissuer.tcs.intel.com/sandbox.external-ca";

pub fn issuer() -> TCSIssuer {
    let spec = IssuerSpec {
        secret_name: "external-ca-secret".into(),
        self_sign: false,
        ca: None,
        delivery: None,
        policy: None,
        labels: BTreeMap::new(),
    };
    let mut issuer = TCSIssuer::new("external-ca", spec);
    issuer.metadata.namespace = Some("sandbox".into());
    issuer.metadata.uid = Some("11111111-1111-1111-1111-111111111111".into());
    issuer.metadata.generation = Some(1);
    issuer
}

pub fn identity(simulated: bool) -> Identity {
    Identity {
        boot_id: ByteVec::from(vec![1; 16]),
        version: "0".into(),
        platform: "test".into(),
        simulated,
        evidence_kind: "sgx-quote-v3".into(),
        assurance: "enclave".into(),
        sealing: true,
    }
}

pub fn offer(key: u8) -> Offer {
    Offer {
        offer_id: ByteVec::from(vec![key; 16]),
        public_key: ByteVec::from(vec![key; 20]),
        evidence_kind: "sgx-quote-v3".into(),
        evidence: ByteVec::from(vec![key; 30]),
        attempts_left: 16,
    }
}

pub fn ca(fingerprint: u8) -> CaInfo {
    CaInfo {
        fingerprint: ByteVec::from(vec![fingerprint; 32]),
        not_before: 0,
        not_after: 1_000_000,
        key_algorithm: "RSA-4096".into(),
        chain: vec![ByteVec::from(vec![1])],
        anchors: vec![ByteVec::from(vec![1])],
        key_format: "kmra-v1".into(),
        generation: 5,
    }
}

pub fn now() -> Timestamp {
    Timestamp::from_second(1000).unwrap()
}

pub fn published(issuer: &TCSIssuer, offer: &Offer) -> QuoteAttestation {
    let mut attestation = attestation::build(&Issuer::from(Arc::new(issuer.clone())), offer, false);
    attestation.metadata.uid = Some("qa".into());
    attestation
}

/// The result of the walk-through's `curl`.
pub fn patched(mut attestation: QuoteAttestation, secret: &str, kind: &str) -> QuoteAttestation {
    let ready = QuoteCondition {
        type_: Some("CASecretReady".into()),
        status: Some("true".into()),
        ..QuoteCondition::default()
    };
    let entry = SecretEntry { secret_name: secret.into(), secret_type: Some(kind.into()) };
    attestation.status = Some(QuoteAttestationStatus {
        conditions: vec![ready],
        secrets: BTreeMap::from([(SIGNER.to_owned(), entry)]),
    });
    attestation
}

pub fn secret(version: &str) -> Secret {
    let pem = STANDARD.encode("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n");
    let mut secret = Secret::default();
    secret.metadata.uid = Some("s".into());
    secret.metadata.resource_version = Some(version.into());
    secret.data = Some(BTreeMap::from([
        ("tls.key".to_owned(), ByteString(STANDARD.encode([9; 400]).into_bytes())),
        ("tls.crt".to_owned(), ByteString(pem.into_bytes())),
    ]));
    secret
}

pub struct Fixture {
    pub issuer: TCSIssuer,
    /// Used instead of `issuer` if it is set.
    pub cluster: Option<TCSClusterIssuer>,
    pub status: IssuerStatus,
    pub identity: Identity,
    pub offer: Option<Offer>,
    pub ca: Option<CaInfo>,
    pub attestation: Option<QuoteAttestation>,
    pub secret: Option<Secret>,
    pub refusal: Option<Refusal>,
    pub next: NextCa,
    pub sealed: Option<SealedKey>,
    pub restore_refusal: Option<Refusal>,
    pub policy_refusal: Option<Refusal>,
    pub refused_write: Option<RefusedWrite>,
    pub vacant: bool,
    /// How the enclave refused to make an offer, used if there is neither an offer nor a CA.
    pub no_offer: Option<Refusal>,
    pub withheld: Option<String>,
    pub clock: ClockComparison,
}

impl Fixture {
    /// An issuer whose first key is awaited, with an offer of this number.
    pub fn offering(key: u8) -> Self {
        Self {
            issuer: issuer(),
            cluster: None,
            status: IssuerStatus::default(),
            identity: identity(false),
            offer: Some(offer(key)),
            ca: None,
            attestation: None,
            secret: None,
            refusal: None,
            next: NextCa::NotRequested,
            sealed: None,
            restore_refusal: None,
            policy_refusal: None,
            refused_write: None,
            vacant: false,
            no_offer: None,
            withheld: None,
            clock: ClockComparison::Agrees,
        }
    }

    /// A self-signed issuer for which the enclave holds nothing.
    pub fn vacant() -> Self {
        let mut fixture = Self { vacant: true, ..Self::offering(1) };
        fixture.issuer.spec.self_sign = true;
        fixture
    }

    /// An issuer whose CA key the enclave holds.
    pub fn holding(fingerprint: u8) -> Self {
        Self { offer: None, ca: Some(ca(fingerprint)), ..Self::offering(1) }
    }

    /// An issuer with a published CA with a lifetime of a year, `left` seconds before its end.
    pub fn settled(fingerprint: u8, self_sign: bool, left: i64) -> Self {
        let mut fixture = Self::holding(fingerprint);
        fixture.issuer.spec.self_sign = self_sign;
        let held = fixture.ca.as_mut().unwrap();
        (held.not_before, held.not_after) = (now().as_second() + left - YEAR, now().as_second() + left);
        fixture.sealed = Some(SealedKey::of(&held.clone(), &Issuer::from(Arc::new(fixture.issuer.clone()))));
        fixture.status = fixture.plan().status;
        fixture
    }

    /// An issuer whose key owner has delivered for offer 1.
    pub fn delivered() -> Self {
        let mut fixture = Self::offering(1);
        fixture.attestation = Some(patched(published(&fixture.issuer, &offer(1)), "wrapped-key", "KMRA"));
        fixture.secret = Some(secret("1"));
        fixture
    }

    pub fn decide(&self) -> Decision {
        self.decide_at(now())
    }

    pub fn decide_at(&self, now: Timestamp) -> Decision {
        let identity = self.identity.clone();
        let enclave = match (self.ca.clone(), self.offer.clone()) {
            (None, _) if self.vacant => EnclaveState::Vacant(identity),
            (Some(ca), _) => EnclaveState::Holding(identity, ca),
            (None, Some(offer)) => EnclaveState::Offering(identity, offer),
            (None, None) => match self.no_offer.clone() {
                Some(refusal) => EnclaveState::Refused(identity, refusal),
                None => EnclaveState::Unavailable,
            },
        };
        let issuer = match &self.cluster {
            Some(cluster) => Issuer::from(Arc::new(cluster.clone())),
            None => Issuer::from(Arc::new(self.issuer.clone())),
        };
        let named = self.attestation.as_ref().and_then(|found| named_secret(found, &issuer));
        let secret = match (named, self.secret.clone()) {
            (None, _) => DeliverySecret::NotNamed,
            (Some(name), None) => DeliverySecret::Missing(name.to_owned()),
            (Some(_), Some(secret)) => DeliverySecret::Found(Box::new(secret)),
        };
        let seen = Observed {
            issuer: &issuer,
            status: &self.status,
            withheld: self.withheld.as_deref(),
            enclave: &enclave,
            next: &self.next,
            attestation: self.attestation.as_ref(),
            secret: &secret,
            refusal: self.refusal.as_ref(),
            sealed: self.sealed.as_ref(),
            restore_refusal: self.restore_refusal.as_ref(),
            policy_refusal: self.policy_refusal.as_ref(),
            refused_write: self.refused_write.as_ref(),
            clock: self.clock,
        };
        decide(&seen, now)
    }

    /// The plan, if nothing is requested from the enclave.
    pub fn plan(&self) -> Plan {
        self.plan_at(now())
    }

    pub fn plan_at(&self, now: Timestamp) -> Plan {
        match self.decide_at(now) {
            Decision::Settle(plan) => *plan,
            Decision::Ask(_) => panic!("something is asked of the enclave"),
        }
    }
}

impl Decision {
    /// The delivery, if one is passed to the enclave.
    pub(super) fn delivery(self) -> Option<Delivery> {
        match self {
            Self::Ask(EnclaveStep::Deliver(delivery)) => Some(delivery),
            _ => None,
        }
    }

    /// The request for a first CA, if one is made.
    pub(super) fn generate(self) -> Option<GenerateCa> {
        match self {
            Self::Ask(EnclaveStep::Generate(request)) => Some(*request),
            _ => None,
        }
    }

    /// The request for the certificate that follows a self-signed CA, if one is made.
    pub(super) fn renew(self) -> Option<RenewCa> {
        match self {
            Self::Ask(EnclaveStep::Renew(request)) => Some(request),
            _ => None,
        }
    }

    /// Whether an offer for the next CA is requested.
    pub(super) fn is_offer_next(&self) -> bool {
        matches!(self, Self::Ask(EnclaveStep::OfferNext))
    }

    /// Whether the next CA is requested, in either way.
    pub(super) fn requests_next(&self) -> bool {
        matches!(self, Self::Ask(EnclaveStep::OfferNext | EnclaveStep::Renew(_)))
    }
}

pub fn refusal(code: RefusalCode, message: &str) -> Refusal {
    Refusal::new(code, message)
}

pub fn reason(plan: &Plan) -> &str {
    ready_condition(&plan.status).map_or("", |ready| ready.reason.as_str())
}
