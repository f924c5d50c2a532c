//! A PCCS (Intel's caching service for collateral) for tests. It serves the collateral of a simulated
//! platform, and fails in every way in which a real one can fail.
//!
//! It implements version 4 of the API of Intel's Provisioning Certification Service, with one request per
//! connection, on loopback.

use anyhow::{Context as _, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tcs_sgx_sim::Collateral;

/// Maximum length of a request, in bytes.
const MAX_REQUEST: usize = 64 * 1024;
/// Nobody waits longer than this for a peer, so that a failed test ends.
const DEADLINE: Duration = Duration::from_secs(45);

/// What the PCCS does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Answers every request with this status.
    Status(u16),
    /// Answers this many requests with 503, and properly after that.
    Busy(usize),
    /// Accepts the request and never answers.
    Slow,
    /// Ends the connection in the middle of the body.
    CutOff,
    /// Answers with an HTML page, as a captive portal would.
    WrongJson,
    /// Redirects the client.
    Redirect,
    /// Answers with 2 MiB.
    TooLong,
    /// Leaves out the headers with the chains of the issuers.
    NoChains,
}

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path and query, or the target that a client names to a proxy.
    pub target: String,
    /// The whole head.
    pub head: String,
}

struct Shared {
    collateral: Mutex<Collateral>,
    fault: Mutex<Fault>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

/// A running PCCS, which stops when this value is dropped.
pub struct Pccs {
    address: SocketAddr,
    shared: Arc<Shared>,
    ca: Option<String>,
    thread: Option<JoinHandle<()>>,
}

impl Pccs {
    /// Without TLS.
    pub fn http(collateral: Collateral) -> Result<Self> {
        Self::start(collateral, None)
    }

    /// With TLS and its own CA.
    pub fn https(collateral: Collateral) -> Result<Self> {
        let (config, ca) = tls()?;
        Self::start(collateral, Some((config, ca)))
    }

    fn start(collateral: Collateral, tls: Option<(Arc<ServerConfig>, String)>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
        let address = listener.local_addr()?;
        let (tls, ca) = tls.unzip();
        let shared = Arc::new(Shared {
            collateral: Mutex::new(collateral),
            fault: Mutex::new(Fault::None),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
            tls,
        });
        let inside = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &inside));
        Ok(Self { address, shared, ca, thread: Some(thread) })
    }

    /// Its address, without the path of the API.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// PEM certificate of its own CA; empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.as_deref().unwrap_or_default()
    }

    /// Sets the failure from now on.
    pub fn fail(&self, fault: Fault) {
        *locked(&self.shared.fault) = fault;
    }

    /// Serves other collateral from now on.
    pub fn serve(&self, collateral: Collateral) {
        *locked(&self.shared.collateral) = collateral;
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }
}

impl Drop for Pccs {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        if let Ok(stream) = stream {
            // It does not matter if the client is gone.
            std::thread::spawn(move || drop(connection(stream, &shared)));
        }
    }
}

fn connection(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    match &shared.tls {
        None => answer(stream, shared),
        Some(config) => {
            let server = ServerConnection::new(Arc::clone(config))?;
            answer(StreamOwned::new(server, stream), shared)
        }
    }
}

fn answer(mut stream: impl Read + Write, shared: &Shared) -> Result<()> {
    let head = read_head(&mut stream)?;
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let number = {
        let mut requests = locked(&shared.requests);
        requests.push(Request { target: target.clone(), head });
        requests.len()
    };
    let fault = *locked(&shared.fault);
    let reply = match fault {
        Fault::Status(status) => Reply::status(status),
        Fault::Busy(times) if number <= times => Reply::status(503),
        Fault::Slow => {
            // Until the client gives up.
            drop(stream.read(&mut [0]));
            return Ok(());
        }
        Fault::WrongJson => Reply::ok(b"<html>Sign in to the network</html>".to_vec()),
        Fault::Redirect => {
            Reply { status: 302, headers: vec![("Location", "/elsewhere".into())], body: Vec::new() }
        }
        Fault::TooLong => Reply::ok(vec![b' '; 2 * 1024 * 1024]),
        _ => reply(&target, &locked(&shared.collateral)),
    };
    let mut text = format!(
        "HTTP/1.1 {} .\r\nConnection: close\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    for (name, value) in reply.headers.iter().filter(|_| fault != Fault::NoChains) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    let length = if fault == Fault::CutOff { reply.body.len() / 2 } else { reply.body.len() };
    stream.write_all(reply.body.get(..length).unwrap_or_default())?;
    stream.flush()?;
    Ok(())
}

fn read_head(stream: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        anyhow::ensure!(head.len() < MAX_REQUEST && stream.read(&mut byte)? == 1, "not a request");
        head.extend_from_slice(&byte);
    }
    Ok(String::from_utf8(head)?)
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"no".to_vec() }
    }

    fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    fn with_chain(name: &'static str, chain: &str, body: Vec<u8>) -> Self {
        let encoded = utf8_percent_encode(chain, NON_ALPHANUMERIC).to_string();
        Self { status: 200, headers: vec![(name, encoded)], body }
    }
}

fn reply(target: &str, collateral: &Collateral) -> Reply {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let signed = |name: &str, text: &str, signature: &[u8]| {
        format!("{{\"{name}\":{text},\"signature\":\"{}\"}}", hex::encode(signature)).into_bytes()
    };
    match path.strip_prefix("/sgx/").or_else(|| path.strip_prefix("/tdx/")) {
        Some("certification/v4/pckcrl") => Reply::with_chain(
            "SGX-PCK-CRL-Issuer-Chain",
            &collateral.pck_crl_issuer_chain,
            collateral.pck_crl.clone(),
        ),
        Some("certification/v4/rootcacrl") => Reply::ok(hex::encode(&collateral.root_ca_crl).into_bytes()),
        Some("certification/v4/tcb") if query.contains("fmspc=") => Reply::with_chain(
            "TCB-Info-Issuer-Chain",
            &collateral.tcb_info_issuer_chain,
            signed("tcbInfo", &collateral.tcb_info, &collateral.tcb_info_signature),
        ),
        Some("certification/v4/qe/identity") => Reply::with_chain(
            "SGX-Enclave-Identity-Issuer-Chain",
            &collateral.qe_identity_issuer_chain,
            signed("enclaveIdentity", &collateral.qe_identity, &collateral.qe_identity_signature),
        ),
        // Where a mirror of Intel's PCS has the root's CRL.
        _ if path == "/IntelSGXRootCA.der" => Reply::ok(collateral.root_ca_crl.clone()),
        _ => Reply::status(404),
    }
}

fn tls() -> Result<(Arc<ServerConfig>, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &ca)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok((Arc::new(config), ca.pem()))
}
