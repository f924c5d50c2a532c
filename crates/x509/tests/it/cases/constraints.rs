//! Name constraints: which of them are read, and e-mail addresses in subjects below them.

use super::{Key, SERVER, leaf, message, oracles_on_path, unchecked_leaf};
use crate::NOW;
use crate::chain::{Delivered, root};
use crate::go::mutate::tlv;
use crate::go::verdicts;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair, SanType};
use tcs_x509::{CaChain, CertificateRequest};

/// A root with these bases of permitted and excluded names. The constraints are not critical.
pub fn constrained(name: &str, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Delivered {
    constrained_root(name, permitted, excluded, |_| ())
}

/// The same, changed.
pub fn constrained_root(
    name: &str,
    permitted: &[Vec<u8>],
    excluded: &[Vec<u8>],
    change: impl FnOnce(&mut CertificateParams),
) -> Delivered {
    let list = |tag: u8, all: &[Vec<u8>]| {
        let subtrees: Vec<u8> = all.iter().flat_map(|base| tlv(0x30, base)).collect();
        if all.is_empty() { Vec::new() } else { tlv(tag, &subtrees) }
    };
    let value = tlv(0x30, &[list(0xa0, permitted), list(0xa1, excluded)].concat());
    root(|parameters| {
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 30], value)];
        change(parameters);
    })
}

/// Adds an e-mail address to a subject.
pub fn mailbox(subject: &mut DistinguishedName, value: DnValue) {
    subject.push(DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), value);
}

/// Bases that Go cannot read. It reads no certificate with one of them.
#[test]
fn case_p26_constraints_that_go_does_not_read_are_refused() {
    for base in [
        tlv(0x86, b"10.0.0.1"),
        tlv(0x81, b"a b@c.example"),
        tlv(0x81, b"a..b@c.example"),
        tlv(0x81, b".a@c.example"),
        tlv(0x82, b"a..example"),
    ] {
        let one = std::slice::from_ref(&base);
        for ca in [constrained("root", one, &[]), constrained("root", &[], one)] {
            let said = message(CaChain::from_delivered(&[&ca.der], NOW), "CertificateUnsupported");
            assert!(said.contains("one of its name constraints is malformed"), "{said}");
            assert_eq!(verdicts(b'C', &[ca.der]), [false], "{base:x?}");
        }
    }
    // Go reads a range with bits behind its mask, and may then miss it when it looks for an address.
    let range = |first: u8, last: u8| tlv(0x87, &[first, 0, 0, last, 255, 0, 0, 0]);
    let ca = constrained("root", &[range(1, 0), range(10, 9)], &[]);
    let leaf = unchecked_leaf(&ca, |leaf| {
        leaf.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())];
    });
    assert_eq!(oracles_on_path(SERVER[1], &leaf, &[], &ca.der, NOW), [false, true], "Go, openssl");
    message(CaChain::from_delivered(&[&ca.der], NOW), "CertificateUnsupported");
}

#[test]
fn case_p26_addresses_in_the_subject_are_mailboxes_inside() {
    let of_emails = constrained("root", &[tlv(0x81, b"a.example")], &[tlv(0x81, b"bad@a.example")]);
    let of_hosts = constrained("root", &[tlv(0x82, b"a.example")], &[]);
    let issue = |ca: &Delivered, value: &DnValue| {
        let change = |parameters: &mut CertificateParams| {
            mailbox(&mut parameters.distinguished_name, value.clone());
        };
        let request = CertificateRequest::from_der(&crate::request(change)).unwrap();
        let chain = CaChain::from_delivered(&[&ca.der], NOW).unwrap();
        let signer = Key(KeyPair::try_from(ca.pair.serialized_der()).unwrap());
        let issued = leaf((&chain, &signer), &request, &SERVER, NOW);
        let oracles = oracles_on_path(SERVER[1], &unchecked_leaf(ca, change), &[], &ca.der, NOW);
        (issued, oracles)
    };
    let ia5 = |text: &str| DnValue::Ia5String(text.try_into().unwrap());
    for (ca, address) in [
        (&of_emails, "x@a.example"),
        (&of_emails, "x.y+z@A.example"),
        (&of_hosts, "x@b.example"),
        (&of_hosts, "no mailbox"),
    ] {
        assert!(issue(ca, &ia5(address)).0.is_ok(), "{address}");
    }
    for address in ["x@b.example", "bad@a.example", "x@b.a.example", "nobody", "x@y@a.example"] {
        let (issued, oracles) = issue(&of_emails, &ia5(address));
        let said = message(issued, "IdentityForbidden");
        let shown = format!(
            "the e-mail address \"{address}\" in the subject is outside the name constraints of the CA certificate \"CN=root\""
        );
        assert!(said.contains(&shown), "{said}");
        // openssl looks at what is behind the last @ only.
        assert_eq!(oracles, [true, address == "x@y@a.example"], "Go, openssl: {address}");
    }
    for ca in [&of_emails, &of_hosts] {
        let (issued, oracles) = issue(ca, &DnValue::Utf8String("x@a.example".to_owned()));
        let said = message(issued, "IdentityForbidden");
        assert!(said.contains("which is no IA5String"), "{said}");
        assert_eq!(oracles, [true, false], "Go, openssl");
    }
}

/// A refusal says which name and which CA.
#[test]
fn case_p26_a_refusal_names_the_name_and_the_ca() {
    let ca =
        constrained("Acme Root", &[tlv(0x82, b"a.example"), tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0])], &[]);
    let chain = CaChain::from_delivered(&[&ca.der], NOW).unwrap();
    let signer = Key(KeyPair::try_from(ca.pair.serialized_der()).unwrap());
    let of = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let common_name = |parameters: &mut CertificateParams| {
        parameters.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())];
        parameters.distinguished_name.push(DnType::CommonName, "b.example");
    };
    let names =
        |names: Vec<SanType>| move |parameters: &mut CertificateParams| parameters.subject_alt_names = names;
    let requests = [
        (crate::request(names(vec![of("x.a.example"), of("x.b.example")])), "the DNS name \"x.b.example\""),
        (crate::request(names(vec![SanType::IpAddress([11, 0, 0, 1].into())])), "the IP address 11.0.0.1"),
        (crate::request(common_name), "the common name \"b.example\""),
    ];
    for (request, name) in requests {
        let request = CertificateRequest::from_der(&request).unwrap();
        let said = message(leaf((&chain, &signer), &request, &SERVER, NOW), "IdentityForbidden");
        let why = format!("{name} is outside the name constraints of the CA certificate \"CN=Acme Root\"");
        assert!(said.ends_with(&why), "{said}");
    }
}
