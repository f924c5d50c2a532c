//! Renewal by a test clock (acceptance 3.3 of the certificate core): the real enclave engine and the controller's real decisions
//! live through years in steps of days. At every moment the openssl command, trusting the bundle that is published then, is asked about
//! every certificate that was published and has not ended.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tcs_api::conditions::{is_ready, ready_condition};
use tcs_api::v1alpha1::{
    CaSpec, IssuerSpec, IssuerStatus, QuoteAttestation, QuoteAttestationStatus, QuoteCondition, SecretEntry,
    TCSIssuer,
};
use tcs_enclave::keys::SoftwareKeys;
use tcs_enclave::platform::{Assurance, SealingKey, TeePlatform};
use tcs_enclave::{Engine, RELEASE_DATE};
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, CaInfo, CompleteProvisioning, Handler as _, Health, Identity, Issue, Issued,
    Offer, Refusal, Request, RequestApi, Response,
};
use tcs_evidence::Evidence;
use tcs_issuer::clock::ClockComparison;
use tcs_issuer::issuer::Issuer;
use tcs_issuer::issuer::decide::{
    AttestationStep, Decision, DeliverySecret, EnclaveState, EnclaveStep, NextCa, Observed, Plan, SealedKey,
    decide, named_secret, was_published,
};
use tcs_issuer::requests::is_permanent;

const DAY: i64 = 86_400;

/// Its evidence is the report data, which nobody verifies here.
#[derive(Default)]
pub struct Pretence {
    pub seals: bool,
}

impl TeePlatform for Pretence {
    fn name(&self) -> &'static str {
        "pretence"
    }
    fn evidence_kind(&self) -> &'static str {
        "sgx-quote-v3"
    }
    fn assurance(&self) -> Assurance {
        Assurance::Simulated
    }
    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, tcs_enclave::Error> {
        Ok(Evidence::SgxQuote(report_data.to_vec()))
    }
    fn sealing_key(&self) -> Result<Option<SealingKey>, tcs_enclave::Error> {
        Ok(self.seals.then(|| SealingKey { key: [1; 32].into(), measurement: [1; 32] }))
    }
}

pub struct Leaf {
    /// With its intermediates, PEM.
    file: PathBuf,
    not_after: i64,
}

/// The key owner, who makes a new CA of a kind each time that one is asked for.
pub enum Owner {
    /// Self-signed: nobody delivers.
    Nobody,
    /// A new key and certificate of the same name.
    NewKey,
    /// A new certificate of this key.
    SameKey(Box<KeyPair>),
    /// A new intermediate below this root.
    BelowRoot(Box<KeyPair>),
}

pub struct World {
    pub engine: Engine,
    pub identity: Identity,
    pub issuer: TCSIssuer,
    pub owner: Owner,
    pub status: IssuerStatus,
    pub attestation: Option<QuoteAttestation>,
    pub secret: Option<Secret>,
    /// `ca.crt` as it is published.
    pub bundle: String,
    pub leaves: Vec<Leaf>,
    pub dir: tempfile::TempDir,
    pub now: i64,
    /// CAs that were published, in their order.
    pub fingerprints: Vec<String>,
    pub held_back: usize,
    pub issued: usize,
    pub made: u64,
    /// What is sealed of the CA that is held, and of those before it.
    pub sealed: Vec<(SealedKey, ByteVec)>,
    /// The API server's clock, where it is another.
    pub server: Option<i64>,
    /// Whether the key owner's first delivery is a mistake.
    pub errs: bool,
    /// What was said in conditions and Events.
    pub said: Vec<String>,
}

impl World {
    pub fn new(ca: Option<CaSpec>, owner: Owner) -> Self {
        let spec = IssuerSpec {
            secret_name: "ca".into(),
            self_sign: matches!(owner, Owner::Nobody),
            ca,
            policy: None,
            labels: BTreeMap::new(),
        };
        let mut issuer = TCSIssuer::new("by-clock", spec);
        issuer.metadata.namespace = Some("sandbox".into());
        issuer.metadata.uid = Some("uid".into());
        let engine = Engine::new(Box::new(Pretence::default()), Box::new(SoftwareKeys)).unwrap();
        let Response::Identity(identity) = engine.handle(Request::Identity) else { panic!() };
        Self {
            engine,
            identity,
            issuer,
            owner,
            status: IssuerStatus::default(),
            attestation: None,
            secret: None,
            bundle: String::new(),
            leaves: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
            now: RELEASE_DATE + DAY,
            fingerprints: Vec::new(),
            held_back: 0,
            issued: 0,
            made: 0,
            sealed: Vec::new(),
            server: None,
            errs: true,
            said: Vec::new(),
        }
    }

    pub fn held(&self) -> Option<CaInfo> {
        let ask = Health { issuer_uid: Some("uid".into()) };
        let Response::Health(report) = self.engine.handle(Request::Health(ask)) else { panic!() };
        report.issuers.into_iter().next()?.ca
    }

    fn offer(&self, renewal: bool) -> Offer {
        let nonce = ByteVec::from(tcs_evidence::report_data::FIXED_NONCE.to_vec());
        let ask = BeginProvisioning { issuer_uid: "uid".into(), nonce, renewal };
        match self.engine.handle(Request::BeginProvisioning(ask)) {
            Response::Offer(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    /// One pass of the controller, as its shell makes them.
    pub fn pass(&mut self) {
        let (mut next, mut refusal): (Option<Offer>, Option<Refusal>) = (None, None);
        let restore_refusal = self.restore();
        loop {
            let issuer = Issuer::from(Arc::new(self.issuer.clone()));
            let (held, status) = (self.held(), self.status.clone());
            let first = (held.is_none() && !self.issuer.spec.self_sign).then(|| self.offer(false));
            let named = self.attestation.as_ref().and_then(|attestation| named_secret(attestation, &issuer));
            let enclave = match (held.clone(), first.clone()) {
                (Some(ca), _) => EnclaveState::Holding(self.identity.clone(), ca),
                (None, Some(offer)) => EnclaveState::Offering(self.identity.clone(), offer),
                (None, None) => EnclaveState::Vacant(self.identity.clone()),
            };
            let seen = Observed {
                issuer: &issuer,
                status: &status,
                withheld: None,
                enclave: &enclave,
                next: &next.clone().map_or(NextCa::NotRequested, NextCa::Offer),
                attestation: self.attestation.as_ref(),
                secret: &match (self.secret.clone(), named) {
                    (Some(secret), Some(_)) => DeliverySecret::Found(Box::new(secret)),
                    (None, Some(_)) => DeliverySecret::Missing,
                    (_, None) => DeliverySecret::NotNamed,
                },
                refusal: refusal.as_ref(),
                sealed: self.sealed.last().map(|(key, _)| key),
                restore_refusal: restore_refusal.as_ref(),
                policy_refusal: None,
                refused_write: None,
                clock: ClockComparison::of(self.now, self.server.unwrap_or(self.now)),
            };
            let step = match decide(&seen, Timestamp::from_second(self.now).unwrap()) {
                Decision::Settle(plan) => return self.apply(*plan, &issuer, held.as_ref()),
                Decision::Ask(step) => step,
            };
            let request = match step {
                EnclaveStep::Deliver(delivery) => {
                    let offer = first.or(next.clone()).unwrap();
                    Request::CompleteProvisioning(CompleteProvisioning {
                        issuer_uid: "uid".into(),
                        offer_id: offer.offer_id,
                        wrapped_key: delivery.wrapped_key.into(),
                        chain: delivery.chain.into_iter().map(ByteVec::from).collect(),
                        formats: Vec::new(),
                        now: self.now,
                    })
                }
                EnclaveStep::Generate(generate) => Request::GenerateCa(*generate),
                EnclaveStep::Renew(renew) => Request::RenewCa(renew),
                EnclaveStep::OfferNext => {
                    next = Some(self.offer(true));
                    continue;
                }
            };
            match self.engine.handle(request) {
                Response::Provisioned(_) => next = None,
                Response::Refused(refused) => refusal = Some(refused),
                other => panic!("{other:?}"),
            }
            // A request that comes right now meets a CA that is not published yet.
            self.issue(true);
        }
    }

    /// Carries a plan out in the controller's order: the bundle first, then the status, after which certificates may be published.
    fn apply(&mut self, plan: Plan, issuer: &Issuer, held: Option<&CaInfo>) {
        self.said.extend(plan.events.into_iter().map(|event| event.message));
        self.said.extend(ready_condition(&plan.status).map(|ready| ready.message.clone()));
        if let (true, Some(ca)) = (plan.seal, held) {
            self.seal(issuer, ca);
        }
        if let Some(secret) = plan.ca_secret {
            let ByteString(bundle) = secret.data.unwrap().remove("ca.crt").unwrap();
            let before = std::mem::replace(&mut self.bundle, String::from_utf8(bundle).unwrap());
            if before != self.bundle {
                self.check();
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

    /// The key owner answers an open offer, first with a mistake.
    pub fn deliver(&mut self) {
        let Some(attestation) = &mut self.attestation else { return };
        self.made += 1;
        let (first, then) =
            (Duration::from_secs(u64::try_from(self.now - DAY).unwrap()), Duration::from_hours(400 * 24));
        let start = rcgen::date_time_ymd(1970, 1, 1) + first;
        let parameters = |name: &str| {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            parameters.use_authority_key_identifier_extension = true;
            (parameters.not_before, parameters.not_after) = (start, start + then);
            parameters
        };
        let fresh = KeyPair::generate().unwrap();
        let (key, chain) = match &self.owner {
            Owner::Nobody => return,
            Owner::NewKey => {
                let certificate = parameters("CA").self_signed(&fresh).unwrap();
                (&fresh, vec![certificate.pem()])
            }
            Owner::SameKey(key) => {
                let certificate = parameters("CA").self_signed(key.as_ref()).unwrap();
                (key.as_ref(), vec![certificate.pem()])
            }
            Owner::BelowRoot(root_key) => {
                let mut root = parameters("Root");
                root.serial_number = Some(1u64.into());
                (root.not_before, root.not_after) =
                    (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2040, 1, 1));
                let certificate = root.clone().self_signed(root_key.as_ref()).unwrap();
                let above = rcgen::Issuer::from_params(&root, root_key.as_ref());
                let below = parameters("Intermediate").signed_by(&fresh, &above).unwrap();
                (&fresh, vec![below.pem(), certificate.pem()])
            }
        };
        let spki = pem_rfc7468::decode_vec(&attestation.spec.public_key.0).unwrap().1;
        let wrong = self.errs && self.made % 2 == 1 && self.secret.is_none();
        let stranger = KeyPair::generate().unwrap();
        let wrapped = if wrong { stranger.serialized_der() } else { key.serialized_der() };
        let wrapped = tcs_keywrap::wrap(&spki, tcs_keywrap::WrapFormat::KmraV1Sha256, wrapped).unwrap();
        let mut secret = Secret::default();
        secret.metadata.uid = Some("secret".into());
        secret.metadata.resource_version = Some(self.made.to_string());
        secret.data = Some(BTreeMap::from([
            ("tls.key".to_owned(), ByteString(STANDARD.encode(wrapped).into_bytes())),
            ("tls.crt".to_owned(), ByteString(STANDARD.encode(chain.concat()).into_bytes())),
        ]));
        self.secret = Some(secret);
        let ready = QuoteCondition {
            type_: Some("CASecretReady".into()),
            status: Some("true".into()),
            ..QuoteCondition::default()
        };
        let signer = Issuer::from(Arc::new(self.issuer.clone())).signer_name();
        let entry = SecretEntry { secret_name: "wrapped".into(), secret_type: Some("KMRA".into()) };
        attestation.status = Some(QuoteAttestationStatus {
            conditions: vec![ready],
            secrets: BTreeMap::from([(signer, entry)]),
        });
    }

    /// A request comes in. What is signed is published only as the controller publishes it.
    pub fn issue(&mut self, between: bool) {
        if !is_ready(&self.status) {
            return;
        }
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["a.example".to_owned()]).unwrap();
        let number = self.issued;
        let ask = Issue {
            issuer_uid: "uid".into(),
            request: parameters.serialize_request(&key).unwrap().der().to_vec().into(),
            request_api: RequestApi::KubernetesCsr,
            usages: vec!["digital signature".into(), "server auth".into()],
            lifetime: Some([3600, 86_400, 30 * 86_400, 90 * 86_400, 365 * 86_400][number % 5]),
            now: self.now,
            policy: None,
            is_ca: false,
        };
        let issued: Issued = match self.engine.handle(Request::Issue(ask)) {
            Response::Issued(issued) => issued,
            Response::Refused(refusal) if between && !is_permanent(refusal.code) => return,
            other => panic!("at {}: {other:?}", self.now),
        };
        if !was_published(&self.status, &issued.ca_fingerprint) {
            assert!(between, "issuing stopped at {}", self.now);
            self.held_back += 1;
            return;
        }
        let pem = |der: &ByteVec| {
            pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, der).unwrap()
        };
        let file = self.dir.path().join(format!("leaf-{number}"));
        std::fs::write(&file, issued.chain.iter().map(pem).collect::<String>()).unwrap();
        self.issued += 1;
        self.leaves.push(Leaf { file, not_after: issued.not_after });
        self.check();
    }

    /// openssl, trusting what is published, accepts every certificate that has not ended.
    pub fn check(&mut self) {
        let now = self.now;
        self.leaves.retain(|leaf| leaf.not_after >= now);
        let bundle = self.dir.path().join("bundle");
        std::fs::write(&bundle, &self.bundle).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["verify", "-purpose", "sslserver", "-attime", &now.to_string(), "-CAfile"]).arg(bundle);
        if matches!(self.owner, Owner::Nobody) {
            openssl.arg("-x509_strict");
        }
        if matches!(self.owner, Owner::BelowRoot(_)) {
            // What a server sends: its chain is not trusted.
            for leaf in &self.leaves {
                openssl.arg("-untrusted").arg(&leaf.file);
            }
        }
        openssl.args(self.leaves.iter().map(|leaf| &leaf.file));
        let output = openssl.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(self.leaves.is_empty() || output.status.success(), "at {now}: {text}\n{}", self.bundle);
    }

    /// Three years and more, in steps that meet no boundary by design.
    fn live(&mut self) {
        let end = self.now + 1200 * DAY;
        let mut steps = 0i64;
        while self.now < end {
            self.pass();
            let ready = ready_condition(&self.status).unwrap();
            assert!(is_ready(&self.status) || self.fingerprints.is_empty(), "at {}: {ready:?}", self.now);
            self.issue(false);
            steps += 1;
            self.now += [2 * DAY, 5 * DAY + 11, 3 * DAY + 3601][usize::try_from(steps % 3).unwrap()];
            if steps % 3 == 0 {
                self.deliver();
            }
        }
    }
}

fn lived(ca: Option<CaSpec>, owner: Owner) -> World {
    let mut world = World::new(ca, owner);
    world.live();
    // A CA of 365 or 400 days, followed 30 days before its end, for 1,200 days.
    assert_eq!(world.fingerprints.len(), 4, "{:?}", world.fingerprints);
    assert!(world.held_back >= 3, "no request came between a new CA and its publication");
    assert!(world.issued > 300, "{}", world.issued);
    world
}

pub fn ephemeral(rotation_policy: Option<&str>) -> CaSpec {
    let rotation_policy = rotation_policy.map(str::to_owned);
    CaSpec { allow_ephemeral: true, rotation_policy, ..CaSpec::default() }
}

#[test]
fn w_d7_a_self_signed_ca_is_renewed_with_the_same_key() {
    let world = lived(Some(ephemeral(None)), Owner::Nobody);
    assert!(
        world.bundle.matches("BEGIN CERTIFICATE").count() <= 2,
        "what has ended is not published for ever"
    );
}

#[test]
fn a_self_signed_ca_with_a_new_key_each_time() {
    lived(Some(ephemeral(Some("Always"))), Owner::Nobody);
}

#[test]
fn a_delivered_ca_with_a_new_key_each_time() {
    lived(None, Owner::NewKey);
}

#[test]
fn a_delivered_ca_with_a_new_certificate_of_the_same_key() {
    lived(None, Owner::SameKey(Box::new(KeyPair::generate().unwrap())));
}

#[test]
fn a_delivered_intermediate_below_the_same_root() {
    let world = lived(None, Owner::BelowRoot(Box::new(KeyPair::generate().unwrap())));
    assert_eq!(world.bundle.matches("BEGIN CERTIFICATE").count(), 1, "one root is enough");
}
