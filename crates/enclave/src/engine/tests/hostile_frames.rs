//! A controller that is hostile on the wire: it sends whole, cut, changed, oversized and replayed frames over
//! a real socket. Whatever it gets signed is inside the policy, and an honest client is served afterwards.

use super::fixture::{NOW, TestCa, csr, issue, sealing_engine, self_signed};
use super::hostile::Fixed;
use super::hostile_checks::check_issued;
use crate::Engine;
use rcgen::{DnType, SanType};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tcs_enclave_rpc::{
    BeginProvisioning, ByteVec, Client, CompleteProvisioning, Destroy, Endpoint, GenerateCa, Handler, Health,
    Issue, Issued, Policy, RenewCa, Request, RequestApi, Response, Restore, Seal, Server, ServerHandle,
    ServerOptions, Texts,
};

const WAIT: Duration = Duration::from_mins(1);

/// The engine, and what it did: one call at a time, so that the test knows which CA signed what.
struct Watched {
    engine: Engine,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    fixed: Fixed,
    /// What was fixed for the CA that each issuer holds.
    policies: HashMap<String, Option<Policy>>,
    issued: Vec<(Issue, Issued)>,
}

impl Handler for Watched {
    fn handle(&self, request: Request) -> Response {
        let mut seen = self.seen.lock().unwrap();
        let response = self.engine.handle(request.clone());
        if let Response::Provisioned(ca) = &response {
            let (issuer, policy) = match &request {
                Request::GenerateCa(request) => (&request.issuer_uid, request.policy.clone()),
                Request::RenewCa(request) => {
                    (&request.issuer_uid, seen.policies[&request.issuer_uid].clone())
                }
                // The sealed blob of a key; the fingerprint tells whose key it is.
                Request::Restore(request) => (
                    &request.issuer_uid,
                    seen.fixed.get(&ca.fingerprint.to_vec()).and_then(|(_, p)| p.clone()),
                ),
                Request::CompleteProvisioning(request) => (&request.issuer_uid, None),
                _ => panic!("{request:?}"),
            };
            seen.policies.insert(issuer.clone(), policy.clone());
            seen.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy));
        }
        if let (Request::Issue(request), Response::Issued(issued)) = (request, &response) {
            seen.issued.push((request, issued.clone()));
        }
        response
    }
}

fn frame(id: u64, request: &Request) -> Vec<u8> {
    let body = minicbor::to_vec(request).unwrap();
    let length = u32::try_from(body.len() + 9).unwrap().to_be_bytes();
    [length.as_slice(), &[1], &id.to_be_bytes(), &body].concat()
}

/// Requests for more than is allowed, and some that are allowed.
fn requests(watched: &Watched) -> Vec<Request> {
    let texts = |text: &str| Some(Texts(vec![text.to_owned()]));
    let narrow =
        Policy { dns_names: texts("**.mesh.example"), common_names: texts("*"), ..Policy::default() };
    let wide = Policy { dns_names: texts("**.example"), common_names: texts("*"), ..Policy::default() };
    let named = |name: &'static str| {
        csr(|params| params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())])
    };
    let mut all = vec![
        Request::GenerateCa(GenerateCa { policy: Some(narrow.clone()), ..self_signed("one") }),
        Request::GenerateCa(GenerateCa { policy: Some(wide.clone()), ..self_signed("one") }),
        Request::GenerateCa(GenerateCa { path_length: None, ..self_signed("two") }),
        Request::RenewCa(RenewCa { issuer_uid: "one".into(), new_key: None, lifetime: 86_400, now: NOW }),
        Request::Seal(Seal { issuer_uid: "one".into() }),
        Request::Health(Health::default()),
        Request::Identity,
    ];
    for uid in ["one", "two"] {
        for request in [
            named("a.mesh.example"),
            named("bank.example"),
            csr(|params| params.distinguished_name.push(DnType::OrganizationName, "system:masters")),
            csr(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        ] {
            let policy = Some(Policy { ca_depth: Some(6), ..Policy::default() });
            let usages = vec!["cert sign".into()];
            all.push(Request::Issue(Issue { is_ca: true, usages, policy, ..issue(uid, request.clone()) }));
            for policy in [None, Some(wide.clone()), Some(narrow.clone())] {
                for request_api in
                    [RequestApi::KubernetesCsr, RequestApi::CertManager, RequestApi::PodCertificate]
                {
                    let request = issue(uid, request.clone());
                    all.push(Request::Issue(Issue {
                        policy: policy.clone(),
                        request_api,
                        lifetime: Some(7200),
                        ..request
                    }));
                }
            }
        }
    }
    // A blob of issuer `one`, sent for both issuers, and the offer of another issuer, sent for `one`.
    let Response::Sealed(sealed) = watched.handle(Request::Seal(Seal { issuer_uid: "one".into() })) else {
        panic!()
    };
    let begin = BeginProvisioning {
        issuer_uid: "three".into(),
        nonce: super::fixture::NONCE.to_vec().into(),
        renewal: false,
    };
    let Response::Offer(offer) = watched.handle(Request::BeginProvisioning(begin.clone())) else { panic!() };
    let delivery = TestCa::new().delivery("three", &offer);
    for uid in ["one", "two", "three"] {
        all.push(Request::Restore(Restore { issuer_uid: uid.into(), blob: sealed.blob.clone(), now: NOW }));
        all.push(Request::CompleteProvisioning(CompleteProvisioning {
            issuer_uid: uid.into(),
            ..delivery.clone()
        }));
        all.push(Request::BeginProvisioning(BeginProvisioning {
            issuer_uid: uid.into(),
            renewal: true,
            ..begin.clone()
        }));
    }
    all.push(Request::Destroy(Destroy { issuer_uid: "one".into() }));
    all
}

/// Writes frames and reads the answers: until the server closes the connection or, if the frames are whole,
/// until the answer to the last one.
fn send(path: &Path, bytes: &[u8], whole: bool) -> usize {
    const LAST: u64 = 0x5aa5_5aa5_5aa5_5aa5;
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let last = if whole { frame(LAST, &Request::Identity) } else { Vec::new() };
    let _ = stream.write_all(bytes).and_then(|()| stream.write_all(&last));
    if !whole {
        // A frame that is never finished would keep the connection open until the server's time limit.
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let (mut answers, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(1..) = stream.read(&mut part).inspect(|count| answers.extend_from_slice(&part[..*count])) {
        if whole && answers.windows(8).any(|window| window == LAST.to_be_bytes()) {
            break;
        }
    }
    answers.len()
}

struct Stop(ServerHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[test]
fn x02_no_frame_whole_broken_or_replayed_yields_a_certificate_outside_the_policy() {
    let watched = Arc::new(Watched { engine: sealing_engine(1, 1), seen: Mutex::default() });
    let texts = |text: &str| Some(Texts(vec![text.to_owned()]));
    let fixed = Policy { dns_names: texts("**.mesh.example"), common_names: texts("*"), ..Policy::default() };
    watched.handle(Request::GenerateCa(GenerateCa { policy: Some(fixed), ..self_signed("one") }));
    let deep = GenerateCa { path_length: None, ..self_signed("two") };
    watched.handle(Request::GenerateCa(deep));
    let frames: Vec<Vec<u8>> =
        (1u64..).zip(requests(&watched)).map(|(id, request)| frame(id, &request)).collect();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let server = Server::bind(&Endpoint::Unix(path.clone())).unwrap();
    let (endpoint, handle) = (server.endpoint().clone(), server.handle());
    let handler: Arc<dyn Handler> = Arc::clone(&watched) as Arc<dyn Handler>;
    let options = ServerOptions { workers: 2, ..ServerOptions::default() };
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| server.run(&handler, &options));
        // This is also needed if an assertion fails: otherwise the scope would wait for the server for ever.
        let stop = Stop(handle);
        let mut numbers = 7u64;
        let mut below = |bound: usize| {
            numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(numbers >> 33).unwrap() % bound
        };
        let mut answered = 0;
        for _ in 0..300 {
            let (mut bytes, mut whole) = (Vec::new(), true);
            for _ in 0..6 {
                // Any frame may be sent again, as a replay.
                let mut next = frames[below(frames.len())].clone();
                let at = below(next.len());
                let kind = below(24);
                whole &= kind > 3;
                match kind {
                    0 => next[at] ^= 1 << below(8),
                    1 => next.truncate(at),
                    2 => next.splice(at..at, [0u8; 3]).for_each(drop),
                    3 => next[..4].copy_from_slice(&[u32::MAX, 1 << 24, 8, 0][below(4)].to_be_bytes()),
                    _ => {}
                }
                bytes.extend(next);
            }
            answered += send(&path, &bytes, whole);
        }
        // More than a frame may contain, with a correct length.
        let long = Request::Restore(Restore {
            issuer_uid: "one".into(),
            blob: ByteVec::from(vec![0; 2 << 20]),
            now: NOW,
        });
        send(&path, &frame(1, &long), false);
        assert!(answered > 1000, "{answered}");

        let client = Client::connect(&endpoint, WAIT).unwrap();
        let deadline = Instant::now() + WAIT;
        // Requests that hostile connections left in the queue are answered first.
        while !matches!(client.call(Request::Identity, WAIT), Ok(Response::Identity(_))) {
            assert!(Instant::now() < deadline, "it does not serve on");
            std::thread::yield_now();
        }
        drop(client);
        drop(stop);
        serving.join().unwrap().unwrap();
    });

    let seen = watched.seen.lock().unwrap();
    assert!(seen.issued.len() > 40, "{}", seen.issued.len());
    for (request, issued) in &seen.issued {
        let (ca, fixed) = &seen.fixed[&issued.ca_fingerprint.to_vec()];
        check_issued(issued, ca, fixed.as_ref(), request);
    }
}
