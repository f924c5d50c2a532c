//! Names of hosts, in alternative names and in common names.

use super::{
    CASES_NOW, SERVER, certificates, key, leaf, message, oracles_accept, request, test_ca, with_name,
};
use crate::chain::root;
use crate::go::verdicts;
use crate::{Ca, NOW};
use rcgen::{DnType, GeneralSubtree, NameConstraints, SanType};
use std::process::Command;
use tcs_x509::{CaChain, CertificateRequest, Error};

const DNS: u8 = 0x82;

/// Names, and a host that each stands for.
const NAMES: [(&str, &str); 10] = [
    ("a.example", "a.example"),
    ("A.Example", "a.example"),
    ("localhost", "localhost"),
    ("*.a.example", "x.a.example"),
    ("_dmarc.a.example", "_dmarc.a.example"),
    ("my_service.ns.svc", "my_service.ns.svc"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("3com.example", "3com.example"),
    ("10.in-addr.arpa", "10.in-addr.arpa"),
    ("a--b.example", "a--b.example"),
];

/// Texts that are no DNS names, and what the message says.
fn no_names() -> Vec<(String, &'static str)> {
    let label = |length: usize| "x".repeat(length);
    let long = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
    let mut all: Vec<(String, &str)> = [
        ("10.0.0.1", "IP address"),
        ("2001:db8::1", "IP address"),
        ("127.1", "number"),
        ("0x7f000001", "number"),
        ("a.example.1", "number"),
        ("https://svc.example/", "URI"),
        ("a.example/x", "only letters"),
        ("a.example:443", "only letters"),
        ("user@a.example", "only letters"),
        ("a.example,b.example", "several names"),
        ("a.example;b.example", "several names"),
        ("", "it is empty"),
        ("a..example", "empty label"),
        (".a.example", "empty label"),
        ("a.example.", "ends with a dot"),
        ("a.example..", "ends with a dot"),
        ("*", "wildcard alone"),
        ("a.*.example", "wildcard"),
        ("*.*.example", "wildcard"),
        ("**.example", "wildcard"),
        ("a*.example", "wildcard"),
        ("*.", "ends with a dot"),
        ("-a.example", "hyphen"),
        ("a-.example", "hyphen"),
        ("a b.example", "blank"),
        ("b\u{fc}cher.example", "outside ASCII"),
        ("a!.example", "only letters"),
    ]
    .map(|(name, why)| (name.to_owned(), why))
    .to_vec();
    all.push((label(64) + ".example", "more than 63"));
    all.push((long(62), "longer than 253"));
    all
}

fn read(name: &str) -> Result<CertificateRequest, Error> {
    CertificateRequest::from_der(&with_name(DNS, name))
}

#[test]
fn case_p30_dns_names_are_names_and_nothing_else() {
    let ca = test_ca();
    for (name, host) in NAMES {
        let leaf = crate::issued(&ca, &read(name).unwrap(), None).unwrap().der;
        let record = [host.as_bytes(), &[0], &leaf].concat();
        assert_eq!(verdicts(b'H', &[record]), [true], "Go: {name}");
        assert!(openssl_finds(host, &leaf), "openssl: {name}");
    }
    // openssl matches no wildcard directly below a top level.
    let leaf = crate::issued(&ca, &read("*.example").unwrap(), None).unwrap().der;
    assert_eq!(verdicts(b'H', &[[&b"x.example\0"[..], leaf.as_slice()].concat()]), [true]);
    let longest = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
    assert!(longest.len() == 253 && read(&longest).is_ok());
    for (name, why) in no_names() {
        let message = message(read(&name), "IdentityForbidden");
        assert!(message.contains(why), "{name}: {message}");
        assert!(name.len() > 60 || !name.is_ascii() || message.contains(&format!("\"{name}\"")), "{message}");
    }
    for (file, why) in
        [("dns-ip.csr", "IP address"), ("dns-https.csr", "URI"), ("dns-comma.csr", "several names")]
    {
        assert!(message(request(file), "IdentityForbidden").contains(why), "{file}");
    }
    // Go refuses fewer.
    let refused: Vec<Vec<u8>> = no_names().iter().map(|(name, _)| with_name(DNS, name)).collect();
    let by_go = verdicts(b'R', &refused).into_iter().filter(|accepted| !accepted).count();
    assert!((1..refused.len()).contains(&by_go), "{by_go}");
}

fn openssl_finds(host: &str, leaf: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), leaf).unwrap();
    let mut x509 = Command::new("openssl");
    x509.args(["x509", "-inform", "DER", "-noout", "-checkhost", host, "-in"]).arg(file.path());
    String::from_utf8(x509.output().unwrap().stdout).unwrap().contains("does match")
}

/// A CA with DNS names permitted and excluded.
fn constrained(permitted: &[&str], excluded: &[&str]) -> Ca {
    let subtrees =
        |names: &[&str]| names.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned())).collect();
    let root = root(|parameters| {
        parameters.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees(permitted),
            excluded_subtrees: subtrees(excluded),
        });
    });
    root.signer()
}

/// A request with this common name and one URI, or one DNS name, besides.
fn named(common_name: &str, dns: Option<&str>) -> CertificateRequest {
    let der = crate::request(|parameters| {
        parameters.distinguished_name.push(DnType::CommonName, common_name);
        parameters.subject_alt_names = vec![match dns {
            Some(name) => SanType::DnsName(name.try_into().unwrap()),
            None => SanType::URI("spiffe://td.example/ns/a/sa/b".try_into().unwrap()),
        }];
    });
    CertificateRequest::from_der(&der).unwrap()
}

#[test]
fn case_p26_a_dns_constraint_says_nothing_of_a_common_name_that_is_no_host() {
    let chain = CaChain::from_delivered(&certificates("ncdns.crt"), CASES_NOW).unwrap();
    let made = leaf((&chain, &key("ncdns.key")), &request("cn-smith-uri.csr").unwrap(), &SERVER, CASES_NOW);
    assert_eq!(oracles_accept(SERVER[1], &made.unwrap(), &chain, CASES_NOW), [true, true]);
    let (inside, outside) = (constrained(&["example.com"], &[]), constrained(&[], &["corp.example"]));
    for name in
        ["Dr. No", "Acme Inc.", "R2 D2 v1.5", "x@mail.example", "urn:x.y", "O'Neill.Smith", "workload"]
    {
        for ca in [&inside, &outside] {
            let leaf = crate::issued(ca, &named(name, None), None).unwrap().der;
            assert_eq!(oracles_accept(SERVER[1], &leaf, &ca.chain(), NOW), [true, true], "{name}");
        }
    }
}

#[test]
fn case_p26_what_could_be_a_host_in_a_common_name_stays_constrained() {
    let (inside, outside) =
        (constrained(&["example.com"], &[]), constrained(&[], &["corp.example", "admin"]));
    let refused = |ca: &Ca, name: &str, dns| {
        crate::issued(ca, &named(name, dns), None).err().map(Error::code) == Some("IdentityForbidden")
    };
    for name in ["bank.example", "*.bank.example", "*", "bank.example.", "_x.bank.example", " bank.example "]
    {
        assert!(refused(&inside, name, None), "{name}");
        assert!(!refused(&inside, name, Some("a.example.com")), "programs look at the DNS names: {name}");
    }
    for name in ["a.example.com", "EXAMPLE.com", "*.example.com", "a.example.com."] {
        assert!(!refused(&inside, name, None), "{name}");
    }
    // Exclusions hold whatever the alternative names are.
    for name in [
        "admin.corp.example",
        "admin.corp.example.",
        "ADMIN.corp.example..",
        "*.corp.example",
        "*.example",
        "adm*.corp.example",
        "admin..corp.example",
        "admin\u{3002}corp\u{ff0e}example",
        "Admin",
        "admin.",
    ] {
        for dns in [None, Some("a.example.com")] {
            assert!(refused(&outside, name, dns), "{name} {dns:?}");
        }
    }
    assert!(!refused(&outside, "web.example.com", None));
}
