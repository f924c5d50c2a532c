//! CAs with name constraints of every kind, and what is issued for mutated requests below them: openssl and
//! Go verify it.

use super::lines;
use super::mutate::tlv;
use crate::chain::root;
use crate::{Ca, NOW, issued};
use pem_rfc7468::LineEnding;
use std::process::Command;
use tcs_x509::{CaChain, CertificateRequest};

/// Number of certificates that openssl verifies below each CA. Go verifies all.
const OPENSSL: usize = 4_000;
/// Number of certificates for each openssl process.
const AT_ONCE: usize = 500;

/// Attributes of subjects.
const FINLAND: &[u8] = b"\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02FI";
const EVIL: &[u8] = b"\x31\x0d\x30\x0b\x06\x03\x55\x04\x0a\x0c\x04Evil";

/// Bases of subtrees, by their tags: e-mail addresses, DNS names, directory names, URIs and addresses.
fn permitted() -> Vec<Vec<u8>> {
    vec![
        tlv(0x81, b"b.example"),
        tlv(0x82, b"example"),
        tlv(0x82, b"e.com"),
        tlv(0x82, b"example.com"),
        tlv(0xa4, &tlv(0x30, FINLAND)),
        tlv(0x86, b"cluster.local"),
        tlv(0x86, b"h.example"),
        tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]),
        tlv(0x87, &[&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 12], &[0xff; 4], &[0; 12]].concat()),
    ]
}

/// Some of them are one change away from names of the vectors.
fn excluded() -> Vec<Vec<u8>> {
    vec![
        tlv(0x81, b"c.example"),
        tlv(0x81, b"b@b.example"),
        tlv(0x82, b"c.example"),
        tlv(0x82, b".y.example"),
        tlv(0xa4, &tlv(0x30, &[FINLAND, EVIL].concat())),
        tlv(0x86, b"i.example"),
        tlv(0x86, b".cluster.local"),
        tlv(0x87, &[10, 0, 0, 2, 255, 255, 255, 255]),
        tlv(0x87, &[&[0x20, 0x01, 0x0d, 0xb9][..], &[0; 12], &[0xff; 4], &[0; 12]].concat()),
    ]
}

pub struct Constrained {
    what: &'static str,
    ca: Ca,
    chain: CaChain,
    issued: usize,
    refused: usize,
    /// With nothing but kinds of names that Go does not know in a critical extension (RFC 5280, section
    /// 4.2.1.6, requires it to be critical if the subject is empty).
    unknown_to_go: usize,
    by_openssl: usize,
}

impl Constrained {
    /// One CA excludes names of every kind, the other one also permits names of every kind.
    pub fn both() -> [Self; 2] {
        [("excluded", Vec::new()), ("permitted and excluded", permitted())].map(|(what, permitted)| {
            let list = |tag: u8, all: &[Vec<u8>]| {
                let subtrees: Vec<u8> = all.iter().flat_map(|base| tlv(0x30, base)).collect();
                if all.is_empty() { Vec::new() } else { tlv(tag, &subtrees) }
            };
            let value = tlv(0x30, &[list(0xa0, &permitted), list(0xa1, &excluded())].concat());
            // Not critical: Go refuses all critical name constraints with directory names.
            let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], value);
            let ca = root(|parameters| parameters.custom_extensions = vec![extension]).signer();
            let chain = ca.chain();
            Self { what, ca, chain, issued: 0, refused: 0, unknown_to_go: 0, by_openssl: 0 }
        })
    }

    /// Issues certificates for these requests, and has them verified.
    pub fn issue_and_verify(&mut self, requests: &[CertificateRequest]) {
        let made: Vec<Vec<u8>> = requests
            .iter()
            .filter_map(|request| issued(&self.ca, request, None).ok())
            .map(|leaf| leaf.der)
            .collect();
        self.issued += made.len();
        self.refused += requests.len() - made.len();
        let anchor = self.chain.anchor().der();
        let records: Vec<Vec<u8>> =
            made.iter().map(|leaf| [NOW.to_be_bytes().as_slice(), leaf, anchor].concat()).collect();
        for (leaf, why) in made.iter().zip(lines(b'V', &records)) {
            if why == "x509: unhandled critical extension" {
                self.unknown_to_go += 1;
            } else {
                assert_eq!(why, "", "Go, {}: {}", self.what, super::hex(leaf));
            }
        }
        let sample = made.len().min(OPENSSL.saturating_sub(self.by_openssl));
        for some in made[..sample].chunks(AT_ONCE) {
            self.verify_with_openssl(some);
        }
        self.by_openssl += sample;
    }

    fn verify_with_openssl(&self, made: &[Vec<u8>]) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca"), &self.ca.pem).unwrap();
        let mut verify = Command::new("openssl");
        verify.current_dir(&dir).args(["verify", "-attime", &NOW.to_string(), "-CAfile", "ca"]);
        for (at, leaf) in made.iter().enumerate() {
            let pem = pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, leaf).unwrap();
            std::fs::write(dir.path().join(at.to_string()), pem).unwrap();
            verify.arg(at.to_string());
        }
        let output = verify.output().unwrap();
        let (good, bad) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let refused = (0..made.len()).find(|at| !good.lines().any(|line| line == format!("{at}: OK")));
        assert!(refused.is_none(), "openssl, {}: {bad}\n{}", self.what, super::hex(&made[refused.unwrap()]));
    }

    /// Prints the numbers, and checks that they prove something.
    pub fn finish(&self) {
        println!(
            "below a CA with names {}: {} issued, {} of them with names that Go does not know, {} verified by openssl, the rest by Go; {} refused",
            self.what, self.issued, self.unknown_to_go, self.by_openssl, self.refused
        );
        assert!(self.issued > 100 && self.refused > 10, "{} {}", self.issued, self.refused);
        assert!(self.unknown_to_go < self.issued / 10);
    }
}
