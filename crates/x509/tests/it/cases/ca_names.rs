//! Alternative names and e-mail addresses of CA certificates below name constraints.

use super::constraints::{constrained, mailbox};
use super::{Key, SERVER, leaf, message, oracles_on_path, unchecked_leaf};
use crate::chain::{Delivered, below};
use crate::go::mutate::tlv;
use crate::{NOW, plain};
use rcgen::{CertificateParams, DnValue, KeyPair, SanType};
use tcs_x509::CaChain;

/// What we and the oracles say of a CA below, or the message.
fn outcome(ca: &Delivered, above: &[&Delivered]) -> Result<(), String> {
    let delivered: Vec<&Vec<u8>> =
        std::iter::once(ca).chain(above.iter().copied()).map(|ca| &ca.der).collect();
    let signer = Key(KeyPair::try_from(ca.pair.serialized_der()).unwrap());
    let read = CaChain::from_delivered(&delivered, NOW);
    let top = above.last().unwrap();
    let between: Vec<&[u8]> = delivered[..delivered.len() - 1].iter().map(|der| der.as_slice()).collect();
    let unchecked = unchecked_leaf(ca, |leaf| leaf.subject_alt_names = vec![dns("x.a.example")]);
    let oracles = oracles_on_path(SERVER[1], &unchecked, &between, &top.der, NOW);
    match read {
        Ok(chain) => {
            assert_eq!(oracles, [true, true]);
            leaf((&chain, &signer), &plain(), &SERVER, NOW).unwrap();
            Ok(())
        }
        Err(error) => {
            assert!(oracles.contains(&false), "{error}");
            Err(message(Err::<(), _>(error), "ChainBroken"))
        }
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn with(names: &[SanType]) -> impl FnOnce(&mut CertificateParams) {
    |parameters| parameters.subject_alt_names = names.to_vec()
}

#[test]
fn case_p26_alternative_names_of_cas_are_constrained() {
    let bases = [
        tlv(0x82, b"a.example"),
        tlv(0x81, b"a.example"),
        tlv(0x86, b"a.example"),
        tlv(0x87, &[10, 0, 0, 0, 255, 0, 0, 0]),
    ];
    let root = constrained("root", &bases, &[tlv(0x82, b"bad.a.example")]);
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let email = |text: &str| SanType::Rfc822Name(text.try_into().unwrap());
    let ip = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let inside = [dns("ca.a.example"), email("ca@a.example"), uri("https://a.example/ca"), ip("10.1.2.3")];
    assert_eq!(outcome(&below(&root, "issuing", with(&inside)), &[&root]), Ok(()));
    for (name, shown) in [
        (dns("ca.b.example"), "the DNS name \"ca.b.example\""),
        (dns("bad.a.example"), "the DNS name \"bad.a.example\""),
        (email("ca@b.example"), "the e-mail address \"ca@b.example\""),
        (uri("https://b.example/"), "the URI \"https://b.example/\""),
        (uri("urn:x:y"), "the URI \"urn:x:y\", which has no host name,"),
        (ip("11.0.0.1"), "the IP address 11.0.0.1"),
    ] {
        let ca = below(&root, "issuing", with(&[inside.as_slice(), &[name]].concat()));
        let said = outcome(&ca, &[&root]).unwrap_err();
        let of = format!(
            "{shown} of certificate 1 (\"CN=issuing\") is outside the name constraints of certificate 2"
        );
        assert!(said.contains(&of), "{said}");
        // Those of a CA between the issuing CA and the constraints, too.
        let lowest = below(&ca, "lowest", |_| ());
        let said = outcome(&lowest, &[&ca, &root]).unwrap_err();
        assert!(said.contains("of certificate 2 (\"CN=issuing\")"), "{said}");
    }
    // The alternative names of a self-issued certificate are not free for Go.
    let rollover = below(&root, "root", with(&[dns("ca.b.example")]));
    let said = outcome(&rollover, &[&root]).unwrap_err();
    assert!(said.contains("the DNS name \"ca.b.example\" of certificate 1"), "{said}");
    // What a CA says of itself is free.
    let free = constrained_with("root", &[dns("ca.b.example")]);
    assert_eq!(outcome(&below(&free, "issuing", |_| ()), &[&free]), Ok(()));
}

/// A root with DNS constraints and these names.
fn constrained_with(name: &str, names: &[SanType]) -> Delivered {
    super::constraints::constrained_root(name, &[tlv(0x82, b"a.example")], &[], with(names))
}

#[test]
fn case_p26_addresses_in_the_subjects_of_cas_are_mailboxes_inside() {
    let of_emails = constrained("root", &[tlv(0x81, b"a.example")], &[tlv(0x81, b"bad@a.example")]);
    let of_hosts = constrained("root", &[tlv(0x82, b"a.example")], &[]);
    let ca = |root: &Delivered, value: DnValue| {
        outcome(&below(root, "issuing", |p| mailbox(&mut p.distinguished_name, value)), &[root])
    };
    let ia5 = |text: &str| DnValue::Ia5String(text.try_into().unwrap());
    assert_eq!(ca(&of_emails, ia5("ca@a.example")), Ok(()));
    assert_eq!(ca(&of_hosts, ia5("ca@b.example")), Ok(()));
    for address in ["ca@b.example", "bad@a.example", "nobody"] {
        let said = ca(&of_emails, ia5(address)).unwrap_err();
        let shown = format!("the e-mail address \"{address}\" in the subject of certificate 1");
        assert!(said.contains(&shown), "{said}");
    }
    for root in [&of_emails, &of_hosts] {
        let said = ca(root, DnValue::Utf8String("ca@a.example".to_owned())).unwrap_err();
        assert!(said.contains("which is no IA5String"), "{said}");
    }
}
