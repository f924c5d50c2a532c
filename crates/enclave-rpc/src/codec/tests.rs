use super::*;
use crate::{Destroy, Issue, Request, RequestApi, Response};
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_mins(1);

fn request() -> Request {
    Request::Issue(Issue {
        issuer_uid: "uid".into(),
        request: vec![1, 2, 3].into(),
        request_api: RequestApi::KubernetesCsr,
        usages: vec!["server auth".into()],
        lifetime: Some(600),
        now: -5,
        policy: None,
        is_ca: false,
    })
}

#[test]
fn frames_have_the_documented_layout() {
    let frame = encode(0x0102, &Request::Identity).unwrap();
    assert_eq!(&frame[..13], [0, 0, 0, u8::try_from(frame.len() - 4).unwrap(), 1, 0, 0, 0, 0, 0, 0, 1, 2]);
    let mut stream = frame.as_slice();
    let read = read(&mut stream, PATIENCE).unwrap().unwrap();
    assert_eq!((read.id, decode::<Request>(&read.body).unwrap()), (0x0102, Request::Identity));
    assert!(super::read(&mut stream, PATIENCE).unwrap().is_none());
}

#[test]
fn messages_come_back_as_they_went() {
    let frame = encode(7, &request()).unwrap();
    assert_eq!(decode::<Request>(&frame[13..]).unwrap(), request());
    assert_eq!(decode_known::<Request>(&frame[13..]).unwrap(), request());
    let with_tail = [&frame[13..], &[0]].concat();
    assert_eq!(decode::<Request>(&with_tail).unwrap_err().code(), "MessageMalformed");
}

#[test]
fn bad_frames_are_told_apart_and_keep_their_id() {
    let code = |bytes: &[u8]| {
        let bad = read(&mut &*bytes, PATIENCE).unwrap_err();
        (bad.error.code(), bad.id)
    };
    assert_eq!(code(&[0, 0, 0, 8, 1, 0, 0, 0, 0, 0, 0, 0]), ("FrameTooShort", None));
    assert_eq!(code(&[0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 9]), ("VersionUnsupported", Some(9)));
    assert_eq!(code(&[255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0, 9]), ("FrameTooLong", Some(9)));
    assert_eq!(code(&[0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 0, 0, 9]), ("Disconnected", Some(9)));
    assert_eq!(code(&[0, 0]), ("Disconnected", None));
    let long = Request::Destroy(Destroy { issuer_uid: "x".repeat(MAX_FRAME) });
    assert_eq!(encode(1, &long).unwrap_err().code(), "FrameTooLong");
}

#[test]
fn a_frame_that_trickles_is_given_up() {
    struct Trickle;
    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer[0] = 0;
            Ok(1)
        }
    }
    assert_eq!(read(&mut Trickle, Duration::ZERO).unwrap_err().error.code(), "FrameStalled");
}

#[test]
fn lists_in_requests_are_capped_while_they_are_read() {
    let Request::Issue(mut issue) = request() else { unreachable!() };
    issue.usages = vec![String::new(); crate::MAX_LIST];
    let frame = encode(1, &Request::Issue(issue.clone())).unwrap();
    assert!(decode::<Request>(&frame[13..]).is_ok());
    issue.usages.push(String::new());
    let frame = encode(1, &Request::Issue(issue.clone())).unwrap();
    assert_eq!(decode::<Request>(&frame[13..]).unwrap_err().code(), "MessageMalformed");

    issue.usages = Vec::new();
    issue.policy = Some(crate::Policy {
        usages: Some(crate::Texts(vec![String::new(); crate::MAX_LIST + 1])),
        ..crate::Policy::default()
    });
    let frame = encode(1, &Request::Issue(issue)).unwrap();
    assert_eq!(decode::<Request>(&frame[13..]).unwrap_err().code(), "MessageMalformed");

    for list in 0..5 {
        let mut subject = crate::CaSubject::default();
        let lists = [
            &mut subject.organizations,
            &mut subject.organizational_units,
            &mut subject.countries,
            &mut subject.localities,
            &mut subject.provinces,
        ];
        *lists.into_iter().nth(list).unwrap() = vec![String::new(); crate::MAX_LIST + 1];
        let generate = crate::GenerateCa {
            issuer_uid: String::new(),
            subject,
            key_algorithm: String::new(),
            lifetime: 0,
            path_length: None,
            now: 0,
            policy: None,
        };
        let frame = encode(1, &Request::GenerateCa(generate)).unwrap();
        assert_eq!(decode::<Request>(&frame[13..]).unwrap_err().code(), "MessageMalformed");
    }
}

/// A newer controller's rule, which this version does not know, in every place where a field can be added.
/// The field is a text, a list, and nothing at all: that a rule is not set does not make it known.
#[test]
fn review_l3_a_request_with_an_unknown_field_is_refused() {
    let policy = crate::Policy { organizational_units: Some(crate::Texts::default()), ..Default::default() };
    let Request::Issue(issue) = request() else { unreachable!() };
    let issue = Request::Issue(Issue { policy: Some(policy.clone()), ..issue });
    let generate = Request::GenerateCa(crate::GenerateCa {
        issuer_uid: "uid".into(),
        subject: crate::CaSubject::default(),
        key_algorithm: "ECDSA-P256".into(),
        lifetime: 3600,
        path_length: None,
        now: 0,
        policy: Some(policy),
    });
    let whole = |request: &Request| minicbor::to_vec(request).unwrap();
    // The arrays by their headers: the policy has eleven entries, the last of which is an empty list (0x80).
    let policy_grows = |mut body: Vec<u8>, field: &[u8]| {
        let at = body.iter().rposition(|byte| *byte == 0x8b).unwrap();
        body[at] = 0x8c;
        let end = at + 1 + body[at..].iter().position(|byte| *byte == 0x80).unwrap();
        body.splice(end..end, field.iter().copied());
        body
    };
    let message_grows = |mut body: Vec<u8>, field: &[u8]| {
        let at = body.iter().position(|byte| (0x85..0x90).contains(byte)).unwrap();
        body[at] += 1;
        body.extend(field);
        body
    };
    let variant_grows = |mut body: Vec<u8>, field: &[u8]| {
        assert_eq!((body[0], body[2]), (0x82, 0x81), "a variant and its one field");
        body[2] = 0x82;
        body.extend(field);
        body
    };
    for request in [&issue, &generate] {
        let body = whole(request);
        assert_eq!(decode_known::<Request>(&body).as_ref().ok(), Some(request));
        for field in [&b"\x63new"[..], b"\x81\x63new", b"\xf6"] {
            for (where_, grown) in [
                ("policy", policy_grows(body.clone(), field)),
                ("message", message_grows(body.clone(), field)),
                ("variant", variant_grows(body.clone(), field)),
            ] {
                assert_eq!(decode::<Request>(&grown).as_ref().ok(), Some(request), "{where_}: skipped");
                let refused = decode_known::<Request>(&grown).map_err(|error| error.code());
                assert_eq!(refused, Err("MessageNotKnown"), "{where_}, {field:x?}");
            }
        }
    }
    // A variant without fields holds none.
    let mut identity = whole(&Request::Identity);
    assert_eq!(identity, [0x82, 0x00, 0x80]);
    identity.splice(2.., [0x81, 0x01]);
    assert!(decode_known::<Request>(&identity).is_err());
    // Fields are identified by their position. A map, whose keys could occur twice, is not a message.
    assert!(decode_known::<crate::Policy>(b"\xa2\x06\x01\x06\x02").is_err());
}

/// An older controller leaves out what it does not know.
#[test]
fn review_l3_a_request_of_an_older_version_is_taken() {
    // A policy of seven fields, as it was before organizations were among them.
    let older = b"\x87\xf6\xf6\xf6\xf6\xf6\xf6\x19\x02\x58";
    let policy = crate::Policy { max_lifetime: Some(600), ..crate::Policy::default() };
    assert_eq!(decode_known::<crate::Policy>(older).unwrap(), policy);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode_known::<Request>(&bytes);
        let _ = decode::<Response>(&bytes);
        let mut stream = bytes.as_slice();
        while let Ok(Some(_)) = read(&mut stream, PATIENCE) {}
    }

    #[test]
    fn damaged_requests_are_read_without_panic(at in 0usize..64, byte: u8, cut in 0usize..64) {
        let mut body = encode(1, &request()).unwrap().split_off(13);
        if let Some(target) = body.get_mut(at) { *target = byte; }
        body.truncate(body.len().saturating_sub(cut));
        if let Ok(read) = decode_known::<Request>(&body) {
            proptest::prop_assert_eq!(encode(1, &read).unwrap().split_off(13), body);
        }
    }
}

/// Nesting without end, and lengths that nothing follows: decoding a frame uses no more memory than the
/// frame.
#[test]
fn hostile_frames_as_long_as_they_may_be_take_no_more_than_their_length() {
    // A request of nine fields, the last of which is unknown: it is skipped.
    let around = |fill: &[u8]| {
        let mut body = minicbor::to_vec(request()).unwrap();
        let fields = body.iter().position(|byte| *byte == 0x88).unwrap();
        body[fields] = 0x89;
        let room = MAX_FRAME - body.len();
        body.extend(fill.iter().cycle().take(room));
        body
    };
    let mut one_more = around(&[]);
    one_more.push(0xf6);
    assert_eq!(decode::<Request>(&one_more).unwrap(), request(), "what nobody knows is skipped");
    let text = [0x78; 4];
    for (what, body) in [
        ("arrays without end", around(&[0x9f])),
        ("maps without end", around(&[0xbf, 0x00])),
        ("arrays of one", around(&[0x81])),
        ("long arrays", around(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("long texts", around(&[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("texts without end", around(&[0x7f])),
        ("tags", around(&[0xc0])),
        ("texts", around(&text)),
        ("nothing but arrays", vec![0x9f; MAX_FRAME]),
    ] {
        let used = allocation_counter::measure(|| {
            assert!(decode_known::<Request>(&body).is_err(), "{what}");
        });
        assert!(used.bytes_max <= MAX_FRAME as u64, "{what}: {} bytes", used.bytes_max);
    }
}
