//! Each limit of what a request may contain: at the limit it is accepted, and one beyond it is refused.

use crate::go::mutate::{Resigned, tlv};
use crate::memory::{common_name, extensions, names, subject};
use crate::vectors::{openssl_key, openssl_request};
use crate::{Ca, ca, params};
use tcs_x509::{CertificateRequest, Error, Tbs, issue};

/// The code of the refusal of a request with this subject and these attributes. An accepted request becomes a
/// certificate.
fn refusal(subject: &[u8], attributes: &[u8]) -> Option<&'static str> {
    let der = Resigned::new().request(subject, attributes);
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let parsed = CertificateRequest::from_der(&der);
    parsed.and_then(|request| issue(&params(&request, &[], None), &ca.chain(), &ca)).err().map(Error::code)
}

fn plain() -> Vec<u8> {
    subject(&common_name(b"x"))
}

/// A URI of this many bytes.
fn uri(length: usize) -> Vec<u8> {
    tlv(0x86, format!("urn:{}", "a".repeat(length - 4)).as_bytes())
}

#[test]
fn a_thousand_alternative_names_and_no_more() {
    let of = |count| refusal(&plain(), &names(&b"\x82\x01a".repeat(count)));
    assert_eq!(of(1000), None);
    assert_eq!(of(1001), Some("IdentityForbidden"));
}

#[test]
fn an_alternative_name_of_2048_bytes_and_no_longer() {
    let of = |length| refusal(&plain(), &names(&uri(length)));
    assert_eq!(of(2048), None);
    assert_eq!(of(2049), Some("IdentityForbidden"));
}

#[test]
fn a_subject_of_16_kib_and_no_longer() {
    let of = |length: usize| {
        // Four headers of four bytes around the value, and the identifier of the attribute.
        let subject = subject(&common_name(&vec![b'x'; length - 4 * 4 - 5]));
        assert_eq!(subject.len(), length);
        refusal(&subject, &[])
    };
    assert_eq!(of(16 << 10), None);
    assert_eq!(of((16 << 10) + 1), Some("IdentityForbidden"));
}

#[test]
fn a_subject_of_128_attributes_in_one_set_or_many_and_no_more() {
    let together = |count| refusal(&subject(&common_name(b"x").repeat(count)), &[]);
    let apart = |count| refusal(&tlv(0x30, &tlv(0x31, &common_name(b"x")).repeat(count)), &[]);
    for of in [&together as &dyn Fn(usize) -> _, &apart] {
        assert_eq!(of(128), None);
        assert_eq!(of(129), Some("RequestMalformed"));
    }
}

/// This many unknown extensions, each with another identifier.
fn unknown(numbers: std::ops::Range<u8>) -> Vec<u8> {
    numbers.flat_map(|number| [0x30, 0x07, 0x06, 0x03, 0x2a, 0x03, number, 0x04, 0x00]).collect()
}

#[test]
fn sixty_four_extensions_in_one_attribute_or_two_and_no_more() {
    let together = |count| refusal(&plain(), &extensions(&unknown(0..count)));
    let apart = |count| {
        let two = [extensions(&unknown(0..30)), extensions(&unknown(30..count))].concat();
        refusal(&plain(), &two)
    };
    for of in [&together as &dyn Fn(u8) -> _, &apart] {
        assert_eq!(of(64), None);
        assert_eq!(of(65), Some("RequestMalformed"));
    }
}

#[test]
fn an_rsa_key_of_2048_bits_and_no_shorter() {
    let of = |bits: usize| {
        let bits = format!("rsa_keygen_bits:{bits}");
        openssl_request(&openssl_key(&["-algorithm", "RSA", "-pkeyopt", &bits]), &["-sha256"])
    };
    assert_eq!(of(2048), None);
    assert_eq!(of(2047), Some("RequestKeyUnsupported"));
}

/// The length of a certificate follows from the names in its request, here to the byte.
#[test]
fn a_certificate_of_62_kib_to_be_signed_and_no_longer() {
    const LONGEST: usize = 62 << 10;
    let (ca, made) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), Resigned::new());
    let request = |last: usize| {
        let der = made.request(&plain(), &names(&[uri(1990).repeat(31), uri(last)].concat()));
        CertificateRequest::from_der(&der).unwrap()
    };
    let build = |request: &CertificateRequest, ca: &Ca| Tbs::build(&params(request, &[], None), &ca.chain());
    let short = build(&request(300), &ca).unwrap().der().len();
    let longest = request(300 + LONGEST - short);
    assert_eq!(build(&longest, &ca).unwrap().der().len(), LONGEST);
    assert!(issue(&params(&longest, &[], None), &ca.chain(), &ca).is_ok());
    let beyond = build(&request(301 + LONGEST - short), &ca).map(drop);
    assert_eq!(beyond, Err(Error::IdentityForbidden("the certificate would be longer than 62 KiB".into())));
}
