//! Certificates and requests that others met trouble with in public, and their kinds. The openssl command and
//! Go are the oracles.

mod accepted;
mod dns_names;
mod istio;
mod paths;
mod uris;
mod usages;

use crate::go::lines;
use crate::go::mutate::{Resigned, tlv};
use crate::memory::{common_name, names, subject};
use crate::{Ca, DAY, params, sign_with};
use pem_rfc7468::LineEnding;
use rcgen::KeyPair;
use std::path::{Path, PathBuf};
use std::process::Command;
use tcs_x509::{CaChain, CertificateRequest, Error, IssuanceRequest, Signer, Usage, issue};

/// A time at which the certificates in `tests/data/cases` are valid.
const CASES_NOW: i64 = 1_796_100_000;

const SERVER: [Usage; 2] = [Usage::DigitalSignature, Usage::ServerAuth];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases").join(name)
}

/// The certificates of a PEM file.
fn certificates(name: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    let blocks = text.split_inclusive("-----END CERTIFICATE-----\n").filter(|block| block.contains("BEGIN"));
    blocks.map(|block| pem_rfc7468::decode_vec(block.trim_start().as_bytes()).unwrap().1).collect()
}

fn request(name: &str) -> Result<CertificateRequest, Error> {
    let (_, der) = pem_rfc7468::decode_vec(&std::fs::read(file(name)).unwrap()).unwrap();
    CertificateRequest::from_der(&der)
}

/// A key that signs.
struct Key(KeyPair);

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sign_with(&self.0, message))
    }
}

fn key(name: &str) -> Key {
    Key(KeyPair::from_pem(&std::fs::read_to_string(file(name)).unwrap()).unwrap())
}

/// A leaf, issued at this time.
fn leaf(
    (chain, key): (&CaChain, &dyn Signer),
    request: &CertificateRequest,
    usages: &[Usage],
    now: i64,
) -> Result<Vec<u8>, Error> {
    let params = IssuanceRequest { now, earliest: now - DAY, ..params(request, usages, None) };
    issue(&params, chain, key).map(|issued| issued.der)
}

/// What the oracles say about a path for server or client authentication: Go, and the openssl command without
/// its strict rules.
fn oracles_accept(usage: Usage, leaf: &[u8], chain: &CaChain, now: i64) -> [bool; 2] {
    let between: Vec<&[u8]> = chain.chain().map(tcs_x509::CaCertificate::der).collect();
    oracles_on_path(usage, leaf, &between, chain.anchor().der(), now)
}

fn oracles_on_path(usage: Usage, leaf: &[u8], between: &[&[u8]], anchor: &[u8], now: i64) -> [bool; 2] {
    let kind = if usage == Usage::ClientAuth { b'W' } else { b'V' };
    let record = [now.to_be_bytes().as_slice(), leaf, &between.concat(), anchor].concat();
    let go = lines(kind, &[record]).remove(0);
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, all: &[&[u8]]| {
        let pem = |der: &&[u8]| pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap();
        std::fs::write(dir.path().join(name), all.iter().map(pem).collect::<String>()).unwrap();
    };
    write("anchor", &[anchor]);
    write("between", between);
    write("leaf", &[leaf]);
    let purpose = if usage == Usage::ClientAuth { "sslclient" } else { "sslserver" };
    let mut verify = Command::new("openssl");
    verify.current_dir(&dir).args(["verify", "-partial_chain", "-purpose", purpose]);
    verify.args(["-attime", &now.to_string(), "-CAfile", "anchor", "-untrusted", "between", "leaf"]);
    [go.is_empty(), verify.output().unwrap().status.success()]
}

/// A request with a common name and one alternative name with this tag.
fn with_name(tag: u8, name: &str) -> Vec<u8> {
    Resigned::new().request(&subject(&common_name(b"workload 1")), &names(&tlv(tag, name.as_bytes())))
}

/// The message of a refusal with this code.
fn message<T>(result: Result<T, Error>, code: &str) -> String {
    let error = result.err().expect("it is accepted");
    assert_eq!(error.clone().code(), code, "{error}");
    error.to_string()
}

fn test_ca() -> Ca {
    crate::ca(&rcgen::PKCS_ECDSA_P256_SHA256)
}
