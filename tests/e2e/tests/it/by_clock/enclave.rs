//! The engine of the enclave on a platform whose evidence nobody verifies.

use rcgen::{CertificateParams, KeyPair};
use tcs_enclave::Engine;
use tcs_enclave::keys::SoftwareKeys;
use tcs_enclave::platform::{Assurance, SealingKey, TeePlatform};
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, CaInfo, Handler as _, Health, Identity, Issue, Offer, Refusal, Request,
    RequestApi, Response, Restore, Seal, Sealed,
};
use tcs_evidence::Evidence;
use tcs_evidence::report_data::FIXED_NONCE;

/// UID of the issuer, of which there is only one.
pub const UID: &str = "uid";

/// Its evidence is the report data.
struct FixturePlatform {
    can_seal: bool,
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

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, tcs_enclave::Error> {
        Ok(Evidence::SgxQuote(report_data.to_vec()))
    }

    fn sealing_key(&self) -> Result<Option<SealingKey>, tcs_enclave::Error> {
        Ok(self.can_seal.then(|| SealingKey { key: [1; 32].into(), measurement: [1; 32] }))
    }
}

pub struct Enclave {
    engine: Engine,
    pub identity: Identity,
}

impl Enclave {
    pub fn new(can_seal: bool) -> Self {
        let engine = engine(can_seal);
        let Response::Identity(identity) = engine.handle(Request::Identity) else { panic!() };
        Self { engine, identity }
    }

    /// The program ends, and another one starts on a platform that can seal.
    pub fn restart(&mut self) {
        self.engine = engine(true);
    }

    pub fn handle(&self, request: Request) -> Response {
        self.engine.handle(request)
    }

    /// The CA that it holds.
    pub fn ca(&self) -> Option<CaInfo> {
        let request = Request::Health(Health { issuer_uid: Some(UID.into()) });
        let Response::Health(report) = self.engine.handle(request) else { panic!() };
        report.issuers.into_iter().next()?.ca
    }

    pub fn offer(&self, renewal: bool) -> Offer {
        let nonce = ByteVec::from(FIXED_NONCE.to_vec());
        let request = BeginProvisioning { issuer_uid: UID.into(), nonce, renewal };
        match self.engine.handle(Request::BeginProvisioning(request)) {
            Response::Offer(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    /// Restores a sealed key; the refusal, if it is refused.
    pub fn restore(&self, blob: &ByteVec, now: i64) -> Option<Refusal> {
        let request = Restore { issuer_uid: UID.into(), blob: blob.clone(), now };
        match self.engine.handle(Request::Restore(request)) {
            Response::Provisioned(_) => None,
            Response::Refused(refusal) => Some(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// The sealed key of the CA that it holds.
    pub fn seal(&self) -> ByteVec {
        match self.engine.handle(Request::Seal(Seal { issuer_uid: UID.into() })) {
            Response::Sealed(Sealed { blob, .. }) => blob,
            other => panic!("{other:?}"),
        }
    }

    /// Requests a certificate for a new key.
    pub fn issue(&self, lifetime: u64, now: i64) -> Response {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["a.example".to_owned()]).unwrap();
        self.engine.handle(Request::Issue(Issue {
            issuer_uid: UID.into(),
            request: parameters.serialize_request(&key).unwrap().der().to_vec().into(),
            request_api: RequestApi::KubernetesCsr,
            usages: vec!["digital signature".into(), "server auth".into()],
            lifetime: Some(lifetime),
            now,
            policy: None,
            is_ca: false,
        }))
    }
}

fn engine(can_seal: bool) -> Engine {
    Engine::new(Box::new(FixturePlatform { can_seal }), Box::new(SoftwareKeys)).unwrap()
}
