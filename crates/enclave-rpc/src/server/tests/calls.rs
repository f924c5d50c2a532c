use super::fixture::{FixtureHandler, FixtureServer, WAIT, calling, code, destroy, is_identity, options};
use crate::server::{Handler, Server};
use crate::{
    BeginProvisioning, CaSubject, Client, GenerateCa, Health, Issue, RefusalCode, Request, Response, codec,
};
use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[test]
fn answers_overtake_one_another_on_one_connection() {
    let server = FixtureServer::start(options(2, 8), 0);
    let client = server.client();
    let slow = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    assert!(!slow.is_finished());
    server.gate.send(()).unwrap();
    assert_eq!(slow.join().unwrap().unwrap(), Response::Destroyed);
}

#[test]
fn offers_have_a_thread_of_their_own() {
    let server = FixtureServer::start(options(1, 8), 0);
    let client = server.client();
    let blocked = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
    assert_eq!(client.call(Request::BeginProvisioning(begin), WAIT).unwrap(), Response::Destroyed);
    assert_eq!(server.entered(), "rpc-offers");
    assert!(!blocked.is_finished());
}

#[test]
fn review_l8_an_offer_that_hangs_holds_up_neither_signing_nor_keys_of_cas() {
    let server = FixtureServer::start(options(1, 8), 0);
    let client = server.client();
    let begin = BeginProvisioning { issuer_uid: "hangs".into(), nonce: vec![0; 32].into(), renewal: false };
    let hangs = calling(&client, Request::BeginProvisioning(begin));
    assert_eq!(server.entered(), "rpc-offers");
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    let generate = GenerateCa {
        issuer_uid: "b".into(),
        subject: CaSubject::default(),
        key_algorithm: String::new(),
        lifetime: 0,
        path_length: None,
        now: 0,
        policy: None,
    };
    assert_eq!(client.call(Request::GenerateCa(generate), WAIT).unwrap(), Response::Destroyed);
    assert_eq!(server.entered(), "rpc-ca-keys");
    assert!(!hangs.is_finished());
    server.gate.send(()).unwrap();
    assert_eq!(hangs.join().unwrap().unwrap(), Response::Destroyed);
}

#[test]
fn a_panic_answers_internal_and_the_worker_lives() {
    let server = FixtureServer::start(options(1, 8), 0);
    let client = server.client();
    for _ in 0..3 {
        let issue = Issue {
            issuer_uid: String::new(),
            request: vec![].into(),
            request_api: crate::RequestApi::KubernetesCsr,
            usages: vec![],
            lifetime: None,
            now: 0,
            policy: None,
            is_ca: false,
        };
        assert_eq!(code(client.call(Request::Issue(issue), WAIT).unwrap()), RefusalCode::Internal);
    }
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn large_answers_arrive_whole_when_the_client_reads_late() {
    let server = FixtureServer::start(options(1, 8), 1 << 20);
    let mut late = server.raw();
    late.write_all(&codec::encode(1, &Request::Health(Health::default())).unwrap()).unwrap();
    late.write_all(&codec::encode(2, &Request::Identity).unwrap()).unwrap();
    // The answer to another client proves that the worker has finished with both.
    server.client().call(Request::Identity, WAIT).unwrap();
    let first = codec::read(&mut late, WAIT).unwrap().unwrap();
    assert_eq!(first.id, 1);
    let Response::Health(report) = codec::decode(&first.body).unwrap() else { panic!() };
    assert_eq!(report.boot_id.len(), 1 << 20);
    assert_eq!(codec::read(&mut late, WAIT).unwrap().unwrap().id, 2);
}

#[test]
fn an_answer_that_fits_no_frame_becomes_internal() {
    let server = FixtureServer::start(options(1, 8), codec::MAX_FRAME);
    let client = server.client();
    assert_eq!(code(client.call(Request::Health(Health::default()), WAIT).unwrap()), RefusalCode::Internal);
}

#[test]
fn the_end_of_the_server_ends_pending_calls_at_once() {
    let mut server = FixtureServer::start(options(1, 8), 0);
    let client = server.client();
    let in_flight = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    let watcher = {
        let client = Arc::clone(&client);
        thread::spawn(move || client.wait_closed())
    };
    assert!(!client.is_closed());
    server.handle.stop();
    assert_eq!(in_flight.join().unwrap().unwrap_err().code(), "Disconnected");
    watcher.join().unwrap();
    assert!(client.is_closed());
    assert_eq!(client.call(Request::Identity, WAIT).unwrap_err().code(), "Disconnected");
    server.gate.send(()).unwrap();
    server.stop();
    assert!(!server.path().exists());
}

#[test]
fn a_late_answer_is_a_timeout_for_one_call_only() {
    let server = FixtureServer::start(options(2, 8), 0);
    let client = server.client();
    let patient = calling(&client, destroy("patient"));
    assert_eq!(server.entered(), "patient");
    assert_eq!(client.call(destroy("hasty"), Duration::ZERO).unwrap_err().code(), "Timeout");
    assert_eq!(server.entered(), "hasty");
    server.gate.send(()).unwrap();
    server.gate.send(()).unwrap();
    assert_eq!(patient.join().unwrap().unwrap(), Response::Destroyed);
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn tcp_works_on_loopback_with_a_port_of_the_kernels_choice() {
    let server = Server::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
    let (endpoint, handle) = (server.endpoint().clone(), server.handle());
    let (entered, _) = channel();
    let (_, gate) = channel();
    let handler: Arc<dyn Handler> =
        Arc::new(FixtureHandler { entered: Mutex::new(entered), gate: Mutex::new(gate), answer_size: 3 });
    let thread = thread::spawn(move || server.run(&handler, &options(1, 8)).unwrap());
    let client = Client::connect(&endpoint, WAIT).unwrap();
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    handle.stop();
    thread.join().unwrap();
    client.wait_closed();
}

#[test]
fn many_threads_share_a_client() {
    let server = FixtureServer::start(options(2, 256), 3);
    let client = server.client();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
                    let health = client.call(Request::Health(Health::default()), WAIT).unwrap();
                    assert!(matches!(health, Response::Health(_)));
                }
            });
        }
    });
}
