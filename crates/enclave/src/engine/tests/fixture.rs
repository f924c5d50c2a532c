//! A platform without protection, certificates and keys, and the calls of a controller.

use super::oracles;
use crate::keys::{KeyProvider, SoftwareKeys};
use crate::platform::{Assurance, SealingKey, TeePlatform};
use crate::{Engine, Error, RELEASE_DATE};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tcs_enclave_rpc::{
    BeginProvisioning, CaInfo, CaSubject, CompleteProvisioning, Destroy, GenerateCa, Handler, Health,
    HealthReport, Issue, Issued, Offer, Refusal, RefusalCode, RenewCa, Request, RequestApi, Response,
    Restore, Seal, Sealed,
};
use tcs_evidence::Evidence;
use tcs_keywrap::WrapFormat;
use zeroize::Zeroizing;

/// Ten days after the release. Every certificate here is valid then unless it says otherwise.
pub const NOW: i64 = RELEASE_DATE + 10 * 86_400;
pub const NONCE: [u8; 32] = tcs_evidence::report_data::FIXED_NONCE;

/// What waits here goes on when the gate is open.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn close(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    pub fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |closed| *closed).unwrap());
    }
}

/// A simulated platform whose evidence is the report data itself.
#[derive(Default)]
pub struct FixturePlatform {
    pub broken: Arc<AtomicBool>,
    /// Evidence is made when this is open.
    pub gate: Gate,
    /// Machine and measurement of the sealing key.
    pub seals: Option<(u8, u8)>,
}

impl TeePlatform for FixturePlatform {
    fn name(&self) -> &'static str {
        "fixture"
    }
    fn evidence_kind(&self) -> &'static str {
        "sgx-quote-v3"
    }
    fn assurance(&self) -> Assurance {
        Assurance::Simulated
    }
    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, Error> {
        self.gate.pass();
        if self.broken.load(Ordering::Relaxed) {
            return Err(Error::EvidenceUnusable("as the test asks"));
        }
        Ok(Evidence::SgxQuote(report_data.to_vec()))
    }
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error> {
        Ok(self.seals.map(|(machine, measurement)| sealing_key(machine, measurement)))
    }
}

pub fn sealing_key(machine: u8, measurement: u8) -> SealingKey {
    SealingKey { key: Zeroizing::new([machine; 32]), measurement: [measurement; 32] }
}

pub fn engine_on(platform: FixturePlatform) -> Engine {
    engine_with(platform, Box::new(SoftwareKeys))
}

/// The product's limit of ten seconds is short for a debug build on a busy machine.
pub fn engine_with(platform: FixturePlatform, keys: Box<dyn KeyProvider>) -> Engine {
    Engine::with_limit(Box::new(platform), keys, Duration::from_mins(10)).unwrap()
}

pub fn engine() -> Engine {
    engine_on(FixturePlatform::default())
}

/// An engine of this program on this machine, as after a start.
pub fn sealing_engine(machine: u8, program: u8) -> Engine {
    engine_on(FixturePlatform { seals: Some((machine, program)), ..FixturePlatform::default() })
}

/// Calls as the controller makes them.
pub trait Controller {
    fn call(&self, request: Request) -> Response;

    fn outcome(&self, request: Request) -> Result<Response, Refusal> {
        match self.call(request) {
            Response::Refused(refusal) => Err(refusal),
            response => Ok(response),
        }
    }

    fn begin(&self, issuer: &str) -> Result<Offer, RefusalCode> {
        self.begin_as(issuer, false)
    }

    /// Requests the offer for the next CA.
    fn begin_renewal(&self, issuer: &str) -> Result<Offer, RefusalCode> {
        self.begin_as(issuer, true)
    }

    fn begin_as(&self, issuer: &str, renewal: bool) -> Result<Offer, RefusalCode> {
        let request = BeginProvisioning { issuer_uid: issuer.into(), nonce: NONCE.to_vec().into(), renewal };
        match self.outcome(Request::BeginProvisioning(request)).map_err(|refusal| refusal.code)? {
            Response::Offer(offer) => Ok(offer),
            other => panic!("{other:?}"),
        }
    }

    fn renew(&self, request: RenewCa) -> Result<CaInfo, RefusalCode> {
        match self.outcome(Request::RenewCa(request)).map_err(|refusal| refusal.code)? {
            Response::Provisioned(ca) => Ok(ca),
            other => panic!("{other:?}"),
        }
    }

    fn deliver(&self, delivery: CompleteProvisioning) -> Result<CaInfo, Refusal> {
        match self.outcome(Request::CompleteProvisioning(delivery))? {
            Response::Provisioned(ca) => Ok(ca),
            other => panic!("{other:?}"),
        }
    }

    /// What is issued below a delivered chain verifies with what is published of it.
    fn issue(&self, issue: Issue) -> Result<Issued, RefusalCode> {
        let (uid, now) = (issue.issuer_uid.clone(), issue.now);
        let is_for_servers = issue.usages.iter().any(|usage| usage == "server auth");
        let issued = match self.outcome(Request::Issue(issue)).map_err(|refusal| refusal.code)? {
            Response::Issued(issued) => issued,
            other => panic!("{other:?}"),
        };
        let ca = self.health(Some(&uid)).issuers.into_iter().find_map(|issuer| issuer.ca);
        if let Some(ca) = ca.filter(|ca| is_for_servers && ca.chain != ca.anchors) {
            assert_eq!(oracles::accept(&issued, &ca, now), [true, true], "openssl, Go");
        }
        Ok(issued)
    }

    fn generate(&self, request: GenerateCa) -> Result<CaInfo, RefusalCode> {
        match self.outcome(Request::GenerateCa(request)).map_err(|refusal| refusal.code)? {
            Response::Provisioned(ca) => Ok(ca),
            other => panic!("{other:?}"),
        }
    }

    fn seal(&self, issuer: &str) -> Result<Sealed, RefusalCode> {
        let request = Request::Seal(Seal { issuer_uid: issuer.into() });
        match self.outcome(request).map_err(|refusal| refusal.code)? {
            Response::Sealed(sealed) => Ok(sealed),
            other => panic!("{other:?}"),
        }
    }

    fn restore_at(&self, issuer: &str, blob: &[u8], now: i64) -> Result<CaInfo, RefusalCode> {
        let request = Restore { issuer_uid: issuer.into(), blob: blob.to_vec().into(), now };
        match self.outcome(Request::Restore(request)).map_err(|refusal| refusal.code)? {
            Response::Provisioned(ca) => Ok(ca),
            other => panic!("{other:?}"),
        }
    }

    fn restore(&self, issuer: &str, blob: &[u8]) -> Result<CaInfo, RefusalCode> {
        self.restore_at(issuer, blob, NOW)
    }

    fn health(&self, issuer: Option<&str>) -> HealthReport {
        match self.call(Request::Health(Health { issuer_uid: issuer.map(str::to_owned) })) {
            Response::Health(report) => report,
            other => panic!("{other:?}"),
        }
    }

    fn destroy(&self, issuer: &str) {
        assert_eq!(self.call(Request::Destroy(Destroy { issuer_uid: issuer.into() })), Response::Destroyed);
    }

    /// Makes an issuer able to sign.
    fn provision(&self, issuer: &str, ca: &TestCa) -> CaInfo {
        let offer = self.begin(issuer).unwrap();
        self.deliver(ca.delivery(issuer, &offer)).unwrap()
    }
}

impl Controller for Engine {
    fn call(&self, request: Request) -> Response {
        self.handle(request)
    }
}

/// A CA of a key owner.
pub struct TestCa {
    pub key: KeyPair,
    pub params: CertificateParams,
    /// Delivered certificates, issuing CA first.
    pub chain: Vec<Vec<u8>>,
}

impl TestCa {
    pub fn new() -> Self {
        Self::with_key(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub fn with_key(key: KeyPair) -> Self {
        Self::build(key, |_| {})
    }

    pub fn build(key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(2026, 10, 1);
        params.not_after = date_time_ymd(2036, 10, 1);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        Self { key, params, chain: vec![certificate.der().to_vec()] }
    }

    /// A CA below this one, which is delivered with it.
    pub fn below(&self) -> Self {
        let depth = self.chain.len();
        self.signed(|params| {
            params.distinguished_name.push(DnType::CommonName, format!("Test CA {depth} below"));
        })
    }

    /// A new key of this CA, which the old key signed and which is delivered with it.
    pub fn with_next_key(&self) -> Self {
        self.signed(|_| ())
    }

    fn signed(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = self.params.clone();
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        let chain = std::iter::once(certificate.der().to_vec()).chain(self.chain.clone()).collect();
        Self { key, params, chain }
    }

    pub fn wrap(&self, offer: &Offer, format: WrapFormat) -> Vec<u8> {
        tcs_keywrap::wrap(&offer.public_key, format, self.key.serialized_der()).unwrap()
    }

    pub fn delivery(&self, issuer: &str, offer: &Offer) -> CompleteProvisioning {
        CompleteProvisioning {
            issuer_uid: issuer.into(),
            offer_id: offer.offer_id.clone(),
            wrapped_key: self.wrap(offer, WrapFormat::KmraV1Sha256).into(),
            chain: self.chain.iter().map(|der| der.clone().into()).collect(),
            formats: vec![],
            now: NOW,
        }
    }
}

/// A request for `workload.example`, which the test may change.
pub fn csr(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(["workload.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "workload");
    change(&mut params);
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// The parameters of a CA as the controller sends them for a spec without `ca`.
pub fn self_signed(issuer: &str) -> GenerateCa {
    GenerateCa {
        issuer_uid: issuer.into(),
        subject: CaSubject { common_name: "Self-signed".into(), ..CaSubject::default() },
        key_algorithm: "ECDSA-P256".into(),
        lifetime: 365 * 86_400,
        path_length: Some(0),
        now: NOW,
        policy: None,
    }
}

pub fn issue(issuer: &str, request: Vec<u8>) -> Issue {
    Issue {
        issuer_uid: issuer.into(),
        request: request.into(),
        request_api: RequestApi::KubernetesCsr,
        usages: vec!["digital signature".into(), "server auth".into()],
        lifetime: Some(3600),
        now: NOW,
        policy: None,
        is_ca: false,
    }
}
