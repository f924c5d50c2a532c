//! `cargo xtask bench issue`: compares a whole issuance in the enclave's engine with its bare primitives
//! (verify the request, sign, verify the certificate), by the same library and with the same keys. Times
//! depend on the machine, so only ratios within one run are compared. Exits with 1 if a limit is exceeded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, UnparsedPublicKey,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use tcs_enclave::keys::SoftwareKeys;
use tcs_enclave::platform::{Assurance, SealingKey, TeePlatform};
use tcs_enclave::{Engine, Error, RELEASE_DATE};
use tcs_enclave_rpc::{
    BeginProvisioning, Client, CompleteProvisioning, Endpoint, Handler, Issue, PendingResponse, Request,
    RequestApi, Response, Server, ServerOptions,
};
use tcs_evidence::Evidence;
use tcs_keywrap::WrapFormat;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::request::CertReq;

/// Maximum ratio of an issuance to its primitives, with a P-256 and an RSA-3072 CA.
const MAX_P256: f64 = 1.25;
const MAX_RSA: f64 = 1.06;
/// Two threads must achieve at least this share of the speed-up of the bare loop.
const MIN_GAIN: f64 = 0.95;
/// Over the socket, at least this share of the throughput of the same threads in process.
const MIN_RPC: f64 = 0.8;
const IN_FLIGHT: usize = 32;
const NOW: i64 = RELEASE_DATE + 86_400;
const DISTINCT: usize = 64;

/// Counts allocations while counting is enabled.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(size: usize) {
    if COUNTS.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(size, Relaxed);
    }
}

// SAFETY: everything is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A platform whose evidence is empty.
struct Nowhere;

impl TeePlatform for Nowhere {
    fn name(&self) -> &'static str {
        "nowhere"
    }
    fn evidence_kind(&self) -> &'static str {
        "none"
    }
    fn assurance(&self) -> Assurance {
        Assurance::Simulated
    }
    fn evidence(&self, _: &[u8; 64]) -> Result<Evidence, Error> {
        Ok(Evidence::SgxQuote(vec![0; 64]))
    }
    fn sealing_key(&self) -> Result<Option<SealingKey>, Error> {
        Ok(None)
    }
}

/// The bare primitives of one issuance, with the CA key and the requests of the subject, over messages of the
/// same lengths. The key of a request is new to its verifier, and that of the CA is known.
struct Bare {
    requests: Vec<BareRequest>,
    next: AtomicUsize,
    key: BareKey,
    public: ParsedPublicKey,
    tbs: Vec<u8>,
    random: SystemRandom,
}

/// Key, signed message and signature.
type BareRequest = (UnparsedPublicKey<Vec<u8>>, Vec<u8>, Vec<u8>);

enum BareKey {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Bare {
    fn new(subject: &Subject, tbs_length: usize) -> Self {
        let requests = subject.requests.iter().map(|issue| {
            let request = CertReq::from_der(&issue.request).unwrap();
            let key = request.info.public_key.subject_public_key.raw_bytes().to_vec();
            let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, key);
            (key, request.info.to_der().unwrap(), request.signature.raw_bytes().to_vec())
        });
        let der = subject.key.serialized_der();
        let p256 = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, der);
        let (key, public) = if let Ok(pair) = p256 {
            let public = ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, pair.public_key());
            (BareKey::P256(pair), public.unwrap())
        } else {
            let pair = RsaKeyPair::from_pkcs8(der).unwrap();
            let public = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key());
            (BareKey::Rsa(pair), public.unwrap())
        };
        let (requests, random) = (requests.collect(), SystemRandom::new());
        Self { requests, next: AtomicUsize::new(0), key, public, tbs: vec![0x5a; tbs_length], random }
    }

    fn run(&self) {
        let (key, message, signed) = &self.requests[self.next.fetch_add(1, Relaxed) % DISTINCT];
        key.verify(message, signed).unwrap();
        let signature = match &self.key {
            BareKey::P256(pair) => pair.sign(&self.random, &self.tbs).unwrap().as_ref().to_vec(),
            BareKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &self.random, &self.tbs, &mut signature).unwrap();
                signature
            }
        };
        self.public.verify_sig(&self.tbs, &signature).unwrap();
    }
}

/// An engine with one CA, whose key was delivered, and requests for it.
struct Subject {
    engine: Arc<Engine>,
    key: KeyPair,
    requests: Vec<Issue>,
    next: AtomicUsize,
}

impl Subject {
    fn new(key: KeyPair) -> Self {
        let engine = Arc::new(Engine::new(Box::new(Nowhere), Box::new(SoftwareKeys)).unwrap());
        let nonce = tcs_evidence::report_data::FIXED_NONCE.to_vec().into();
        let begin = BeginProvisioning { issuer_uid: "uid".into(), nonce, renewal: false };
        let Response::Offer(offer) = engine.handle(Request::BeginProvisioning(begin)) else {
            panic!("no offer")
        };
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2046, 1, 1));
        let wrapped =
            tcs_keywrap::wrap(&offer.public_key, WrapFormat::KmraV1Sha256, key.serialized_der()).unwrap();
        let delivery = CompleteProvisioning {
            issuer_uid: "uid".into(),
            offer_id: offer.offer_id,
            wrapped_key: wrapped.into(),
            chain: vec![params.self_signed(&key).unwrap().der().to_vec().into()],
            formats: Vec::new(),
            now: NOW,
        };
        let delivered = engine.handle(Request::CompleteProvisioning(delivery));
        assert!(matches!(delivered, Response::Provisioned(_)), "{delivered:?}");
        let requests = (0..DISTINCT).map(|number| {
            let mut params = CertificateParams::new([format!("workload-{number}.sandbox.svc")]).unwrap();
            params.distinguished_name.push(DnType::CommonName, format!("workload-{number}"));
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            Issue {
                issuer_uid: "uid".into(),
                request: params.serialize_request(&key).unwrap().der().to_vec().into(),
                request_api: RequestApi::KubernetesCsr,
                usages: vec!["digital signature".into(), "server auth".into(), "client auth".into()],
                lifetime: Some(86_400),
                now: NOW,
                policy: None,
                is_ca: false,
            }
        });
        Self { engine, key, requests: requests.collect(), next: AtomicUsize::new(0) }
    }

    fn request(&self) -> Request {
        let at = self.next.fetch_add(1, Relaxed) % DISTINCT;
        Request::Issue(self.requests[at].clone())
    }

    fn run(&self) {
        issued(&self.engine.handle(black_box(self.request())));
    }

    /// The length of the signed part.
    fn tbs_length(&self) -> usize {
        let Response::Issued(issued) = self.engine.handle(self.request()) else { panic!() };
        let leaf = x509_cert::Certificate::from_der(&issued.chain[0]).unwrap();
        leaf.tbs_certificate().to_der().unwrap().len()
    }
}

fn issued(response: &Response) {
    assert!(matches!(black_box(response), Response::Issued(_)), "{response:?}");
}

type Work<'a> = &'a (dyn Fn() + Sync);

/// Runs in a second, of `threads` threads that each run `work` this many times.
fn rate(work: Work<'_>, repeat: u32, threads: usize) -> f64 {
    let barrier = Barrier::new(threads + 1);
    let elapsed = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..repeat {
                    work();
                }
                barrier.wait();
            });
        }
        barrier.wait();
        let begun = Instant::now();
        barrier.wait();
        begun.elapsed()
    });
    f64::from(repeat) * f64::from(u32::try_from(threads).unwrap()) / elapsed.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of rounds in which the contenders alternate.
fn rates<const N: usize>(
    work: [Work<'_>; N],
    repeat: u32,
    rounds: usize,
    threads: [usize; N],
) -> Vec<[f64; N]> {
    for (work, threads) in work.iter().zip(threads) {
        rate(work, repeat, threads);
    }
    (0..rounds).map(|_| std::array::from_fn(|at| rate(work[at], repeat, threads[at]))).collect()
}

/// As [`rates`] with one thread, which is the same for all contenders: threads of their own could each stay
/// on one core, and one core may be slower than the other.
fn turns<const N: usize>(work: [Work<'_>; N], repeat: u32, rounds: usize) -> Vec<[f64; N]> {
    let rate = |work: Work<'_>| {
        let begun = Instant::now();
        (0..repeat).for_each(|_| work());
        f64::from(repeat) / begun.elapsed().as_secs_f64()
    };
    for work in work {
        rate(work);
    }
    let round = |round: usize| {
        let mut rates = [0.0; N];
        // No contender is always first.
        for turn in 0..N {
            let at = (turn + round) % N;
            rates[at] = rate(work[at]);
        }
        rates
    };
    (0..rounds).map(round).collect()
}

/// The limits that were exceeded.
struct Report(u32);

impl Report {
    fn line(&mut self, what: &str, value: &str, bound: &str, held: bool) {
        self.0 += u32::from(!held);
        println!("  {what:<44} {value:>12}   {bound:<16} {}", if held { "" } else { "MISSED" });
    }

    fn subject(&mut self, name: &str, key: KeyPair, bound: f64, repeat: u32) {
        let subject = Subject::new(key);
        let tbs = subject.tbs_length();
        let bare = Bare::new(&subject, tbs);
        println!("{name} ({tbs} bytes to be signed)");
        let (bare_work, issue_work): (Work<'_>, Work<'_>) = (&|| bare.run(), &|| subject.run());
        let one = turns([bare_work, issue_work], repeat / 2, 161);
        let of = |at: usize| median(one.iter().map(|round| round[at]).collect());
        self.line("bare primitives", &format!("{:.0}/s", of(0)), "", true);
        self.line("issued", &format!("{:.0}/s", of(1)), "", true);
        let ratio = median(one.iter().map(|[bare, issue]| bare / issue).collect());
        self.line("issue / bare", &format!("{ratio:.3}"), &format!("at most {bound}"), ratio <= bound);
        // The speed-up of both, from rates that were measured together.
        let two = rates([bare_work, issue_work], repeat, 61, [2, 2]);
        let both = |at: usize| median(two.iter().map(|round| round[at]).collect());
        let relative = ratio * median(two.iter().map(|[bare, issue]| issue / bare).collect());
        self.line("two threads: bare gains", &format!("{:.2}", both(0) / of(0)), "", true);
        self.line("two threads: issuing gains", &format!("{:.2}", both(1) / of(1)), "", true);
        self.line(
            "issuing's gain / bare's",
            &format!("{relative:.3}"),
            &format!("at least {MIN_GAIN}"),
            relative >= MIN_GAIN,
        );
        COUNTS.store(true, Relaxed);
        let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
        subject.run();
        COUNTS.store(false, Relaxed);
        let used = (ALLOCATIONS.load(Relaxed) - before.0, BYTES.load(Relaxed) - before.1);
        self.line("allocations of one certificate", &used.0.to_string(), "", true);
        self.line("bytes allocated for it", &used.1.to_string(), "", true);
        self.over_the_socket(&subject, repeat);
    }

    /// As many workers as the in-process contender has threads, and the client on the same cores.
    fn over_the_socket(&mut self, subject: &Subject, repeat: u32) {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::bind(&Endpoint::Unix(dir.path().join("s"))).unwrap();
        let (endpoint, handle) = (server.endpoint().clone(), server.handle());
        let handler: Arc<dyn Handler> = Arc::clone(&subject.engine) as Arc<dyn Handler>;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let options = ServerOptions { workers: cores, ..ServerOptions::default() };
        let thread = std::thread::spawn(move || server.run(&handler, &options).unwrap());
        let minute = Duration::from_mins(1);
        let client = Client::connect(&endpoint, minute).unwrap();
        let inside: Work<'_> = &|| subject.run();
        let flights = repeat * 4;
        let fly = || {
            let mut flying = VecDeque::with_capacity(IN_FLIGHT);
            let land = |flying: &mut VecDeque<PendingResponse>| {
                issued(&flying.pop_front().unwrap().wait(minute).unwrap());
            };
            for _ in 0..flights {
                if flying.len() == IN_FLIGHT {
                    land(&mut flying);
                }
                flying.push_back(client.send(&subject.request()).unwrap());
            }
            while !flying.is_empty() {
                land(&mut flying);
            }
        };
        let rounds: Vec<(f64, f64)> = (0..21)
            .map(|_| (rate(inside, repeat * 2, cores), rate(&fly, 1, 1) * f64::from(flights)))
            .collect();
        let ratio = median(rounds.iter().map(|(inside, socket)| socket / inside).collect());
        let socket = median(rounds.iter().map(|(_, socket)| *socket).collect());
        self.line(&format!("over the socket, {IN_FLIGHT} in flight"), &format!("{socket:.0}/s"), "", true);
        self.line(
            "over the socket / in process",
            &format!("{ratio:.3}"),
            &format!("at least {MIN_RPC}"),
            ratio >= MIN_RPC,
        );
        drop(client);
        handle.stop();
        thread.join().unwrap();
    }
}

fn main() -> ExitCode {
    let mut report = Report(0);
    println!("medians of rates, contenders taking turns\n");
    let p256 = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    report.subject("P-256 CA, P-256 requests", p256, MAX_P256, 200);
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_3072).unwrap();
    report.subject("RSA-3072 CA, P-256 requests", rsa, MAX_RSA, 24);
    if report.0 > 0 {
        eprintln!("\n{} bounds were missed", report.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
