mod bounds;
mod ca;
mod concurrency;
mod fixture;
mod hostile;
mod hostile_checks;
mod hostile_frames;
mod issuing;
mod policy;
mod provisioning;
mod renewal;
mod sealed;
mod secrecy;
mod sizes;
mod slow;

use crate::Engine;
use fixture::{Controller, NOW, TestCa, csr, engine, issue, openssl_accepts};
use std::sync::Arc;
use std::time::Duration;
use tcs_enclave_rpc::{
    Client, Destroy, Endpoint, Handler, Health, MAX_ISSUER_UID, RefusalCode, Request, Response, Server,
    ServerHandle, ServerOptions,
};

/// The engine behind a real server, called by a real client.
pub struct Served {
    pub client: Client,
    handle: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Served {
    pub fn start(engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(&Endpoint::Unix(dir.path().join("s"))).unwrap();
        let (endpoint, handle) = (server.endpoint().clone(), server.handle());
        let handler: Arc<dyn Handler> = Arc::new(engine);
        let options = ServerOptions { workers: 2, ..ServerOptions::default() };
        let thread = std::thread::spawn(move || server.run(&handler, &options).unwrap());
        let client = Client::connect(&endpoint, Duration::from_mins(1)).unwrap();
        Self { client, handle, thread: Some(thread), _dir: dir }
    }
}

impl Controller for Served {
    fn call(&self, request: Request) -> Response {
        self.client.call(request, Duration::from_mins(1)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

#[test]
fn an_issuer_lives_from_offer_to_certificate_to_destruction() {
    let enclave = Served::start(engine());
    let offer = enclave.begin("uid").unwrap();
    assert_eq!(offer, enclave.begin("uid").unwrap(), "the same offer while it is open");
    let bound = tcs_evidence::report_data::ctk_v1(
        &tcs_evidence::QuotePublicKey::from_der(&offer.public_key).unwrap(),
        &fixture::NONCE,
    );
    assert_eq!((offer.evidence.as_slice(), offer.evidence_kind.as_str()), (bound.as_slice(), "sgx-quote-v3"));
    let report = enclave.health(None);
    assert_eq!((report.issuers.len(), report.issuers[0].offer_id.as_ref()), (1, Some(&offer.offer_id)));

    let ca = TestCa::new();
    let info = enclave.deliver(ca.delivery("uid", &offer)).unwrap();
    assert_eq!((info.key_algorithm.as_str(), info.key_format.as_str()), ("ECDSA-P256", "kmra-v1-sha256"));
    assert_eq!(info.chain, info.anchors, "a single self-signed CA stands in both");
    assert_eq!(info.chain[0].as_slice(), ca.chain[0]);
    let held = enclave.health(Some("uid")).issuers.remove(0);
    assert_eq!(
        (held.offer_id, held.ca_fingerprint, held.ca),
        (None, Some(info.fingerprint.clone()), Some(info.clone()))
    );
    assert_eq!(enclave.health(None).issuers[0].ca, None);

    let issued = enclave.issue(issue("uid", csr(|_| {}))).unwrap();
    assert_eq!(issued.chain.len(), 1, "no self-signed root");
    assert_eq!(issued.not_after, NOW + 3600);
    assert!(openssl_accepts(&issued.chain.iter().map(|der| der.as_slice()).collect::<Vec<_>>(), &ca.chain));
    assert!(!openssl_accepts(&[issued.chain[0].as_slice()], &TestCa::new().chain));

    enclave.destroy("uid");
    enclave.destroy("uid");
    assert_eq!(enclave.issue(issue("uid", csr(|_| {}))), Err(RefusalCode::NotProvisioned));
    assert!(enclave.health(None).issuers.is_empty());
    assert!(enclave.health(Some("uid")).issuers.is_empty());
}

#[test]
fn identity_names_platform_and_assurance() {
    let (one, other) = (engine(), engine());
    let identity = |engine: &Engine| match engine.call(Request::Identity) {
        Response::Identity(identity) => identity,
        other => panic!("{other:?}"),
    };
    let shown = identity(&one);
    assert_eq!(
        (shown.platform.as_str(), shown.assurance.as_str(), shown.simulated),
        ("fixture", "simulated", true)
    );
    assert_eq!(shown.version, crate::VERSION);
    assert_eq!(shown.boot_id, one.health(None).boot_id);
    assert_ne!(shown.boot_id, identity(&other).boot_id);
}

#[test]
fn what_cannot_be_a_uid_is_refused_everywhere() {
    let engine = engine();
    for uid in [String::new(), "x".repeat(MAX_ISSUER_UID + 1), "a b".into(), "a\n".into(), "ü".into()] {
        assert_eq!(engine.begin(&uid), Err(RefusalCode::MalformedMessage));
        assert_eq!(engine.issue(issue(&uid, vec![])), Err(RefusalCode::MalformedMessage));
        for request in [
            Request::Destroy(Destroy { issuer_uid: uid.clone() }),
            Request::Health(Health { issuer_uid: Some(uid.clone()) }),
        ] {
            assert_eq!(engine.outcome(request).unwrap_err().code, RefusalCode::MalformedMessage);
        }
    }
    assert!(engine.begin(&"x".repeat(MAX_ISSUER_UID)).is_ok());
}
