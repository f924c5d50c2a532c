//! Go's `crypto/x509` as a test oracle (`hack/go-oracle`): a request that it refuses is never accepted here,
//! and it reads every certificate that is made here. `TCS_CSR_MUTANTS` sets how many mutated requests are
//! compared; `cargo xtask csr-mutants` sets it to 500,000.

mod constrained;
mod made;
pub mod mutate;

use crate::{NOW, vectors};
use constrained::Constrained;
use mutate::{Mutator, Random, Resigned};
use pem_rfc7468::LineEnding;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use tcs_x509::{CaCertificate, CaChain, CertificateRequest};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

/// Every kind of key.
pub const KINDS: [&rcgen::SignatureAlgorithm; 5] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA512,
    &rcgen::PKCS_ED25519,
    &rcgen::PKCS_RSA_SHA256,
];

/// Number of mutants that `cargo test` compares.
const SAMPLE: usize = 6_000;

/// Go's verdicts on DER of one kind: `R` for requests, `C` for certificates.
pub fn verdicts(kind: u8, all: &[Vec<u8>]) -> Vec<bool> {
    let answers = answers(kind, all);
    assert_eq!(answers.len(), all.len());
    answers.iter().map(|answer| *answer == b'1').collect()
}

/// The rules of RFC 5280 that each certificate violates, as zlint names them.
fn broken_rules(all: &[Vec<u8>]) -> Vec<Vec<String>> {
    let rules = |line: &String| line.split(',').filter(|rule| !rule.is_empty()).map(str::to_owned).collect();
    lines(b'L', all).iter().map(rules).collect()
}

/// Go's answers of one line.
pub fn lines(kind: u8, all: &[Vec<u8>]) -> Vec<String> {
    let answers = String::from_utf8(answers(kind, all)).unwrap();
    let lines: Vec<String> = answers.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), all.len());
    lines
}

fn answers(kind: u8, all: &[Vec<u8>]) -> Vec<u8> {
    let mut child = Command::new(tcs_go_oracle::program().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let answers = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut answers = Vec::new();
            output.read_to_end(&mut answers).unwrap();
            answers
        });
        for der in all {
            let length = u32::try_from(der.len()).unwrap().to_be_bytes();
            input.write_all(&[&[kind], length.as_slice(), der].concat()).unwrap();
        }
        drop(input);
        reader.join().unwrap()
    });
    assert!(child.wait().unwrap().success());
    answers
}

#[test]
fn the_go_oracle_gives_the_recorded_verdicts() {
    let all: Vec<_> = vectors::requests().collect();
    let found = verdicts(b'R', &all.iter().map(|(_, der, _)| der.clone()).collect::<Vec<_>>());
    let differ: Vec<_> = all
        .iter()
        .zip(found)
        .filter(|((_, _, recorded), found)| recorded != found)
        .map(|((name, ..), _)| name)
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert!(all.len() > 60 && all.iter().any(|(_, _, ok)| *ok) && all.iter().any(|(_, _, ok)| !ok));
}

/// A certificate, and the path from it to its trust anchor.
pub struct Made {
    /// Its description, for failures.
    pub what: String,
    pub der: Vec<u8>,
    /// The CAs between it and the trust anchor.
    pub between: Vec<Vec<u8>>,
    pub anchor: Vec<u8>,
    /// The rules that it violates because of what was requested, as zlint names them.
    pub breaks: &'static [&'static str],
}

impl Made {
    pub fn new(what: impl Into<String>, der: &[u8], between: &[&[u8]], anchor: &[u8]) -> Self {
        let between = between.iter().map(|ca| ca.to_vec()).collect();
        Self { what: what.into(), der: der.to_vec(), between, anchor: anchor.to_vec(), breaks: &[] }
    }

    /// A leaf, with what is published with it.
    pub fn below(what: impl Into<String>, der: &[u8], chain: &CaChain) -> Self {
        let between: Vec<&[u8]> = chain.intermediates().map(CaCertificate::der).collect();
        Self::new(what, der, &between, chain.anchor().der())
    }

    /// The result of webpki for its path. webpki never accepts a CA certificate as the first of a path, so
    /// for a CA only the paths of leaves below it are verified.
    fn webpki(&self) -> Result<(), webpki::Error> {
        let [der, anchor] = [&self.der, &self.anchor].map(|der| CertificateDer::from(der.as_slice()));
        let between: Vec<_> = self.between.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (anchors, now) = ([webpki::anchor_from_trusted_cert(&anchor)?], u64::try_from(NOW).unwrap());
        let certificate = webpki::EndEntityCert::try_from(&der)?;
        let verified = certificate.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &between,
            UnixTime::since_unix_epoch(Duration::from_secs(now)),
            webpki::KeyUsage::server_auth(),
            None,
            None,
        );
        match verified {
            Err(webpki::Error::CaUsedAsEndEntity) if is_ca(&self.der) => Ok(()),
            other => other.map(drop),
        }
    }
}

fn is_ca(der: &[u8]) -> bool {
    let certificate = x509_cert::Certificate::from_der(der).unwrap();
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>().unwrap();
    constraints.is_some_and(|(_, constraints)| constraints.ca)
}

/// The results of zlint's rules for RFC 5280, and of Go, webpki and the openssl command (with its strict
/// rules) for the path to the trust anchor.
pub fn nothing_is_wrong_with(made: &[Made]) {
    let wrong = faults(made);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the oracles find, one text for each fault.
fn faults(made: &[Made]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |made: &Made, oracle: &str, why: &dyn std::fmt::Debug| {
        wrong.push(format!("{}: {oracle}: {why:?}\n{}", made.what, hex(&made.der)));
    };
    let ders: Vec<Vec<u8>> = made.iter().map(|made| made.der.clone()).collect();
    let paths: Vec<Vec<u8>> = made
        .iter()
        .map(|made| {
            let between = made.between.concat();
            [NOW.to_be_bytes().as_slice(), &made.der, &between, &made.anchor].concat()
        })
        .collect();
    for (made, broken) in made.iter().zip(broken_rules(&ders)) {
        if broken != made.breaks {
            say(made, "zlint", &broken);
        }
    }
    for ((made, read), why) in made.iter().zip(verdicts(b'C', &ders)).zip(lines(b'V', &paths)) {
        if !read || !why.is_empty() {
            say(made, "Go", &(read, why));
        }
        if let Err(why) = made.webpki() {
            say(made, "webpki", &why);
        }
    }
    let mut by_path: BTreeMap<_, Vec<&Made>> = BTreeMap::new();
    for made in made {
        by_path.entry((&made.anchor, &made.between)).or_default().push(made);
    }
    for all in by_path.into_values() {
        if let Err(why) = openssl(&all) {
            say(all[0], "openssl, of all below this anchor", &why);
        }
    }
    wrong
}

/// Verifies the certificates of one path together, because a process for each would take long.
fn openssl(made: &[&Made]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, all: &[&Vec<u8>]| {
        let pem = |der: &&Vec<u8>| pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap();
        std::fs::write(dir.path().join(name), all.iter().map(pem).collect::<String>()).unwrap();
    };
    write("anchor", &[&made[0].anchor]);
    write("between", &made[0].between.iter().collect::<Vec<_>>());
    let mut verify = Command::new("openssl");
    verify.current_dir(&dir).args([
        "verify",
        "-x509_strict",
        "-attime",
        &NOW.to_string(),
        "-CAfile",
        "anchor",
    ]);
    if !made[0].between.is_empty() {
        verify.args(["-untrusted", "between"]);
    }
    for (at, made) in made.iter().enumerate() {
        write(&at.to_string(), &[&made.der]);
        verify.arg(at.to_string());
    }
    let output = verify.output().unwrap();
    let good = String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.ends_with(": OK")).count();
    if output.status.success() && good == made.len() {
        return Ok(());
    }
    let names: Vec<_> = made.iter().enumerate().map(|(at, made)| format!("{at}: {}", made.what)).collect();
    Err(format!("{}\n{}", String::from_utf8_lossy(&output.stderr), names.join("\n")))
}

#[test]
fn mutated_requests_that_go_refuses_are_never_accepted_and_what_is_issued_verifies() {
    let count = std::env::var("TCS_CSR_MUTANTS").map_or(SAMPLE, |count| count.parse().unwrap());
    let seeds: Vec<Vec<u8>> =
        vectors::requests().map(|(_, der, _)| der).filter(|der| der.len() < 8192).collect();
    let (mut random, resigned) = (Random::new(count as u64), Resigned::new());
    let (mut both, mut neither, mut stricter) = (0usize, 0usize, 0usize);
    let mut cas = Constrained::both();
    let mut left = count;
    while left > 0 {
        let batch: Vec<Vec<u8>> = (0..left.min(20_000))
            .map(|_| {
                let seed = &seeds[random.below(seeds.len())];
                let mut mutator = Mutator::new(&mut random);
                // Most are signed again: otherwise nearly all would be refused only because of their
                // signature.
                if mutator.one_in(8) { mutator.bytes(seed) } else { resigned.mutated(seed, &mut mutator) }
            })
            .collect();
        let mut accepted = Vec::new();
        for (der, go) in batch.iter().zip(verdicts(b'R', &batch)) {
            match (CertificateRequest::from_der(der), go) {
                (Ok(request), true) => accepted.push(request),
                (Err(_), false) => neither += 1,
                (Err(_), true) => stricter += 1,
                (Ok(_), false) => panic!("accepted, and Go refuses: {}", hex(der)),
            }
        }
        both += accepted.len();
        for ca in &mut cas {
            ca.issue_and_verify(&accepted);
        }
        left -= batch.len();
    }
    println!(
        "csr mutants: {count}: {both} accepted by both, {neither} refused by both, {stricter} refused here only"
    );
    cas.iter().for_each(Constrained::finish);
    assert!(both > count / 10 && neither > count / 10, "the mutants say nothing: {both}, {neither}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
