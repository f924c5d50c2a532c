//! Numbers and examples in `docs/protocol.md` are those of the code.

use tcs_enclave_rpc::{Destroy, Refusal, RefusalCode, Request, Response, codec};

/// Bytes of a frame before its message: length, version and id.
const BEFORE_MESSAGE: usize = 13;

fn page() -> String {
    std::fs::read_to_string(tcs_testkit::repository().join("docs/protocol.md")).unwrap()
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// The number of a code on the wire: an integer of CBOR (RFC 8949, section 3.1).
fn number(code: RefusalCode) -> u8 {
    let refused = Response::Refused(Refusal::new(code, ""));
    let frame = codec::encode(1, &refused).unwrap();
    // The variant 6, its one field, and in it code, message and `offer_ended`.
    let (variant, code) = frame[BEFORE_MESSAGE..].split_at(4);
    assert_eq!(variant, [0x82, 6, 0x81, 0x83]);
    if code[0] == 0x18 { code[1] } else { code[0] }
}

#[test]
fn the_refusal_codes_are_those_of_the_code() {
    let page = page();
    let (_, table) = page.split_once("### Refusal codes").unwrap();
    let rows: Vec<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.rsplit_once(" | "))
        .map(|(number_and_name, _)| number_and_name.to_owned())
        .filter(|row| row.contains('`'))
        .collect();
    let codes: Vec<String> =
        RefusalCode::ALL.iter().map(|code| format!("{} | `{code}`", number(*code))).collect();
    assert_eq!(rows, codes);
}

#[test]
fn the_examples_of_frames_are_those_of_the_code() {
    let page = page();
    let identity = codec::encode(1, &Request::Identity).unwrap();
    let destroy = codec::encode(1, &Request::Destroy(Destroy { issuer_uid: "x".into() })).unwrap();
    for example in [identity.as_slice(), &destroy[BEFORE_MESSAGE..]] {
        assert!(page.contains(&format!("`{}`", spaced(example))), "{}", spaced(example));
    }
}
