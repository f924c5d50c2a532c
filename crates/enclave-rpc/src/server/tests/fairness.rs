use super::fixture::{FixtureServer, WAIT, calling, closes, code, destroy, health, is_identity, options};
use crate::endpoint::Stream;
use crate::server::ServerOptions;
use crate::server::connection::Connections;
use crate::server::reader::run_reader;
use crate::server::worker::Queues;
use crate::{BeginProvisioning, Health, RefusalCode, Request, Response, codec};
use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

#[test]
fn a_full_queue_answers_busy_and_recovers() {
    let server = FixtureServer::start(options(1, 1), 0);
    let client = server.client();
    let in_flight = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    // One waits, and one is too many. The scheduler decides which of the two waits.
    let (answers_in, answers) = channel();
    let calls: Vec<_> = ["b", "c"]
        .map(|uid| {
            let (client, answers) = (Arc::clone(&client), answers_in.clone());
            thread::spawn(move || answers.send(client.call(destroy(uid), WAIT).unwrap()).unwrap())
        })
        .into();
    assert_eq!(code(answers.recv_timeout(WAIT).unwrap()), RefusalCode::Busy);
    server.gate.send(()).unwrap();
    server.gate.send(()).unwrap();
    assert_eq!(answers.recv_timeout(WAIT).unwrap(), Response::Destroyed);
    assert_eq!(in_flight.join().unwrap().unwrap(), Response::Destroyed);
    for call in calls {
        call.join().unwrap();
    }
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn silent_and_halting_clients_do_not_block_others() {
    let server = FixtureServer::start(options(1, 8), 0);
    let _silent = server.raw();
    let mut halting = server.raw();
    halting.write_all(&[0, 0, 1]).unwrap();
    assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_blocks_nobody() {
    let server = FixtureServer::start(options(1, 8), 1 << 20);
    let mut deaf = server.raw();
    let frame = codec::encode(1, &Request::Health(Health::default())).unwrap();
    // The only worker would block here, at the latest when the socket's buffer is full.
    while deaf.write_all(&frame).is_ok() {
        let answer = server.client().call(Request::Identity, WAIT).unwrap();
        assert!(is_identity(&answer) || code(answer) == RefusalCode::Busy);
    }
}

/// Connections that never sent a request are closed first, then those that have been silent longest, and
/// never those with requests in flight.
#[test]
fn silent_clients_give_way_and_working_ones_keep_their_place() {
    let server = FixtureServer::start(ServerOptions { connections: 3, ..options(2, 8) }, 0);
    let speaks = || {
        let client = server.client();
        assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
        client
    };
    let once = speaks();
    let working = server.client();
    let in_flight = calling(&working, destroy("a"));
    assert_eq!(server.entered(), "a");
    let mut silent = server.raw();
    silent.set_read_timeout(Some(WAIT)).unwrap();
    let third = speaks();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "the one that never spoke was dropped");
    let _fourth = speaks();
    closes(&once);
    let _fifth = speaks();
    closes(&third);
    server.gate.send(()).unwrap();
    assert_eq!(in_flight.join().unwrap().unwrap(), Response::Destroyed, "the working one was not");
}

/// As many clients as there are places send one request each and are then silent. Others are served
/// nevertheless.
#[test]
fn clients_that_sent_one_request_shut_nobody_out() {
    let server = FixtureServer::start(ServerOptions { connections: 4, ..options(1, 8) }, 0);
    let silent: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &silent {
        assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    }
    for _ in 0..8 {
        assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
    }
}

/// A client that connects, sends requests and leaves does not delay others afterwards.
#[test]
fn clients_that_send_requests_and_go_leave_nothing_behind() {
    let connections = Connections::new(1);
    let queues = Queues::new(8, 8);
    let (mut client, server) = UnixStream::pair().unwrap();
    let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
    for request in [Request::Identity, Request::BeginProvisioning(begin)] {
        client.write_all(&codec::encode(1, &request).unwrap()).unwrap();
    }
    drop(client);
    let connection = connections.admit(Stream::Unix(server)).unwrap();
    run_reader(&connection, &connections, &queues);
    assert!(queues.quick.try_pop().is_none() && queues.offers.try_pop().is_none());
    let (_client, server) = UnixStream::pair().unwrap();
    assert!(connections.admit(Stream::Unix(server)).is_some(), "its place is free");
}

/// An answer that waits for others, or for its client to read, is not discarded for a new client.
#[test]
fn a_connection_with_an_unread_response_keeps_its_place() {
    let connections = Connections::new(1);
    let (mut client, server) = UnixStream::pair().unwrap();
    let owed = connections.admit(Stream::Unix(server)).unwrap();
    let newcomer = || connections.admit(Stream::Unix(UnixStream::pair().unwrap().1)).is_some();
    let long = health(1 << 20);
    owed.hold(1, &Response::Health(long));
    assert!(!newcomer(), "it is held");
    owed.release();
    // More than the socket accepts at once: a thread waits for the client to read.
    for _ in 0..1000 {
        assert!(!newcomer(), "it is on its way");
        thread::yield_now();
    }
    assert_eq!(codec::read(&mut client, WAIT).unwrap().unwrap().id, 1);
    let deadline = Instant::now() + WAIT;
    while !newcomer() {
        assert!(Instant::now() < deadline, "it is never idle again");
        thread::yield_now();
    }
}

/// One client keeps the queue full, with fast or with slow requests. Another is served, and is never answered
/// `Busy`.
#[test]
fn a_flooding_client_delays_only_itself() {
    let begin = || {
        let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
        Request::BeginProvisioning(begin)
    };
    let identity = || Request::Identity;
    for make in [&identity as &dyn Fn() -> Request, &begin] {
        let server = FixtureServer::start(ServerOptions { slow_queue: 8, ..options(1, 8) }, 0);
        let mut flooding = server.raw();
        flooding.set_read_timeout(Some(WAIT)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let frames: Vec<u8> = (0..64).flat_map(|id| codec::encode(id, &make()).unwrap()).collect();
        let (mut reading, stopping) = (BufReader::new(flooding.try_clone().unwrap()), Arc::clone(&stop));
        let reader = thread::spawn(move || {
            let mut busy = 0;
            while let Ok(Some(frame)) = codec::read(&mut reading, WAIT) {
                let response: Response = codec::decode(&frame.body).unwrap();
                busy += usize::from(matches!(response, Response::Refused(_)));
            }
            busy
        });
        let writer = thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) && flooding.write_all(&frames).is_ok() {}
            flooding.shutdown(std::net::Shutdown::Both).unwrap();
        });
        let client = server.client();
        for _ in 0..50 {
            let answer = client.call(make(), WAIT).unwrap();
            assert!(!matches!(answer, Response::Refused(_)), "{answer:?}");
        }
        assert!(!writer.is_finished(), "it floods all the time");
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert!(reader.join().unwrap() > 0, "it did flood");
    }
}
