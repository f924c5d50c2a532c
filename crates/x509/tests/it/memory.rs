//! Requests of the maximum length that are made to be as expensive as possible: memory stays a small multiple
//! of their length.

use crate::go::mutate::{Resigned, tlv};
use crate::{ca, params};
use tcs_x509::{CertificateRequest, MAX_REQUEST, Policy, PolicyRules, Usage, issue};

/// `OBJECT IDENTIFIER` of extensionRequest, subjectAltName and commonName.
const EXTENSION_REQUEST: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";
const SUBJECT_ALT_NAME: &[u8] = b"\x06\x03\x55\x1d\x11";
const COMMON_NAME: &[u8] = b"\x06\x03\x55\x04\x03";

/// What surrounds the part that fills a request.
const AROUND: usize = 4096;

/// Maximum number of bytes at a time for each byte of a request.
const FACTOR: u64 = 4;

pub fn subject(attributes: &[u8]) -> Vec<u8> {
    tlv(0x30, &tlv(0x31, attributes))
}

pub fn common_name(text: &[u8]) -> Vec<u8> {
    tlv(0x30, &[COMMON_NAME, &tlv(0x0c, text)].concat())
}

pub fn extensions(all: &[u8]) -> Vec<u8> {
    tlv(0x30, &[EXTENSION_REQUEST, &tlv(0x31, &tlv(0x30, all))].concat())
}

pub fn names(all: &[u8]) -> Vec<u8> {
    extensions(&tlv(0x30, &[SUBJECT_ALT_NAME, &tlv(0x04, &tlv(0x30, all))].concat()))
}

/// As many of them as fit.
fn full_of(part: &[u8]) -> Vec<u8> {
    part.repeat((MAX_REQUEST - AROUND) / part.len())
}

/// Each is signed with its own key, so that it is not refused for its signature.
fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let made = Resigned::new();
    let (plain, long) = (subject(&common_name(b"x")), vec![b'x'; MAX_REQUEST - AROUND]);
    let mut nested = long.clone();
    for at in (0..nested.len() - 4).step_by(4) {
        let rest = u32::try_from(nested.len() - at - 5).unwrap().to_be_bytes();
        nested[at..at + 4].copy_from_slice(&[0x30, 0x83, rest[1], rest[2]]);
    }
    vec![
        ("subjects of many attributes", made.request(&subject(&full_of(&common_name(b"x"))), &[])),
        ("of many sets", made.request(&tlv(0x30, &full_of(&tlv(0x31, &common_name(b"x")))), &[])),
        ("of empty sets", made.request(&tlv(0x30, &full_of(b"\x31\x00")), &[])),
        ("a long value", made.request(&subject(&common_name(&long)), &[])),
        ("many names", made.request(&plain, &names(&full_of(b"\x82\x01a")))),
        ("many addresses", made.request(&plain, &names(&full_of(b"\x87\x04\x0a\x00\x00\x01")))),
        ("a long name", made.request(&plain, &names(&tlv(0x82, &long)))),
        ("a long other name", made.request(&plain, &names(&tlv(0xa0, &nested)))),
        (
            "many extensions",
            made.request(&plain, &extensions(&full_of(b"\x30\x07\x06\x02\x2a\x03\x04\x01\x00"))),
        ),
        ("a long extension", {
            let value = [b"\x06\x02\x2a\x03".as_slice(), &tlv(0x04, &long)].concat();
            made.request(&plain, &extensions(&tlv(0x30, &value)))
        }),
        ("many attributes", made.request(&plain, &full_of(b"\x30\x06\x06\x02\x2a\x03\x31\x00"))),
        ("many requests for extensions", made.request(&plain, &full_of(&extensions(b"")))),
        ("nothing but beginnings", nested),
        ("nothing but lengths", vec![0x30; MAX_REQUEST]),
    ]
}

#[test]
fn hostile_requests_of_a_mebibyte_cost_a_small_multiple_of_their_length() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let chain = ca.chain();
    let patterns: Vec<String> = (0..64).map(|number| format!("**.{number}.example")).collect();
    let policy =
        Policy::new(&PolicyRules { dns_names: Some(&patterns), uris: Some(&[]), ..PolicyRules::default() });
    let policy = policy.unwrap();
    for (what, request) in requests() {
        assert!((MAX_REQUEST - AROUND..=MAX_REQUEST).contains(&request.len()), "{what}: {}", request.len());
        let used = allocation_counter::measure(|| {
            if let Ok(request) = CertificateRequest::from_der(&request) {
                let mut params = params(&request, &[Usage::DigitalSignature], None);
                params.fixed = Some(&policy);
                let _ = issue(&params, &chain, &ca);
            }
        });
        let most = FACTOR * u64::try_from(request.len()).unwrap();
        assert!(used.bytes_max <= most, "{what}: {} bytes of {}", used.bytes_max, request.len());
    }
}
