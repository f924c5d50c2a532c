//! Calls of the openssl command, which checks what we make with other code than ours.

use crate::support::test_cluster::TestCluster;
use std::path::{Path, PathBuf};
use std::process::Command;
use tcs_testkit::process::run;

/// Options that make a P-256 key.
pub const P256: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A PKCS #10 request (RFC 2986) for a new P-256 key, PEM. `options` are added to those of `openssl req`.
pub fn request(cluster: &TestCluster, options: &[&str]) -> Vec<u8> {
    std::fs::read(key_and_request(cluster, options).1).unwrap()
}

/// As [`request`], but the key and the request as files.
pub fn key_and_request(cluster: &TestCluster, options: &[&str]) -> (PathBuf, PathBuf) {
    let folder = cluster.new_folder("request");
    let (key, csr) = (folder.join("key.pem"), folder.join("csr.pem"));
    let mut openssl = openssl(&["req", "-new", "-nodes"]);
    openssl.args(P256).arg("-keyout").arg(&key).arg("-out").arg(&csr);
    if !options.contains(&"-subj") {
        openssl.args(["-subj", "/CN=workload"]);
    }
    run(openssl.args(options)).unwrap();
    (key, csr)
}

/// A request whose signature is that of another one: its last byte is changed. PEM.
pub fn request_with_wrong_signature(pem: &[u8]) -> String {
    let (label, mut der) = pem_rfc7468::decode_vec(pem).unwrap();
    *der.last_mut().unwrap() ^= 1;
    pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, &der).unwrap()
}

/// A certificate as text, with its names in the order of RFC 2253.
pub fn text(certificate: &Path) -> String {
    print(certificate, &["-text", "-nameopt", "RFC2253"])
}

/// `notAfter` minus `notBefore` of a certificate, in seconds.
pub fn lifetime(certificate: &Path) -> i64 {
    let dates = print(certificate, &["-dates", "-dateopt", "iso_8601"]);
    let seconds = |line: &str| {
        let time = line.split_once('=').unwrap().1.replace(' ', "T");
        time.parse::<jiff::Timestamp>().unwrap().as_second()
    };
    let times: Vec<i64> = dates.lines().map(seconds).collect();
    times[1] - times[0]
}

/// The SHA-256 fingerprint of a certificate, lower-case hex.
pub fn fingerprint(certificate: &Path) -> String {
    let printed = print(certificate, &["-fingerprint", "-sha256"]);
    printed.split_once('=').unwrap().1.trim().replace(':', "").to_lowercase()
}

/// What `openssl x509 -noout` prints about a certificate.
pub fn print(certificate: &Path, options: &[&str]) -> String {
    run(openssl(&["x509", "-noout"]).args(options).arg("-in").arg(certificate)).unwrap()
}

/// The subject and the alternative names of a certificate (`x509`) or a request (`req`), as its bytes say.
pub fn names(file: &Path, kind: &str) -> String {
    let options = ["-noout", "-text", "-nameopt", "RFC2253,sep_multiline,show_type,dump_der,dump_all"];
    let text = run(openssl(&[kind]).args(options).arg("-in").arg(file)).unwrap();
    let part = |from: &str, lines: usize| {
        let lines = text.lines().skip_while(|line| !line.trim_start().starts_with(from)).take(lines);
        lines.map(|line| line.trim().replace("critical", "").trim_end().to_owned()).collect::<Vec<_>>()
    };
    let mut subject = part("Subject:", 8);
    let end = subject.iter().position(|line| line.starts_with("Subject Public Key Info")).unwrap();
    subject.truncate(end);
    [subject, part("X509v3 Subject Alternative Name", 2)].concat().join("\n")
}

/// Verifies certificates against trust anchors.
pub fn verify(anchors: &Path, leaves: &[&PathBuf]) {
    run(openssl(&["verify", "-CAfile"]).arg(anchors).args(leaves)).unwrap();
}

/// Verifies a certificate below intermediates against trust anchors.
pub fn verify_below(anchors: &Path, intermediates: &Path, leaf: &Path) {
    let mut openssl = openssl(&["verify", "-CAfile"]);
    run(openssl.arg(anchors).arg("-untrusted").arg(intermediates).arg(leaf)).unwrap();
}

/// Verifies a certificate below intermediates against trust anchors, with `-x509_strict`.
pub fn verify_strict(anchors: &Path, intermediates: &[&Path], leaf: &Path) -> Result<String, String> {
    let mut openssl = openssl(&["verify", "-x509_strict", "-CAfile"]);
    openssl.arg(anchors);
    for certificate in intermediates {
        openssl.arg("-untrusted").arg(certificate);
    }
    run(openssl.arg(leaf)).map_err(|error| format!("{error:#}"))
}

fn openssl(arguments: &[&str]) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.args(arguments);
    openssl
}
