//! A server whose answers a test controls.

use crate::server::{Handler, Server, ServerHandle, ServerOptions};
use crate::{
    BeginProvisioning, Client, ClientError, Destroy, Endpoint, HealthReport, Identity, RefusalCode, Request,
    Response,
};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub const WAIT: Duration = Duration::from_mins(1);

/// `Destroy` and the offer of the issuer `hangs` wait until the test opens the gate; `Issue` panics.
pub struct FixtureHandler {
    pub entered: Mutex<Sender<String>>,
    pub gate: Mutex<Receiver<()>>,
    pub answer_size: usize,
}

impl Handler for FixtureHandler {
    fn handle(&self, request: Request) -> Response {
        match request {
            Request::Destroy(Destroy { issuer_uid }) => {
                self.entered.lock().unwrap().send(issuer_uid).unwrap();
                self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
                Response::Destroyed
            }
            Request::BeginProvisioning(BeginProvisioning { issuer_uid, .. }) => {
                self.entered.lock().unwrap().send(thread::current().name().unwrap().to_owned()).unwrap();
                if issuer_uid == "hangs" {
                    self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
                }
                Response::Destroyed
            }
            Request::GenerateCa(_) => {
                self.entered.lock().unwrap().send(thread::current().name().unwrap().to_owned()).unwrap();
                Response::Destroyed
            }
            Request::Health(_) => Response::Health(health(self.answer_size)),
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

pub struct FixtureServer {
    pub endpoint: Endpoint,
    pub handle: ServerHandle,
    pub thread: Option<thread::JoinHandle<()>>,
    pub entered: Receiver<String>,
    pub gate: Sender<()>,
    _dir: tempfile::TempDir,
}

impl FixtureServer {
    pub fn start(options: ServerOptions, answer_size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(&Endpoint::Unix(dir.path().join("s"))).unwrap();
        let (entered_in, entered) = channel();
        let (gate, gate_out) = channel();
        let handler: Arc<dyn Handler> = Arc::new(FixtureHandler {
            entered: Mutex::new(entered_in),
            gate: Mutex::new(gate_out),
            answer_size,
        });
        let (endpoint, handle) = (server.endpoint().clone(), server.handle());
        let thread = thread::spawn(move || server.run(&handler, &options).unwrap());
        Self { endpoint, handle, thread: Some(thread), entered, gate, _dir: dir }
    }

    pub fn client(&self) -> Arc<Client> {
        Arc::new(Client::connect(&self.endpoint, WAIT).unwrap())
    }

    pub fn path(&self) -> PathBuf {
        let Endpoint::Unix(path) = &self.endpoint else { unreachable!() };
        path.clone()
    }

    pub fn raw(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    pub fn entered(&self) -> String {
        self.entered.recv_timeout(WAIT).unwrap()
    }

    pub fn stop(&mut self) {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for FixtureServer {
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

/// A report whose boot id has this length.
pub fn health(size: usize) -> HealthReport {
    HealthReport { boot_id: vec![0; size].into(), issuers: vec![], overdue_offers: 0, overdue_ca_keys: 0 }
}

pub fn options(workers: usize, queue: usize) -> ServerOptions {
    ServerOptions { workers, queue, ..ServerOptions::default() }
}

pub fn destroy(uid: &str) -> Request {
    Request::Destroy(Destroy { issuer_uid: uid.to_owned() })
}

pub fn calling(client: &Arc<Client>, request: Request) -> thread::JoinHandle<Result<Response, ClientError>> {
    let client = Arc::clone(client);
    thread::spawn(move || client.call(request, WAIT))
}

pub fn code(response: Response) -> RefusalCode {
    let Response::Refused(refusal) = response else { panic!("not refused: {response:?}") };
    refusal.code
}

pub fn is_identity(response: &Response) -> bool {
    matches!(response, Response::Identity(_))
}

pub fn closes(client: &Client) {
    let deadline = Instant::now() + WAIT;
    while !client.is_closed() {
        assert!(Instant::now() < deadline, "it keeps its place");
        thread::yield_now();
    }
}
