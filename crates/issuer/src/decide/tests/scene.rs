//! What is observed, as the tests set it up.

use super::super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::ByteString;
use std::collections::BTreeMap;
use tcs_api::v1alpha1::{IssuerSpec, QuoteAttestationStatus, SecretEntry, TCSClusterIssuer, TCSIssuer};
use tcs_enclave_rpc::ByteVec;

pub const SIGNER: &str = "tcsissuer.tcs.intel.com/sandbox.external-ca";

pub fn issuer() -> TCSIssuer {
    let spec = IssuerSpec {
        secret_name: "external-ca-secret".into(),
        self_sign: false,
        ca: None,
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
    let mut attestation = attestation::build(&Issuer::from(issuer), offer, false);
    attestation.metadata.uid = Some("qa".into());
    attestation
}

/// What the document's `curl` leaves behind.
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

/// The CA that is to follow.
pub enum Next {
    NotAsked,
    Offer(Offer),
    Refused(Refusal),
}

pub struct Scene {
    pub issuer: TCSIssuer,
    /// Instead of the issuer.
    pub cluster: Option<TCSClusterIssuer>,
    pub status: IssuerStatus,
    pub identity: Identity,
    pub offer: Option<Offer>,
    pub ca: Option<CaInfo>,
    pub attestation: Option<QuoteAttestation>,
    pub secret: Option<Secret>,
    pub refusal: Option<Refusal>,
    pub next: Next,
    pub sealed: Option<SealedKey>,
    pub restore_refusal: Option<Refusal>,
    pub vacant: bool,
    pub withheld: Option<String>,
    pub clock: ClockSeen,
}

impl Scene {
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
            next: Next::NotAsked,
            sealed: None,
            restore_refusal: None,
            vacant: false,
            withheld: None,
            clock: ClockSeen::Agrees,
        }
    }

    /// A self-signed issuer of which the enclave holds nothing.
    pub fn vacant() -> Self {
        let mut scene = Self { vacant: true, ..Self::offering(1) };
        scene.issuer.spec.self_sign = true;
        scene
    }

    pub fn holding(fingerprint: u8) -> Self {
        Self { offer: None, ca: Some(ca(fingerprint)), ..Self::offering(1) }
    }

    pub fn decide(&self) -> Plan {
        self.decide_at(now())
    }

    pub fn decide_at(&self, now: Timestamp) -> Plan {
        let enclave = match (&self.ca, &self.offer) {
            (None, _) if self.vacant => EnclaveSeen::Vacant(&self.identity),
            (Some(ca), _) => EnclaveSeen::Holding(&self.identity, ca),
            (None, Some(offer)) => EnclaveSeen::Offering(&self.identity, offer),
            (None, None) => EnclaveSeen::Unavailable,
        };
        let issuer = self.cluster.as_ref().map_or_else(|| Issuer::from(&self.issuer), Issuer::from);
        let seen = Observed {
            issuer: &issuer,
            status: &self.status,
            withheld: self.withheld.as_deref(),
            enclave,
            next: match &self.next {
                Next::NotAsked => NextSeen::NotAsked,
                Next::Offer(offer) => NextSeen::Offer(offer),
                Next::Refused(refusal) => NextSeen::Refused(refusal),
            },
            attestation: self.attestation.as_ref(),
            secret: self.secret.as_ref().map_or(SecretSeen::Missing, SecretSeen::Found),
            refusal: self.refusal.as_ref(),
            sealed: self.sealed.as_ref(),
            restore_refusal: self.restore_refusal.as_ref(),
            clock: self.clock,
        };
        decide(&seen, now)
    }
}

pub fn reason(plan: &Plan) -> &str {
    ready_condition(&plan.status).map_or("", |ready| ready.reason.as_str())
}
