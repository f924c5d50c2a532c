use super::fixture::{FixtureServer, WAIT, code, is_identity, options};
use crate::{RefusalCode, Request, Response, codec};
use std::io::{Read, Write};

#[test]
fn malformed_frames_are_answered_and_the_connection_is_dropped() {
    let server = FixtureServer::start(options(1, 8), 0);
    let good = codec::encode(9, &Request::Identity).unwrap();
    let mut other_version = good.clone();
    other_version[4] = 2;
    let mut too_long = good.clone();
    too_long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    for bad in [other_version, too_long] {
        let mut stream = server.raw();
        stream.write_all(&bad).unwrap();
        let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
        assert_eq!(answer.id, 9);
        assert_eq!(code(codec::decode(&answer.body).unwrap()), RefusalCode::MalformedMessage);
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "dropped");
    }
    let mut stream = server.raw();
    stream.write_all(&[0, 0, 0, 3, 1, 1, 1]).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "no id, no answer");
    assert!(is_identity(&server.client().call(Request::Identity, WAIT).unwrap()));
}

/// After a whole frame, both sides still agree on where the next one begins. All issuers share a connection,
/// and a request for one of them must not end it for the others.
#[test]
fn what_cannot_be_decoded_costs_its_sender_this_request_only() {
    let server = FixtureServer::start(options(1, 8), 0);
    let mut stream = server.raw();
    let mut garbage = codec::encode(9, &Request::Identity).unwrap();
    garbage[13] = 0xff;
    let good = codec::encode(10, &Request::Identity).unwrap();
    stream.write_all(&[garbage, good].concat()).unwrap();
    let refused = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(refused.id, 9);
    assert_eq!(code(codec::decode(&refused.body).unwrap()), RefusalCode::MalformedMessage);
    let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(answer.id, 10);
    assert!(is_identity(&codec::decode(&answer.body).unwrap()));
}

/// A new rule of one issuer does not affect the other issuers, which share the connection.
#[test]
fn review_l3_an_unknown_field_is_refused_and_the_connection_stays() {
    let server = FixtureServer::start(options(1, 8), 0);
    let mut stream = server.raw();
    // The request `Destroy` with a second field.
    let body = [&[0x82, 0x04, 0x81, 0x82, 0x63][..], b"uid", &[0x01]].concat();
    let mut frame = codec::encode(7, &Request::Identity).unwrap();
    frame.truncate(13);
    frame.extend(&body);
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    // If the server accepted the request, it would carry it out at once, and the test would fail instead of
    // waiting.
    server.gate.send(()).unwrap();
    stream.write_all(&frame).unwrap();
    let answer = codec::read(&mut stream, WAIT).unwrap().unwrap();
    assert_eq!(answer.id, 7);
    let Response::Refused(refusal) = codec::decode(&answer.body).unwrap() else { panic!("it was done") };
    assert_eq!(refusal.code, RefusalCode::MalformedMessage);
    assert!(refusal.message.contains("same version"), "{refusal}");
    stream.write_all(&codec::encode(8, &Request::Identity).unwrap()).unwrap();
    assert_eq!(codec::read(&mut stream, WAIT).unwrap().unwrap().id, 8);
}
