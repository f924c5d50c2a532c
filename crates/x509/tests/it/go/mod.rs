//! Go's `crypto/x509` as a second opinion (`hack/judge`): what it refuses of requests is never accepted here, and it reads every
//! certificate made here. `TCS_CSR_MUTANTS` says how many mutated requests are judged; `cargo xtask csr-mutants` asks for 500,000.

pub mod mutate;

use crate::vectors;
use mutate::{Mutator, Random, Resigned};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tcs_x509::{CertificateRequest, Profile, Usage, issue};

/// Every kind of key.
pub const KINDS: [&rcgen::SignatureAlgorithm; 5] = [
    &rcgen::PKCS_ECDSA_P256_SHA256,
    &rcgen::PKCS_ECDSA_P384_SHA384,
    &rcgen::PKCS_ECDSA_P521_SHA512,
    &rcgen::PKCS_ED25519,
    &rcgen::PKCS_RSA_SHA256,
];

/// Mutants judged in `cargo test`.
const SAMPLE: usize = 6_000;

/// Builds the judge once.
fn judge() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-judge");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../hack/judge");
        let mut go = Command::new("go");
        let built = go.args(["build", "-o"]).arg(&out).arg(".").current_dir(source).output();
        let built = built.unwrap_or_else(|error| panic!("these tests need Go 1.26 as their judge: {error}"));
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        out
    })
}

/// Go's verdicts on DER of one kind: `R` for requests, `C` for certificates.
pub fn verdicts(kind: u8, all: &[Vec<u8>]) -> Vec<bool> {
    let answers = answers(kind, all);
    assert_eq!(answers.len(), all.len());
    answers.iter().map(|answer| *answer == b'1').collect()
}

/// The rules of RFC 5280 that each certificate breaks, as zlint names them.
fn broken_rules(all: &[Vec<u8>]) -> Vec<Vec<String>> {
    let answers = String::from_utf8(answers(b'L', all)).unwrap();
    let rules = |line: &str| line.split(',').filter(|rule| !rule.is_empty()).map(str::to_owned).collect();
    let broken: Vec<Vec<String>> = answers.lines().map(rules).collect();
    assert_eq!(broken.len(), all.len());
    broken
}

fn answers(kind: u8, all: &[Vec<u8>]) -> Vec<u8> {
    let mut child = Command::new(judge()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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
fn the_judge_gives_the_recorded_verdicts() {
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

#[test]
fn go_and_webpki_read_every_certificate_that_is_made() {
    let mut made = Vec::new();
    for algorithm in KINDS {
        let ca = crate::ca(algorithm);
        for (_, der, _) in vectors::requests() {
            let Ok(request) = CertificateRequest::from_der(&der) else { continue };
            let usages = [Usage::DigitalSignature, Usage::ServerAuth];
            if let Ok(leaf) = issue(&crate::ask(&request, &usages, None), &ca.chain(), &ca) {
                made.push(leaf.der);
            }
        }
    }
    assert!(made.len() > 150, "{}", made.len());
    let refused = verdicts(b'C', &made).iter().filter(|accepted| !**accepted).count();
    assert_eq!(refused, 0, "of {}", made.len());
    for der in &made {
        let der = rustls_pki_types::CertificateDer::from(der.as_slice());
        webpki::EndEntityCert::try_from(&der).unwrap();
    }
}

/// Self-signed CAs of every kind of key, and leaves of every kind of key under them through every door.
#[test]
fn no_certificate_breaks_a_rule_of_rfc_5280() {
    let (mut made, mut anchors) = (Vec::new(), Vec::new());
    let usages = [Usage::DigitalSignature, Usage::ServerAuth];
    for algorithm in KINDS {
        let ca = crate::self_signed::root(algorithm);
        anchors.push(ca.der.clone());
        for kind in KINDS {
            let pair = rcgen::KeyPair::generate_for(kind).unwrap();
            for with_subject in [true, false] {
                let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
                parameters
                    .subject_alt_names
                    .push(rcgen::SanType::URI("spiffe://a.example/ns/b".try_into().unwrap()));
                parameters.distinguished_name = rcgen::DistinguishedName::new();
                if with_subject {
                    parameters.distinguished_name.push(rcgen::DnType::CommonName, "workload");
                }
                let der = parameters.serialize_request(&pair).unwrap().der().to_vec();
                let request = CertificateRequest::from_der(&der).unwrap();
                for profile in [Profile::KubernetesCsr, Profile::CertManager, Profile::PodCertificate] {
                    let ask = tcs_x509::LeafRequest { profile, ..crate::ask(&request, &usages, None) };
                    made.push(issue(&ask, &ca.chain(), &ca).unwrap().der);
                }
            }
        }
    }
    assert_eq!((made.len(), anchors.len()), (150, 5));
    made.extend(anchors.iter().cloned());
    nothing_is_wrong_with(&made);
    for anchor in &anchors {
        webpki::anchor_from_trusted_cert(&rustls_pki_types::CertificateDer::from(anchor.as_slice())).unwrap();
    }
    // The judge does find what is wrong.
    let bad = crate::self_signed::without_key_id("CA", &rcgen::KeyPair::generate().unwrap());
    assert!(broken_rules(&[bad])[0].iter().any(|rule| rule.contains("subject_key_identifier")));
}

/// By zlint's rules of RFC 5280, and as Go reads them.
pub fn nothing_is_wrong_with(made: &[Vec<u8>]) {
    for (der, broken) in made.iter().zip(broken_rules(made)) {
        assert!(broken.is_empty(), "{broken:?}\n{}", hex(der));
    }
    assert!(verdicts(b'C', made).iter().all(|read| *read), "Go reads them, too");
}

#[test]
fn mutated_requests_that_go_refuses_are_never_accepted() {
    let count = std::env::var("TCS_CSR_MUTANTS").map_or(SAMPLE, |count| count.parse().unwrap());
    let seeds: Vec<Vec<u8>> =
        vectors::requests().map(|(_, der, _)| der).filter(|der| der.len() < 8192).collect();
    let (mut random, resigned) = (Random::new(count as u64), Resigned::new());
    let (mut both, mut neither, mut stricter) = (0usize, 0usize, 0usize);
    let mut left = count;
    while left > 0 {
        let batch: Vec<Vec<u8>> = (0..left.min(20_000))
            .map(|_| {
                let seed = &seeds[random.below(seeds.len())];
                let mut mutator = Mutator::new(&mut random);
                // Most are signed anew: else nearly all would be refused for their signature alone.
                if mutator.one_in(8) { mutator.bytes(seed) } else { resigned.mutated(seed, &mut mutator) }
            })
            .collect();
        for (der, go) in batch.iter().zip(verdicts(b'R', &batch)) {
            match (CertificateRequest::from_der(der).is_ok(), go) {
                (true, true) => both += 1,
                (false, false) => neither += 1,
                (false, true) => stricter += 1,
                (true, false) => panic!("accepted, and Go refuses: {}", hex(der)),
            }
        }
        left -= batch.len();
    }
    println!(
        "csr mutants: {count}: {both} accepted by both, {neither} refused by both, {stricter} refused here only"
    );
    assert!(both > count / 10 && neither > count / 10, "the mutants say nothing: {both}, {neither}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
