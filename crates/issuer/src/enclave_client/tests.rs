use super::*;
use crate::runtime::lease::boot_time::BootTime;
use futures::{SinkExt as _, StreamExt as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use tcs_enclave_rpc::{Handler, HealthReport, Server, ServerOptions, codec};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

#[test]
fn the_fixed_nonce_counts_from_00_to_1f() {
    let counted: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    assert_eq!(fixed_nonce().as_slice(), counted);
}

#[test]
fn review_l8_readiness_tells_what_is_overdue() {
    let reasons = |overdue_offers, overdue_ca_keys| {
        let health = EnclaveHealth { overdue_offers, overdue_ca_keys, ..EnclaveHealth::default() };
        health.reasons().join("\n")
    };
    assert_eq!(reasons(0, 0), "");
    let (offers, keys) = (reasons(3, 0), reasons(0, 2));
    assert!(offers.starts_with("overdue offers: 3;") && offers.contains("quotes on the node"), "{offers}");
    assert!(keys.starts_with("overdue CA keys: 2;") && !keys.contains("quotes"), "{keys}");
    assert_eq!(reasons(3, 2), format!("{offers}\n{keys}"));
}

/// Counts what it is asked to destroy.
#[derive(Default)]
struct Counting(AtomicU32);

impl Handler for Counting {
    fn handle(&self, request: Request) -> Response {
        match request {
            Request::Identity => Response::Identity(identity()),
            Request::Health(_) => Response::Health(report()),
            _ => {
                self.0.fetch_add(1, Ordering::Relaxed);
                Response::Destroyed
            }
        }
    }
}

#[tokio::test]
async fn a_controller_that_does_not_lead_has_the_enclave_change_nothing() {
    let server = Server::bind(&Endpoint::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let (endpoint, handle) = (server.endpoint().clone(), server.handle());
    let counting = Arc::new(Counting::default());
    let handler: Arc<dyn Handler> = Arc::clone(&counting) as _;
    let serving = std::thread::spawn(move || server.run(&handler, &ServerOptions::default()));
    let leadership = Leadership::default();
    let connected = connect(&endpoint, &leadership, CALL_TIMEOUT).await.unwrap();
    assert!(connected.holdings().await.unwrap().is_empty(), "it may ask what is there");
    for _ in 0..2 {
        let refused = connected.destroy("u").await;
        assert!(matches!(refused, Err(EnclaveError::NotLeading(_))), "{refused:?}");
        let refused = connected.offer("u", false).await;
        assert!(matches!(refused, Err(EnclaveError::NotLeading(_))), "{refused:?}");
        // A leader whose time is over.
        leadership.extend(BootTime::now());
    }
    assert_eq!(counting.0.load(Ordering::Relaxed), 0);
    leadership.extend(BootTime::now().after(Duration::from_mins(1)));
    connected.destroy("u").await.unwrap();
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    connected.connection.close();
    handle.stop();
    serving.join().unwrap().unwrap();
}

/// A reconcile waits for an enclave that is starting, and must not miss it.
#[tokio::test(start_paused = true)]
async fn the_pause_before_the_next_attempt_to_connect_grows_when_nobody_waits_any_more() {
    let absence = Absence { since: Some(Instant::now()), is_logged: false };
    let (mut pause, mut pauses) = (RECONNECT_PAUSE, Vec::new());
    while pauses.len() < 31 {
        pause = absence.pause_after(pause);
        tokio::time::advance(pause).await;
        pauses.push(pause.as_millis());
    }
    assert_eq!(pauses[..25], [200; 25], "five seconds");
    assert_eq!(pauses[25..], [400, 800, 1600, 3000, 3000, 3000]);
    assert_eq!(Absence::default().pause_after(LONGEST_PAUSE), RECONNECT_PAUSE);
}

fn identity() -> Identity {
    Identity {
        boot_id: ByteVec::from(vec![]),
        version: String::new(),
        platform: "test".into(),
        simulated: true,
        evidence_kind: String::new(),
        assurance: String::new(),
        sealing: false,
    }
}

fn report() -> HealthReport {
    HealthReport {
        boot_id: ByteVec::from(vec![]),
        issuers: Vec::new(),
        overdue_offers: 0,
        overdue_ca_keys: 0,
    }
}

/// Answers nothing at first.
struct Hung(Mutex<Receiver<()>>);

impl Handler for Hung {
    fn handle(&self, _: Request) -> Response {
        // Until the other end is dropped.
        let _ = self.0.lock().unwrap().recv();
        Response::Health(report())
    }
}

#[tokio::test]
async fn an_enclave_that_answers_nothing_is_silent_until_it_answers() {
    let (until, hangs) = std::sync::mpsc::channel();
    let server = Server::bind(&Endpoint::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let (endpoint, handle) = (server.endpoint().clone(), server.handle());
    let hung: Arc<dyn Handler> = Arc::new(Hung(Mutex::new(hangs)));
    let serving = std::thread::spawn(move || server.run(&hung, &ServerOptions::default()));
    let connection = Connection::open(&endpoint, CONNECT_TIMEOUT).await.unwrap();
    let (sender, mut health) = watch::channel(EnclaveHealth::default());
    let probes = Probes { pause: Duration::from_millis(1), timeout: Duration::from_millis(50), ..PROBES };
    let probing = async { keep_probing(&connection, &sender, probes).await };
    let watching = async {
        assert!(health.wait_for(|health| health.is_silent).await.unwrap().reasons()[0].contains("answer"));
        // It works through everything that it was asked.
        drop(until);
        assert_eq!(*health.wait_for(|health| !health.is_silent).await.unwrap(), EnclaveHealth::default());
    };
    let deadline = tokio::time::sleep(Duration::from_mins(1));
    tokio::select! { () = probing => {}, () = watching => {}, () = deadline => panic!("nothing changes") }
    connection.close();
    handle.stop();
    serving.join().unwrap().unwrap();
}

/// As a process that is stopped: its system accepts connections, and nobody reads.
#[tokio::test]
async fn case_9_7_an_enclave_that_accepts_connections_and_says_nothing_hangs() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let probes = Probes { identity: Duration::from_millis(50), ..PROBES };
    let mut link = EnclaveLink::start_with(endpoint, Leadership::default(), stop.clone(), probes);
    assert_eq!(link.hangs(), None, "nothing is known yet");
    let deadline = Duration::from_mins(1);
    tokio::time::timeout(deadline, link.health_changed()).await.unwrap();
    assert!(link.hangs().unwrap().contains("container tcs-enclave"));
    assert_eq!(link.problems(), [SILENT]);
    // Then it ends. One that is started again does not listen at first, and that is no reason to end it.
    drop(listener);
    tokio::time::timeout(deadline, link.health_changed()).await.unwrap();
    assert_eq!(link.hangs(), None);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn case_9_7_an_absent_enclave_is_one_line_after_five_seconds_that_names_its_address() {
    let lines = crate::runtime::log::tests::Lines::default();
    let _log = tracing::subscriber::set_default(crate::runtime::log::tests::text_subscriber("info", &lines));
    let endpoint = Endpoint::Tcp("127.0.0.1:7443".parse().unwrap());
    let refused =
        || EnclaveError::Connection(ClientError::Io(std::io::Error::from(ErrorKind::ConnectionRefused)));
    let mut absence = Absence::default();
    for _ in 0..25 {
        absence.note(&endpoint, &refused());
        tokio::time::advance(RECONNECT_PAUSE).await;
    }
    assert_eq!(lines.text(), "");
    for _ in 0..100 {
        absence.note(&endpoint, &refused());
        tokio::time::advance(RECONNECT_PAUSE).await;
    }
    let text = lines.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in ["127.0.0.1:7443", "connection refused", "logs of container tcs-enclave"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Each answer comes after its question was given up. An enclave that certificates come from must not be
/// ended.
#[tokio::test(start_paused = true)]
async fn case_9_7_an_enclave_that_answers_late_is_not_silent() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let (read, write) = tokio::io::split(ours);
    let connection = Connection::over(read, write);
    let (sender, health) = watch::channel(EnclaveHealth::default());
    let answering = async {
        let codec = LengthDelimitedCodec::builder().max_frame_length(codec::MAX_FRAME).new_codec();
        let mut frames = Framed::new(theirs, codec);
        for _ in 0..10 {
            let question = frames.next().await.unwrap().unwrap();
            let (id, _) = codec::split(&question).unwrap();
            tokio::time::sleep(PROBES.timeout + Duration::from_millis(500)).await;
            let answer = codec::encode(id, &Response::Health(report())).unwrap();
            // The codec writes the length itself.
            frames.send(&answer[4..]).await.unwrap();
            assert!(!health.borrow().is_silent);
        }
    };
    tokio::select! { () = keep_probing(&connection, &sender, PROBES) => {}, () = answering => {} }
}
