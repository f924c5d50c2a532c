//! `cargo xtask bench verifier`: compares a whole verification with nine bare verifications of ECDSA on
//! P-256, by the same library, over messages of the same lengths. Times depend on the machine, so only ratios
//! within one run are compared with limits. Exits with 1 if a limit is exceeded.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use der::{Decode, Encode};
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tcs_evidence::Evidence;
use tcs_verifier::{
    AcceptedIdentity, Collateral, Kss, MAX_COLLATERAL, PlatformPolicy, Policy, TcbPolicy, TcbStatus,
    TdReference, TdxPolicy, TrustAnchor, Workload, verify,
};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;

/// Maximum ratio of a verification with all checks to the bare loop.
const MAX_RATIO: f64 = 1.3;
/// Two threads must achieve at least this share of the speed-up of the bare loop.
const MIN_GAIN: f64 = 0.95;
/// Maximum heap of one verification, in bytes.
const MAX_VERIFY: usize = 256 * 1024;
/// Maximum heap for reading and verifying any collateral, in bytes.
const MAX_HOSTILE: usize = 32 * 1024 * 1024;
const ROUNDS: usize = 61;
/// Runs of one contender in a round.
const REPEAT: u32 = 24;
/// The same when two threads are compared with one: long enough for the system to give each thread its core.
const LONG_REPEAT: u32 = 160;
/// Number of these rounds.
const LONG_ROUNDS: usize = 41;

/// Counts the heap while counting is enabled. Otherwise it only reads a flag, so that threads do not wait for
/// each other.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static NOW: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

fn count(change: isize) {
    if COUNTS.load(Relaxed) {
        let now = NOW.fetch_add(change, Relaxed) + change;
        PEAK.fetch_max(now, Relaxed);
    }
}

// SAFETY: everything is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist at the same time.
        count(size.cast_signed());
        // SAFETY: the caller's promise.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        count(-layout.size().cast_signed());
        moved
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The maximum heap while `work` runs, in bytes.
fn peak(work: impl FnOnce()) -> usize {
    NOW.store(0, Relaxed);
    PEAK.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
    work();
    COUNTS.store(false, Relaxed);
    PEAK.load(Relaxed).unsigned_abs()
}

/// Keys, messages and signatures of the nine verifications that an appraisal needs.
struct Bare(Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>);

impl Bare {
    fn new(lengths: &[usize; 9]) -> Self {
        let random = SystemRandom::new();
        let signed = lengths.iter().map(|length| {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
            let message = vec![0x5a; *length];
            let signature = key.sign(&random, &message).unwrap().as_ref().to_vec();
            (key.public_key().as_ref().to_vec(), message, signature)
        });
        Self(signed.collect())
    }

    fn run(&self) {
        for (key, message, signature) in &self.0 {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).unwrap();
        }
    }
}

struct Subject {
    name: &'static str,
    evidence: Evidence,
    json: Vec<u8>,
    collateral: Collateral,
    policy: Policy,
    trust: TrustAnchor,
    now: i64,
}

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/data/dcap-qvl").join(name))
        .unwrap()
}

impl Subject {
    fn new(name: &'static str, file: &str, now: i64) -> Self {
        let evidence = Evidence::from_quote(data(file)).unwrap();
        let json = data(&format!("{file}_collateral.json"));
        let collateral = Collateral::from_json(&json).unwrap();
        let policy = Self::policy(&evidence, &collateral, now);
        let subject = Self { name, evidence, json, collateral, policy, trust: TrustAnchor::intel(), now };
        subject.verify();
        subject
    }

    /// A policy with every requirement that is possible for this kind of workload.
    fn policy(evidence: &Evidence, collateral: &Collateral, now: i64) -> Policy {
        let verdict = verify(evidence, collateral, &TrustAnchor::intel(), &Policy::default(), now);
        let claims = verdict.claims().unwrap();
        let mut policy = Policy {
            tcb: TcbPolicy {
                accepted_statuses: TcbStatus::ALL.to_vec(),
                accepted_advisories: claims.advisory_ids.clone(),
                min_tcb_date: Some(1),
                min_evaluation_number: Some(1),
            },
            platform: PlatformPolicy {
                ppids: vec![claims.platform.ppid],
                instances: Vec::new(),
                fmspcs: vec![claims.platform.fmspc],
            },
            ..Policy::default()
        };
        policy.identities = vec![match &claims.workload {
            Workload::Enclave(enclave) => {
                policy.sgx.misc_select.mask = [0xff; 4];
                AcceptedIdentity::Enclave {
                    mrenclave: enclave.mrenclave,
                    kss: Kss {
                        config_id: Some(enclave.config_id),
                        min_config_svn: Some(enclave.config_svn),
                        isv_ext_prod_id: Some(enclave.isv_ext_prod_id),
                        isv_family_id: Some(enclave.isv_family_id),
                    },
                }
            }
            Workload::TrustDomain(td) => {
                let mut tdx = TdxPolicy { mr_seams: vec![td.mr_seam], ..TdxPolicy::default() };
                (tdx.td_attributes.value, tdx.td_attributes.mask) = (td.td_attributes, [0xff; 8]);
                (tdx.xfam.value, tdx.xfam.mask) = (td.xfam, [0xff; 8]);
                policy.tdx = tdx;
                AcceptedIdentity::TrustDomain(Box::new(TdReference {
                    mr_td: td.mr_td,
                    rtmrs: td.rtmrs.map(Some),
                    mr_config_id: Some(td.mr_config_id),
                    mr_owner: Some(td.mr_owner),
                    mr_owner_config: Some(td.mr_owner_config),
                }))
            }
        }];
        policy
    }

    /// Lengths of the nine signed messages.
    fn lengths(&self) -> [usize; 9] {
        let json: Value = serde_json::from_slice(&self.json).unwrap();
        let member = |name: &str| json[name].as_str().unwrap();
        let crl = |name: &str| {
            let der = hex::decode(member(name)).unwrap();
            encoded(
                &CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap().tbs_cert_list,
            )
        };
        let certificate = |chain: &[u8], at: usize| {
            let chain = pem::parse_many(chain).unwrap();
            encoded(Certificate::from_der(chain[at].contents()).unwrap().tbs_certificate())
        };
        let quote = self.evidence.quote().unwrap();
        let pck_chain = quote.signature_data().unwrap().pck_chain();
        // Header and report, as the layouts give them.
        let signed = if matches!(self.evidence, Evidence::TdxQuote(_)) { 48 + 584 } else { 48 + 384 };
        [
            crl("root_ca_crl"),
            certificate(member("tcb_info_issuer_chain").as_bytes(), 0),
            member("tcb_info").len(),
            member("qe_identity").len(),
            certificate(pck_chain, 1),
            certificate(pck_chain, 0),
            crl("pck_crl"),
            384,
            signed,
        ]
    }

    fn verify(&self) {
        self.verify_with(&self.collateral);
    }

    fn read_and_verify(&self) {
        self.verify_with(&Collateral::from_json(black_box(&self.json)).unwrap());
    }

    fn verify_with(&self, collateral: &Collateral) {
        let verdict = verify(black_box(&self.evidence), collateral, &self.trust, &self.policy, self.now);
        verdict.accepted().unwrap();
    }
}

fn encoded(part: &impl Encode) -> usize {
    part.encoded_len().unwrap().try_into().unwrap()
}

type Work<'a> = &'a (dyn Fn() + Sync);

/// Time of one run of `work`, from several runs in a row.
fn time(work: Work<'_>, repeat: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..repeat {
        work();
    }
    begun.elapsed() / repeat
}

/// As [`time`], in two threads at the same time: the time of one run in each.
fn time_of_two(work: Work<'_>, repeat: u32) -> Duration {
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
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
        begun.elapsed() / repeat
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The limits that were exceeded.
struct Report(u32);

impl Report {
    fn line(&mut self, what: &str, value: &str, bound: &str, held: bool) {
        self.0 += u32::from(!held);
        println!("  {what:<44} {value:>12}   {bound:<16} {}", if held { "" } else { "MISSED" });
    }

    fn subject(&mut self, subject: &Subject) {
        let lengths = subject.lengths();
        let bare = Bare::new(&lengths);
        let contenders: [Work<'_>; 3] = [&|| bare.run(), &|| subject.verify(), &|| subject.read_and_verify()];
        let mut one: [Vec<f64>; 3] = Default::default();
        let mut gains: [Vec<f64>; 2] = Default::default();
        for work in contenders {
            time(work, REPEAT);
        }
        for _ in 0..ROUNDS {
            let times = contenders.map(|work| time(work, REPEAT).as_secs_f64());
            for (list, time) in one.iter_mut().zip(times) {
                list.push(time);
            }
        }
        for _ in 0..LONG_ROUNDS {
            for (gain, work) in gains.iter_mut().zip(contenders) {
                let alone = time(work, LONG_REPEAT).as_secs_f64();
                gain.push(2.0 * alone / time_of_two(work, LONG_REPEAT).as_secs_f64());
            }
        }
        let ratio = |of: usize| median(one[of].iter().zip(&one[0]).map(|(time, bare)| time / bare).collect());
        let gain = median(gains[1].iter().zip(&gains[0]).map(|(verify, bare)| verify / bare).collect());
        let [bare_time, verify_time, read_time] = one.each_ref().map(|times| median(times.clone()) * 1e6);
        let [bare_gain, verify_gain] = gains.map(median);
        let (ratio, ratio_read) = (ratio(1), ratio(2));

        println!("{} (messages of {lengths:?} bytes)", subject.name);
        self.line("nine bare P-256 verifications", &format!("{bare_time:.0} µs"), "", true);
        self.line("verify, all checks", &format!("{verify_time:.0} µs"), "", true);
        self.line("the same, collateral read each time", &format!("{read_time:.0} µs"), "", true);
        self.line(
            "verify / bare",
            &format!("{ratio:.3}"),
            &format!("at most {MAX_RATIO}"),
            ratio <= MAX_RATIO,
        );
        self.line("the same, collateral read each time", &format!("{ratio_read:.3}"), "", true);
        self.line("two threads: bare gains", &format!("{bare_gain:.2}"), "", true);
        self.line("two threads: verify gains", &format!("{verify_gain:.2}"), "", true);
        self.line(
            "verify's gain / bare's",
            &format!("{gain:.3}"),
            &format!("at least {MIN_GAIN}"),
            gain >= MIN_GAIN,
        );

        let used = peak(|| subject.verify());
        self.line("heap, verify", &kib(used), &format!("at most {}", kib(MAX_VERIFY)), used <= MAX_VERIFY);
        let used = peak(|| drop(Collateral::from_json(&subject.json)));
        self.line("heap, reading the collateral", &kib(used), "", true);
    }

    /// Memory for collateral that is made to be expensive.
    fn hostile(&mut self, subject: &Subject) {
        println!("collateral of {} made to cost much", kib(MAX_COLLATERAL));
        for (what, json) in hostile(&subject.json) {
            assert!(json.len() <= MAX_COLLATERAL, "{what}");
            let mut read = "refused when read";
            let used = peak(|| {
                if let Ok(collateral) = Collateral::from_json(&json) {
                    read = "read, then refused";
                    let trust = TrustAnchor::intel();
                    let verdict =
                        verify(&subject.evidence, &collateral, &trust, &subject.policy, subject.now);
                    assert!(verdict.accepted().is_err(), "{what}");
                }
            });
            let what = format!("heap, {what}: {read}");
            self.line(&what, &kib(used), &format!("at most {}", kib(MAX_HOSTILE)), used <= MAX_HOSTILE);
        }
    }
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// Collateral that fills the maximum length with as many small elements as possible.
fn hostile(json: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let sound: Value = serde_json::from_slice(json).unwrap();
    let with = |member: &str, value: String| {
        let mut json = sound.clone();
        json[member] = value.into();
        json.to_string().into_bytes()
    };
    let room = MAX_COLLATERAL - json.len() - 8 * 1024;
    let tcb_info = sound["tcb_info"].as_str().unwrap();
    let at = tcb_info.find("\"tcbLevels\":[").unwrap() + "\"tcbLevels\":[".len();
    let component = "{\"svn\":0},";
    let level = format!(
        "{{\"tcb\":{{\"sgxtcbcomponents\":[{}],\"pcesvn\":0}},\"tcbDate\":\"\",\"tcbStatus\":\"UpToDate\"}},",
        component.repeat(16).trim_end_matches(',')
    );
    // A quotation mark is two bytes in JSON.
    let cost = level.len() + level.matches('"').count();
    let levels = format!("{}{}{}", &tcb_info[..at], level.repeat(room / cost), &tcb_info[at..]);
    let from = tcb_info.find("\"sgxtcbcomponents\":[").unwrap() + "\"sgxtcbcomponents\":[".len();
    let many = component.repeat(room / (component.len() + 2));
    let components = format!("{}{many}{}", &tcb_info[..from], &tcb_info[from..]);
    let chain = sound["pck_crl_issuer_chain"].as_str().unwrap();
    let one = &chain[..chain.rfind("-----BEGIN").unwrap()];
    let empty = "-----BEGIN A-----\n-----END A-----\n";
    vec![
        ("TCB levels", with("tcb_info", levels)),
        ("components", with("tcb_info", components)),
        ("certificates", with("pck_crl_issuer_chain", one.repeat(room / (one.len() + one.lines().count())))),
        ("empty PEM blocks", with("pck_crl_issuer_chain", empty.repeat(room / (empty.len() + 2)))),
        ("revoked certificates", with("pck_crl", hex::encode(long_crl(&sound, room / 2)))),
        ("nesting", "[".repeat(MAX_COLLATERAL).into_bytes()),
    ]
}

/// The PCK CA's CRL, with its list of revoked certificates replaced by one with as many entries as `room` can
/// hold.
fn long_crl(sound: &Value, room: usize) -> Vec<u8> {
    let der = hex::decode(sound["pck_crl"].as_str().unwrap()).unwrap();
    let mut list: CertificateList = CertificateList::from_der(&der).unwrap();
    let entry = x509_cert::crl::RevokedCert {
        serial_number: x509_cert::serial_number::SerialNumber::new(&[1]).unwrap(),
        revocation_date: list.tbs_cert_list.this_update,
        crl_entry_extensions: None,
    };
    let count = room / encoded(&entry) - 40;
    list.tbs_cert_list.revoked_certificates = Some(vec![entry; count]);
    list.to_der().unwrap()
}

fn main() -> ExitCode {
    let mut report = Report(0);
    println!(
        "medians of {ROUNDS} rounds of {REPEAT} runs, contenders taking turns; with two threads of \
         {LONG_ROUNDS} of {LONG_REPEAT}\n"
    );
    let subjects = [
        Subject::new("SGX v3", "sgx_quote", 1_750_377_600),
        Subject::new("TDX v4", "tdx_quote", 1_750_377_600),
    ];
    for subject in &subjects {
        report.subject(subject);
    }
    report.hostile(&subjects[0]);
    if report.0 > 0 {
        eprintln!("\n{} bounds were missed", report.0);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
