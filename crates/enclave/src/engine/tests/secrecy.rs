//! W-D6: what Intel's Trusted Certificate Service exported from its token stays inside, whatever is
//! requested.

use super::fixture::{Controller, NOW, TestCa, csr, engine, issue, sealing_engine, sealing_key, self_signed};
use crate::Engine;
use crate::sealing::Sealer;
use std::cell::RefCell;
use std::collections::HashSet;
use std::mem::discriminant;
use tcs_enclave_rpc::{CompleteProvisioning, GenerateCa, RefusalCode, RenewCa, Request, Response};
use tcs_keywrap::WrapFormat;

#[test]
fn w_d6_a_key_wrapped_with_sha_256_is_accepted_where_sha_1_is_forbidden() {
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let ca = TestCa::new();
    let deliver = |format| {
        let wrapped_key = ca.wrap(&offer, format).into();
        let formats = vec!["kmra-v1-sha256".into()];
        engine.deliver(CompleteProvisioning { wrapped_key, formats, ..ca.delivery("uid", &offer) })
    };
    assert_eq!(deliver(WrapFormat::KmraV1).unwrap_err().code, RefusalCode::WrapFormatForbidden);
    assert_eq!(deliver(WrapFormat::KmraV1Sha256).unwrap().key_format, "kmra-v1-sha256");
}

/// Number of variants of [`Response`].
const KINDS: usize = 8;

/// An engine that records every answer as it is sent.
struct Overheard {
    engine: Engine,
    answers: RefCell<Vec<(Response, Vec<u8>)>>,
}

impl Overheard {
    fn new() -> Self {
        Self { engine: sealing_engine(1, 1), answers: RefCell::default() }
    }

    /// Sends every request that is possible for a CA that is held.
    fn call_everything(&self, uid: &str) -> Vec<u8> {
        self.call(Request::Identity);
        self.health(Some(uid));
        self.health(None);
        self.issue(issue(uid, csr(|_| {}))).unwrap();
        self.issue(issue(uid, vec![0x30; 64])).unwrap_err();
        let blob = self.seal(uid).unwrap().blob.to_vec();
        self.destroy(uid);
        self.restore("other", &blob).unwrap_err();
        self.restore(uid, &blob).unwrap();
        self.restore(uid, &blob).unwrap_err();
        blob
    }

    fn assert_silent_about(&self, pkcs8: &[u8], secret: &[u8]) {
        assert!(pkcs8.windows(secret.len()).any(|window| window == secret), "it is the key's");
        for (answer, wire) in self.answers.borrow().iter() {
            // Even sixteen bytes of it would be too much.
            for part in secret.windows(16) {
                assert!(!wire.windows(16).any(|window| window == part), "{answer:?}");
            }
        }
    }
}

impl Controller for Overheard {
    fn call(&self, request: Request) -> Response {
        let answer = self.engine.call(request);
        self.answers.borrow_mut().push((answer.clone(), minicbor::to_vec(&answer).unwrap()));
        answer
    }
}

/// The private number of a P-256 key: the 32 bytes of `privateKey` in SEC 1, after its version.
fn scalar(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8.windows(5).position(|window| window == [2, 1, 1, 4, 32]).unwrap() + 5;
    pkcs8[at..at + 32].to_vec()
}

#[test]
fn w_d6_no_answer_holds_a_private_key() {
    let enclave = Overheard::new();
    let (ca, next) = (TestCa::new(), TestCa::new());
    let offer = enclave.begin("uid").unwrap();
    let mismatch =
        CompleteProvisioning { chain: next.delivery("uid", &offer).chain, ..ca.delivery("uid", &offer) };
    assert_eq!(enclave.deliver(mismatch).unwrap_err().code, RefusalCode::KeyMismatch);
    enclave.deliver(ca.delivery("uid", &offer)).unwrap();
    enclave.call_everything("uid");
    let offer = enclave.begin_renewal("uid").unwrap();
    enclave.deliver(next.delivery("uid", &offer)).unwrap();
    enclave.call_everything("uid");

    // The test knows the keys that were made inside from the sealed blobs, which only the enclave can open.
    let mut made = Vec::new();
    let mut keep = |blob: &[u8]| {
        let opened = Sealer::new(sealing_key(1, 1)).unwrap().open("made", blob).ok().unwrap();
        made.push(opened.contents().unwrap().key.to_vec());
    };
    enclave.generate(GenerateCa { path_length: None, ..self_signed("made") }).unwrap();
    keep(&enclave.call_everything("made"));
    for new_key in [None, Some("ECDSA-P256".into())] {
        enclave.renew(RenewCa { issuer_uid: "made".into(), new_key, lifetime: 86_400, now: NOW }).unwrap();
        keep(&enclave.call_everything("made"));
    }
    assert_eq!((made[0] == made[1], made[1] == made[2]), (true, false), "a renewal with a new key");

    let kinds: HashSet<_> = enclave.answers.borrow().iter().map(|(answer, _)| discriminant(answer)).collect();
    assert_eq!(kinds.len(), KINDS, "every kind of answer was given");
    for pkcs8 in made.iter().map(Vec::as_slice).chain([ca.key.serialized_der(), next.key.serialized_der()]) {
        enclave.assert_silent_about(pkcs8, &scalar(pkcs8));
    }
}
