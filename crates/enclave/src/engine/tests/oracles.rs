//! Independent verifiers: the openssl command and Go.

use super::fixture::NOW;
use std::io::Write as _;
use std::process::{Command, Stdio};
use tcs_enclave_rpc::{CaInfo, Issued};

/// What openssl and Go say of a leaf for server authentication with exactly what is published: the chain in
/// `tls.crt` and the trust anchor in `ca.crt`.
pub fn accept(issued: &Issued, ca: &CaInfo, now: i64) -> [bool; 2] {
    let slices = |all: &[tcs_enclave_rpc::ByteVec]| all.iter().map(|der| der.to_vec()).collect::<Vec<_>>();
    let (chain, anchors) = (slices(&issued.chain), slices(&ca.anchors));
    [openssl_accepts_at(&chain, &anchors, now), go_accepts_at(&chain, &anchors[0], now)]
}

/// Go's `Certificate.Verify` for a chain, leaf first, under this trust anchor, at a time in Unix seconds.
fn go_accepts_at(chain: &[Vec<u8>], anchor: &[u8], now: i64) -> bool {
    let record = [now.to_be_bytes().as_slice(), &chain.concat(), anchor].concat();
    let length = u32::try_from(record.len()).unwrap().to_be_bytes();
    let mut go = Command::new(tcs_go_oracle::program().unwrap());
    let mut go = go.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    go.stdin.take().unwrap().write_all(&[b"V", length.as_slice(), &record].concat()).unwrap();
    let output = go.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.ends_with(b"\n"));
    output.stdout == b"\n"
}

/// `openssl verify`: an independent verifier of a chain, leaf first, under these trust anchors.
pub fn openssl_accepts(chain: &[impl AsRef<[u8]>], anchors: &[impl AsRef<[u8]>]) -> bool {
    openssl_accepts_at(chain, anchors, NOW)
}

/// The same at another time, Unix seconds.
pub fn openssl_accepts_at(chain: &[impl AsRef<[u8]>], anchors: &[impl AsRef<[u8]>], now: i64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, certificates: &[Vec<u8>]| {
        let path = dir.path().join(name);
        std::fs::write(&path, certificates.concat()).unwrap();
        path
    };
    let (leaf, above) = chain.split_first().unwrap();
    let pem_all = |all: Vec<&[u8]>| all.into_iter().map(pem).collect::<Vec<_>>();
    let anchors = file("anchors", &pem_all(anchors.iter().map(AsRef::as_ref).collect()));
    let leaf = file("leaf", &[pem(leaf.as_ref())]);
    let mut command = Command::new("openssl");
    command
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime", &now.to_string(), "-CAfile"])
        .arg(anchors);
    if !above.is_empty() {
        let above = file("above", &pem_all(above.iter().map(AsRef::as_ref).collect()));
        command.arg("-untrusted").arg(above);
    }
    command.arg(leaf).stdout(Stdio::null()).status().unwrap().success()
}

fn pem(certificate: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["x509", "-inform", "DER"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), certificate).unwrap();
    child.wait_with_output().unwrap().stdout
}
