//! URIs as alternative names.

use super::{message, request, test_ca, with_name};
use crate::NOW;
use crate::cases::{SERVER, oracles_accept};
use crate::chain::root;
use crate::go::mutate::tlv;
use crate::go::verdicts;
use rcgen::{GeneralSubtree, NameConstraints};
use tcs_x509::{CertificateRequest, Error};

const URI: u8 = 0x86;

/// URIs that RFC 3986 and Go take.
const URIS: [&str; 19] = [
    "https://[2001:db8::1]/x",
    "https://[2001:db8::1]:8443/x",
    "https://[::ffff:10.0.0.1]/",
    "https://10.0.0.1/",
    "ldap:///CN=ca,O=x?cACertificate",
    "ldap://ldap.example/CN=ca?cACertificate?base?(objectClass=*)",
    "file:///etc/x",
    "spiffe://td.example/ns/a/sa/b",
    "spiffe://td.example",
    "https://a.example:8443/x?y=%20#z",
    "https://a.example:/",
    "https://user:word@a.example/",
    "https://user@a.example/",
    "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "mailto:x@a.example",
    "tel:+1-816-555-1212",
    "news:comp.infosystems.www.servers.unix",
    "x-y+z.1://a_b.example/",
    "tag:a.example,2026:x",
];

/// Texts that are no such URIs.
const NO_URIS: [&str; 27] = [
    "",
    "relative/path",
    "//host/x",
    "urn:",
    "https://",
    "https:///x",
    "http://?x",
    "https://a/%zz",
    "https://a/%2",
    "https://[::1/",
    "https://[::1]x/",
    "https://[v1.x]/",
    "https://[fe80::1%25eth0]/",
    "https://a:b/",
    "https://a%41.example/",
    "https://a..example/",
    "https://a.example./",
    "https://a,b.example/",
    "https://u@v@a.example/",
    "1x://a/",
    "https://a/#x#y",
    "https://a/[x]",
    "https://a/{x}",
    "https://a/\\x",
    "spiffe:///x",
    "spiffe://user@td.example/x",
    "spiffe://[::1]/x",
];

fn read(uri: &str) -> Result<CertificateRequest, Error> {
    CertificateRequest::from_der(&with_name(URI, uri))
}

#[test]
fn case_p31_uris_are_what_rfc_3986_and_go_take() {
    let ca = test_ca();
    for uri in URIS {
        let leaf = crate::issued(&ca, &read(uri).unwrap(), None).unwrap().der;
        assert_eq!(oracles_accept(SERVER[1], &leaf, &ca.chain(), NOW), [true, true], "{uri}");
    }
    for uri in NO_URIS {
        let message = message(read(uri), "IdentityForbidden");
        assert!(
            message.contains(&format!("the URI \"{}\" is not valid: ", uri.escape_default())),
            "{message}"
        );
    }
    for file in ["uri-ip6.csr", "uri-ldap0.csr", "uri-file.csr"] {
        let leaf = crate::issued(&ca, &request(file).unwrap(), None).unwrap().der;
        assert_eq!(oracles_accept(SERVER[1], &leaf, &ca.chain(), NOW), [true, true], "{file}");
    }
    assert!(verdicts(b'R', &URIS.map(|uri| with_name(URI, uri))).into_iter().all(|taken| taken));
    // Go also takes what RFC 3986 or RFC 5280 does not allow, but refuses some of it.
    let by_go = verdicts(b'R', &NO_URIS.map(|uri| with_name(URI, uri)));
    let refused = by_go.iter().filter(|taken| !**taken).count();
    assert!((10..NO_URIS.len()).contains(&refused), "{refused}");
}

#[test]
fn case_p31_a_uri_constraint_is_about_the_host() {
    let ca = |permitted: &str, excluded: &str| {
        let subtrees = |tag: u8, name: &str| {
            let of_uris = tlv(0x30, &tlv(0x86, name.as_bytes()));
            if name.is_empty() { Vec::new() } else { tlv(tag, &of_uris) }
        };
        let value = tlv(0x30, &[subtrees(0xa0, permitted), subtrees(0xa1, excluded)].concat());
        let extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], value);
        root(|parameters| parameters.custom_extensions = vec![extension]).signer()
    };
    let (inside, outside) = (ca("td.example", ""), ca("", "corp.example"));
    let outcome = |ca: &crate::Ca, uri: &str| match crate::issued(ca, &read(uri).unwrap(), None) {
        Ok(leaf) => Some(oracles_accept(SERVER[1], &leaf.der, &ca.chain(), NOW)),
        Err(error) => {
            assert_eq!(error.code(), "IdentityForbidden", "{uri}");
            None
        }
    };
    for uri in ["spiffe://td.example/ns/a/sa/b", "https://TD.example:8443/x", "https://td.example/x?y=z#w"] {
        assert_eq!(outcome(&inside, uri), Some([true, true]), "{uri}");
        assert_eq!(outcome(&outside, uri), Some([true, true]), "{uri}");
    }
    for uri in [
        "https://a.td.example/",
        "https://td.example.evil/",
        "spiffe://corp.example/x",
        "https://a.corp.example/",
    ] {
        assert_eq!(outcome(&inside, uri), None, "{uri}");
    }
    // Go excludes the hosts below as well.
    for uri in ["spiffe://corp.example/x", "https://a.corp.example/", "https://CORP.example:1/"] {
        assert_eq!(outcome(&outside, uri), None, "{uri}");
    }
    // No host that is a name, or one that openssl reads otherwise.
    for uri in [
        "urn:td.example",
        "ldap:///CN=ca",
        "file:///etc/x",
        "https://10.0.0.1/",
        "https://[2001:db8::1]/",
        "https://user@td.example/",
        "https://td.example?x",
        "https://td.example/a:b",
    ] {
        assert_eq!(outcome(&inside, uri), None, "{uri}");
        assert_eq!(outcome(&outside, uri), None, "{uri}");
    }
    // Without constraints of URIs they are issued.
    let other = root(|parameters| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("a.example".into())];
        parameters.name_constraints =
            Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    assert!(crate::issued(&other.signer(), &read("file:///etc/x").unwrap(), None).is_ok());
}
