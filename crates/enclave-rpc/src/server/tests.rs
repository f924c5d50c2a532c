use super::*;
use crate::endpoint::Stream;
use crate::{BeginProvisioning, Client, ClientError, Destroy, Health, HealthReport, Identity, Issue};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

const WAIT: Duration = Duration::from_mins(1);

/// Answers by what it is asked: `Destroy` waits until the test opens the gate, `Issue` panics.
struct Scripted {
    entered: Mutex<Sender<String>>,
    gate: Mutex<Receiver<()>>,
    answer_size: usize,
}

impl Handler for Scripted {
    fn handle(&self, request: Request) -> Response {
        match request {
            Request::Destroy(Destroy { issuer_uid }) => {
                self.entered.lock().unwrap().send(issuer_uid).unwrap();
                self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
                Response::Destroyed
            }
            Request::BeginProvisioning(_) => {
                self.entered.lock().unwrap().send(thread::current().name().unwrap().to_owned()).unwrap();
                Response::Destroyed
            }
            Request::Health(_) => {
                Response::Health(HealthReport { boot_id: vec![0; self.answer_size].into(), issuers: vec![] })
            }
            Request::Identity => Response::Identity(Identity {
                boot_id: vec![1; 16].into(),
                version: String::new(),
                platform: String::new(),
                simulated: true,
                evidence_kind: String::new(),
                assurance: String::new(),
                sealing: false,
            }),
            _ => panic!("as the test asks"),
        }
    }
}

struct Running {
    endpoint: Endpoint,
    handle: ServerHandle,
    thread: Option<thread::JoinHandle<()>>,
    entered: Receiver<String>,
    gate: Sender<()>,
    _dir: tempfile::TempDir,
}

impl Running {
    fn start(options: ServerOptions, answer_size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(&Endpoint::Unix(dir.path().join("s"))).unwrap();
        let (entered_in, entered) = channel();
        let (gate, gate_out) = channel();
        let handler: Arc<dyn Handler> =
            Arc::new(Scripted { entered: Mutex::new(entered_in), gate: Mutex::new(gate_out), answer_size });
        let (endpoint, handle) = (server.endpoint().clone(), server.handle());
        let thread = thread::spawn(move || server.run(&handler, &options).unwrap());
        Self { endpoint, handle, thread: Some(thread), entered, gate, _dir: dir }
    }

    fn client(&self) -> Arc<Client> {
        Arc::new(Client::connect(&self.endpoint, WAIT).unwrap())
    }

    fn path(&self) -> PathBuf {
        let Endpoint::Unix(path) = &self.endpoint else { unreachable!() };
        path.clone()
    }

    fn raw(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    fn entered(&self) -> String {
        self.entered.recv_timeout(WAIT).unwrap()
    }

    fn stop(&mut self) {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Workers may still wait at the gate.
            for _ in 0..64 {
                let _ = self.gate.send(());
            }
            self.stop();
        }
    }
}

fn options(workers: usize, queue: usize) -> ServerOptions {
    ServerOptions { workers, queue, ..ServerOptions::default() }
}

fn destroy(uid: &str) -> Request {
    Request::Destroy(Destroy { issuer_uid: uid.to_owned() })
}

fn calling(client: &Arc<Client>, request: Request) -> thread::JoinHandle<Result<Response, ClientError>> {
    let client = Arc::clone(client);
    thread::spawn(move || client.call(request, WAIT))
}

fn code(response: Response) -> RefusalCode {
    let Response::Refused(refusal) = response else { panic!("not refused: {response:?}") };
    refusal.code
}

fn is_identity(response: &Response) -> bool {
    matches!(response, Response::Identity(_))
}

fn closes(client: &Client) {
    let deadline = Instant::now() + WAIT;
    while !client.is_closed() {
        assert!(Instant::now() < deadline, "it keeps its place");
        thread::yield_now();
    }
}

#[test]
fn answers_overtake_one_another_on_one_connection() {
    let server = Running::start(options(2, 8), 0);
    let client = server.client();
    let slow = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    assert!(!slow.is_finished());
    server.gate.send(()).unwrap();
    assert_eq!(slow.join().unwrap().unwrap(), Response::Destroyed);
}

#[test]
fn a_full_queue_answers_busy_and_recovers() {
    let server = Running::start(options(1, 1), 0);
    let client = server.client();
    let in_work = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    // One waits, one is too much; which of the two is which is the scheduler's choice.
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
    assert_eq!(in_work.join().unwrap().unwrap(), Response::Destroyed);
    for call in calls {
        call.join().unwrap();
    }
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn key_generation_has_a_thread_of_its_own() {
    let server = Running::start(options(1, 8), 0);
    let client = server.client();
    let blocked = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
    assert_eq!(client.call(Request::BeginProvisioning(begin), WAIT).unwrap(), Response::Destroyed);
    assert_eq!(server.entered(), "rpc-slow");
    assert!(!blocked.is_finished());
}

#[test]
fn a_panic_answers_internal_and_the_worker_lives() {
    let server = Running::start(options(1, 8), 0);
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
fn silent_and_halting_clients_do_not_block_others() {
    let server = Running::start(options(1, 8), 0);
    let _silent = server.raw();
    let mut halting = server.raw();
    halting.write_all(&[0, 0, 1]).unwrap();
    assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_blocks_nobody() {
    let server = Running::start(options(1, 8), 1 << 20);
    let mut deaf = server.raw();
    let frame = codec::encode(1, &Request::Health(Health::default())).unwrap();
    // The one worker would hang here at the latest after the socket's buffer is full.
    while deaf.write_all(&frame).is_ok() {
        let answer = server.client().call(Request::Identity, WAIT).unwrap();
        assert!(is_identity(&answer) || code(answer) == RefusalCode::Busy);
    }
}

#[test]
fn large_answers_arrive_whole_when_the_client_reads_late() {
    let server = Running::start(options(1, 8), 1 << 20);
    let mut late = server.raw();
    late.write_all(&codec::encode(1, &Request::Health(Health::default())).unwrap()).unwrap();
    late.write_all(&codec::encode(2, &Request::Identity).unwrap()).unwrap();
    // Another client's answer proves that the worker is through with both.
    server.client().call(Request::Identity, WAIT).unwrap();
    let first = codec::read(&mut late, WAIT).unwrap().unwrap();
    assert_eq!(first.id, 1);
    let Response::Health(report) = codec::decode(&first.body).unwrap() else { panic!() };
    assert_eq!(report.boot_id.len(), 1 << 20);
    assert_eq!(codec::read(&mut late, WAIT).unwrap().unwrap().id, 2);
}

#[test]
fn an_answer_that_fits_no_frame_becomes_internal() {
    let server = Running::start(options(1, 8), codec::MAX_FRAME);
    let client = server.client();
    assert_eq!(code(client.call(Request::Health(Health::default()), WAIT).unwrap()), RefusalCode::Internal);
}

#[test]
fn malformed_frames_are_answered_and_the_connection_is_dropped() {
    let server = Running::start(options(1, 8), 0);
    let good = codec::encode(9, &Request::Identity).unwrap();
    let mut other_version = good.clone();
    other_version[4] = 2;
    let mut too_long = good.clone();
    too_long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    for bad in [other_version, too_long] {
        let mut stream = server.raw();
        stream.write_all(&bad).unwrap();
        let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
        assert_eq!(answer.id, 9);
        assert_eq!(code(codec::decode(&answer.body).unwrap()), RefusalCode::MalformedMessage);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "dropped");
    }
    let mut stream = server.raw();
    stream.write_all(&[0, 0, 0, 3, 1, 1, 1]).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "no id, no answer");
    assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
}

/// Within a whole frame nothing is out of step. All issuers share a connection, and what one of them asks must not end it for the others.
#[test]
fn what_cannot_be_decoded_costs_its_sender_this_request_only() {
    let server = Running::start(options(1, 8), 0);
    let mut stream = server.raw();
    let mut garbage = codec::encode(9, &Request::Identity).unwrap();
    garbage[13] = 0xff;
    let good = codec::encode(10, &Request::Identity).unwrap();
    stream.write_all(&[garbage, good].concat()).unwrap();
    let refused = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(refused.id, 9);
    assert_eq!(code(codec::decode(&refused.body).unwrap()), RefusalCode::MalformedMessage);
    let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(answer.id, 10);
    assert!(is_identity(&codec::decode(&answer.body).unwrap()));
}

/// One issuer's new rule costs the other issuers nothing: they share the connection.
#[test]
fn review_l3_a_field_that_nobody_knows_is_refused_and_the_connection_stays() {
    let server = Running::start(options(1, 8), 0);
    let mut stream = server.raw();
    // Destroy with a second field.
    let body = [&[0x82, 0x04, 0x81, 0x82, 0x63][..], b"uid", &[0x01]].concat();
    let mut frame = codec::encode(7, &Request::Identity).unwrap();
    frame.truncate(13);
    frame.extend(&body);
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&frame).unwrap();
    let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(answer.id, 7);
    let Response::Refused(refusal) = codec::decode(&answer.body).unwrap() else { panic!("it was done") };
    assert_eq!(refusal.code, RefusalCode::MalformedMessage);
    assert!(refusal.message.contains("same version"), "{refusal}");
    stream.write_all(&codec::encode(8, &Request::Identity).unwrap()).unwrap();
    assert_eq!(codec::read(&mut stream, WAIT).unwrap().unwrap().id, 8);
}

/// Those that never spoke first, then those that have been silent longest; never those with something in work.
#[test]
fn silent_clients_give_way_and_working_ones_keep_their_place() {
    let server = Running::start(ServerOptions { connections: 3, ..options(2, 8) }, 0);
    let speaks = || {
        let client = server.client();
        assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
        client
    };
    let once = speaks();
    let working = server.client();
    let in_work = calling(&working, destroy("a"));
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
    assert_eq!(in_work.join().unwrap().unwrap(), Response::Destroyed, "the working one was not");
}

/// As many clients as there are places speak once and are silent for ever: others are served all the same.
#[test]
fn clients_that_spoke_once_shut_nobody_out() {
    let server = Running::start(ServerOptions { connections: 4, ..options(1, 8) }, 0);
    let silent: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &silent {
        assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    }
    for _ in 0..8 {
        assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
    }
}

/// Whoever connects, asks and goes leaves nothing behind that others would have to wait for.
#[test]
fn clients_that_ask_and_go_leave_nothing_behind() {
    let (connections, quick, slow) = (Connections::new(1), Queue::new(8), Queue::new(8));
    let (mut client, server) = UnixStream::pair().unwrap();
    let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
    for request in [Request::Identity, Request::BeginProvisioning(begin)] {
        client.write_all(&codec::encode(1, &request).unwrap()).unwrap();
    }
    drop(client);
    let connection = connections.admit(Stream::Unix(server)).unwrap();
    attend(&connection, &connections, &quick, &slow);
    assert!(quick.try_pop().is_none() && slow.try_pop().is_none());
    let (_client, server) = UnixStream::pair().unwrap();
    assert!(connections.admit(Stream::Unix(server)).is_some(), "its place is free");
}

/// An answer that waits for others, or for its client to read, is not thrown away for a new client.
#[test]
fn a_connection_that_is_owed_an_answer_keeps_its_place() {
    let connections = Connections::new(1);
    let (mut client, server) = UnixStream::pair().unwrap();
    let owed = connections.admit(Stream::Unix(server)).unwrap();
    let newcomer = || connections.admit(Stream::Unix(UnixStream::pair().unwrap().1)).is_some();
    let long = HealthReport { boot_id: vec![0; 1 << 20].into(), issuers: vec![] };
    owed.hold(1, &Response::Health(long));
    assert!(!newcomer(), "it is held");
    owed.release();
    // More than the socket takes at once: a thread waits for the client to read.
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

/// One client keeps the queue full, of quick or of slow work: another is served, and answered `Busy` never.
#[test]
fn a_flooding_client_waits_for_itself() {
    let begin = || {
        let begin = BeginProvisioning { issuer_uid: "b".into(), nonce: vec![0; 32].into(), renewal: false };
        Request::BeginProvisioning(begin)
    };
    let identity = || Request::Identity;
    for make in [&identity as &dyn Fn() -> Request, &begin] {
        let server = Running::start(ServerOptions { slow_queue: 8, ..options(1, 8) }, 0);
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

#[test]
fn the_end_of_the_server_ends_pending_calls_at_once() {
    let mut server = Running::start(options(1, 8), 0);
    let client = server.client();
    let in_work = calling(&client, destroy("a"));
    assert_eq!(server.entered(), "a");
    let watcher = {
        let client = Arc::clone(&client);
        thread::spawn(move || client.wait_closed())
    };
    assert!(!client.is_closed());
    server.handle.stop();
    assert_eq!(in_work.join().unwrap().unwrap_err().code(), "Disconnected");
    watcher.join().unwrap();
    assert!(client.is_closed());
    assert_eq!(client.call(Request::Identity, WAIT).unwrap_err().code(), "Disconnected");
    server.gate.send(()).unwrap();
    server.stop();
    assert!(!server.path().exists());
}

#[test]
fn a_late_answer_is_a_timeout_for_one_call_only() {
    let server = Running::start(options(2, 8), 0);
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
        Arc::new(Scripted { entered: Mutex::new(entered), gate: Mutex::new(gate), answer_size: 3 });
    let thread = thread::spawn(move || server.run(&handler, &options(1, 8)).unwrap());
    let client = Client::connect(&endpoint, WAIT).unwrap();
    assert!(is_identity(&client.call(Request::Identity, WAIT).unwrap()));
    handle.stop();
    thread.join().unwrap();
    client.wait_closed();
}

#[test]
fn many_threads_share_a_client() {
    let server = Running::start(options(2, 256), 3);
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
