//! W-S7: values of every length, and lengths of every value, in deliveries and requests. Intel's Trusted
//! Certificate Service read past their end.

use super::fixture::{Controller, TestCa, engine, issue};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tcs_enclave_rpc::{CompleteProvisioning, RefusalCode};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Quote, public key and nonce (OIDs 1.3.6.1.4.1.54392.5.1283, .1284 and .1547 of Intel's Trusted Certificate
/// Service).
const QUOTE_EXTENSIONS: [u64; 3] = [1283, 1284, 1547];
const UTF8_STRING: u8 = 0x0c;

fn request(key: &KeyPair, id: u64, value: &[u8]) -> Vec<u8> {
    let mut params = CertificateParams::new(["workload.example".to_owned()]).unwrap();
    let id = [1, 3, 6, 1, 4, 1, 54392, 5, id];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&id, value.to_vec())];
    params.serialize_request(key).unwrap().der().to_vec()
}

/// `UTF8String`, as the clients of that service send it.
fn text(value: &[u8]) -> Vec<u8> {
    [&[UTF8_STRING, u8::try_from(value.len()).unwrap()], value].concat()
}

#[test]
fn w_s7_quotes_in_requests_are_left_out_whatever_their_length() {
    // 16 bytes of two lengths in base64: 2^64 - 1 twice, with 1, after 1; 2^63 twice, whose sum is 0; 3 and
    // 384, with nothing after them.
    let lengths = [
        "/////////////////////w==",
        "//////////8BAAAAAAAAAA==",
        "AQAAAAAAAAD//////////w==",
        "AAAAAAAAAIAAAAAAAAAAgA==",
        "AwAAAAAAAACAAQAAAAAAAA==",
    ];
    let (engine, key) = (engine(), KeyPair::generate().unwrap());
    engine.provision("uid", &TestCa::new());
    let short = (0..=40usize).flat_map(|length| [vec![0xff; length], text(&vec![b'/'; length])]);
    let values: Vec<_> = short.chain(lengths.map(|lengths| text(lengths.as_bytes()))).collect();
    for id in QUOTE_EXTENSIONS {
        for value in &values {
            let issued = engine.issue(issue("uid", request(&key, id, value)));
            let leaf = Certificate::from_der(&issued.unwrap().chain[0]).unwrap();
            let extensions = leaf.tbs_certificate().extensions().unwrap();
            let foreign =
                extensions.iter().find(|extension| !extension.extn_id.to_string().starts_with("2.5.29."));
            assert!(foreign.is_none(), "{id}, {value:x?}: {foreign:?}");
        }
    }
}

#[test]
fn w_s7_lengths_that_lie_make_a_request_malformed() {
    const MARK: [u8; 40] = [0x5a; 40];
    let (engine, key) = (engine(), KeyPair::generate().unwrap());
    engine.provision("uid", &TestCa::new());
    let honest = request(&key, 1284, &MARK);
    let at = honest.windows(42).position(|window| window[..2] == [4, 40] && window[2..] == MARK).unwrap() + 1;
    assert!(engine.issue(issue("uid", honest.clone())).is_ok());
    let short = (0..=0x7f).filter(|length| *length != 40).map(|length| vec![length]);
    // Up to 2^64 - 1, and longer than any machine can count.
    let long =
        (0x80..=0x8f).map(|octets: u8| [vec![octets], vec![0xff; usize::from(octets & 0x7f)]].concat());
    for length in short.chain(long).chain([vec![0xff]]) {
        let mut request = honest.clone();
        request[at..at + length.len()].copy_from_slice(&length);
        assert_eq!(engine.issue(issue("uid", request)), Err(RefusalCode::RequestMalformed), "{length:x?}");
    }
}

#[test]
fn w_s7_wrapped_keys_of_every_short_length_are_refused_by_name() {
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let good = TestCa::new().delivery("uid", &offer);
    let code = |wrapped: &[u8]| {
        let wrapped_key = wrapped.to_vec().into();
        engine.deliver(CompleteProvisioning { wrapped_key, ..good.clone() }).unwrap_err().code
    };
    for length in 0..=40 {
        assert_eq!(code(&good.wrapped_key[..length]), RefusalCode::WrappedKeyLength, "{length} bytes");
        // RSA-3072 gives 384 bytes. What follows has at least three blocks of eight.
        let expected = match length {
            24 | 32 | 40 => RefusalCode::WrappedKeyInvalid,
            _ => RefusalCode::WrappedKeyLength,
        };
        assert_eq!(code(&good.wrapped_key[..384 + length]), expected, "384 and {length} bytes");
    }
    engine.deliver(good).unwrap();
}
