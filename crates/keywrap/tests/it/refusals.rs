//! Wrapped keys, and keys to be wrapped, that are refused.

use super::kwp::{initial, wrap_blocks};
use super::{SHA1, SHA256, b64, kwp, kwp_wrap, oaep, p256_pkcs8, quote_key, quote_spki, spki_of, stored};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::key_wrap::{AES_128, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{KeyPair, KeySize, PrivateDecryptingKey};
use proptest::prelude::*;
use tcs_keywrap::{Error, MAX_LEN, MIN_LEN, WrapFormat, check_length, check_pkcs8, unwrap, wrap};

fn refusal(blob: &[u8]) -> Error {
    unwrap(&quote_key(), blob, WrapFormat::ALL).err().expect("refused")
}

#[test]
fn w_s7_lengths_are_checked_first() {
    for len in [0, 1, 383, 384, 384 + 11, 384 + 16, 384 + 25, MIN_LEN - 1, MAX_LEN + 8, 1 << 20] {
        let blob = vec![0xa5; len];
        assert_eq!(check_length(&blob), Err(Error::WrappedKeyLength { len }));
        assert_eq!(refusal(&blob), Error::WrappedKeyLength { len });
    }
    for len in [MIN_LEN, MAX_LEN] {
        assert_eq!(check_length(&vec![0xa5; len]), Ok(()));
        assert_eq!(refusal(&vec![0xa5; len]), Error::WrappedKeyInvalid);
    }
}

#[test]
fn w_s7_wrapped_keys_of_every_short_length_are_refused_by_name() {
    let good = kwp_wrap(&p256_pkcs8());
    for len in 0..=40 {
        assert_eq!(refusal(&good[..len]), Error::WrappedKeyLength { len });
        let len = 384 + len;
        let expected = match len - 384 {
            24 | 32 | 40 => Error::WrappedKeyInvalid,
            _ => Error::WrappedKeyLength { len },
        };
        assert_eq!(refusal(&good[..len]), expected);
    }
}

#[test]
fn w_s7_payloads_of_every_short_length_are_no_keys() {
    let key = p256_pkcs8();
    for len in 1..=40 {
        // RFC 5649 makes a single block of up to 8 bytes, which is shorter than any wrapped key.
        let code = if len <= 8 { "WrappedKeyLength" } else { "PrivateKeyMalformed" };
        assert_eq!(refusal(&kwp_wrap(&key[..len])).code(), code, "{len} bytes");
        assert_eq!(check_pkcs8(&key[..len]).unwrap_err().code(), "PrivateKeyMalformed", "{len} bytes");
    }
    assert_eq!(check_pkcs8(&[]).unwrap_err().code(), "PrivateKeyMalformed");
}

/// Every length that RFC 5649's field of 32 bits can hold, near the right one and near its ends.
#[test]
fn w_s7_the_length_inside_kwp_is_never_believed() {
    let key = p256_pkcs8();
    let mut padded = key.clone();
    padded.resize(key.len().next_multiple_of(8), 0);
    let near = 0..=u32::try_from(padded.len() + 40).unwrap();
    for length in near.chain((8..32).map(|bit| 1 << bit)).chain([u32::MAX - 7, u32::MAX]) {
        let initial = [[0xa6, 0x59, 0x59, 0xa6], length.to_be_bytes()].concat().try_into().unwrap();
        let blob = [oaep(SHA256, &[7; 32], None), wrap_blocks(&[7; 32], initial, &padded)].concat();
        let opened = unwrap(&quote_key(), &blob, WrapFormat::ALL);
        // Zeros that are padding, and zeros after the key, are the same bytes.
        if (key.len()..=padded.len()).contains(&(length as usize)) {
            assert!(*opened.ok().unwrap().pkcs8 == key, "{length}");
        } else {
            assert_eq!(opened.err(), Some(Error::WrappedKeyInvalid), "{length}");
        }
    }
}

/// DER lengths up to 2^64 - 1 and beyond, outside and inside of both structures.
#[test]
fn w_s7_der_lengths_that_lie_are_malformed() {
    let (key, spki) = (p256_pkcs8(), quote_spki());
    let lengths =
        (0x80..=0x8f).map(|octets: u8| [vec![octets], vec![0xff; usize::from(octets & 0x7f)]].concat());
    for length in lengths.chain([vec![0xff], vec![0x7f]]) {
        // A tag, its length, and what would follow.
        let lie = |tag: u8, rest: &[u8]| [&[tag], &length[..], rest].concat();
        let inside = |head: &[u8], lie: Vec<u8>| {
            let len = u8::try_from(head.len() + lie.len()).unwrap();
            [&[0x30, len], head, &lie].concat()
        };
        let algorithm = &key[6..27];
        assert_eq!(algorithm[..2], [0x30, 0x13]);
        for lying in [
            lie(0x30, &key[3..]),
            inside(&[], lie(2, &[0])),
            inside(&[2, 1, 0], lie(0x30, &algorithm[2..])),
            inside(&[&[2, 1, 0], algorithm].concat(), lie(4, &[0; 8])),
        ] {
            assert_eq!(check_pkcs8(&lying).unwrap_err().code(), "PrivateKeyMalformed", "{lying:x?}");
            assert_eq!(refusal(&kwp_wrap(&[&lying[..], &[1; 40]].concat())).code(), "PrivateKeyMalformed");
        }
        for lying in
            [lie(0x30, &spki[4..]), inside(&[], lie(0x30, &[])), inside(&spki[4..19], lie(3, &[0; 8]))]
        {
            let code = wrap(&lying, WrapFormat::KmraV1, &p256_pkcs8()).unwrap_err().code();
            assert_eq!(code, "PublicKeyMalformed", "{lying:x?}");
        }
    }
}

#[test]
fn every_fault_of_a_wrapped_key_is_the_same_refusal() {
    let good = kwp_wrap(&p256_pkcs8());
    assert!(unwrap(&quote_key(), &good, WrapFormat::ALL).is_ok());
    for byte in [0, 1, 200, 383, 384, 391, 392, good.len() - 1] {
        let mut blob = good.clone();
        blob[byte] ^= 1;
        assert_eq!(refusal(&blob), Error::WrappedKeyInvalid, "bit flipped in byte {byte}");
    }
    assert_eq!(refusal(&good[..good.len() - 8]), Error::WrappedKeyInvalid);
    assert_eq!(refusal(&[&good[..], &[0; 8]].concat()), Error::WrappedKeyInvalid);

    let other = PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap();
    let blob = wrap(&spki_of(&other), WrapFormat::KmraV1Sha256, &p256_pkcs8()).unwrap();
    assert_eq!(refusal(&blob), Error::WrappedKeyInvalid, "wrap for another quote's key");

    let c2 = &good[384..];
    for kek in [&[][..], &[7; 5], &[7; 16], &[7; 24], &[7; 31], &[7; 33]] {
        for hash in [SHA1, SHA256] {
            let blob = [&oaep(hash, kek, None), c2].concat();
            assert_eq!(refusal(&blob), Error::WrappedKeyInvalid, "AES key of {} bytes", kek.len());
        }
    }
    // A token would open this one, and nobody would notice the weaker key.
    let mut aes128 = vec![0; 200];
    let aes128 =
        AesKek::new(&AES_128, &[7; 16]).unwrap().wrap_with_padding(&p256_pkcs8(), &mut aes128).unwrap();
    assert_eq!(refusal(&[&oaep(SHA256, &[7; 16], None), &*aes128].concat()), Error::WrappedKeyInvalid);

    // A default of Java, which is not one of the formats (docs/protocol.md, "Wrapped keys").
    let mixed = hex::decode(include_str!("../data/oaep-sha256-mgf1-sha1.hex").trim()).unwrap();
    assert_eq!(refusal(&[&mixed, c2].concat()), Error::WrappedKeyInvalid);
    let label = [&oaep(SHA256, &[7; 32], Some(b"label")), c2].concat();
    assert_eq!(refusal(&label), Error::WrappedKeyInvalid);
}

#[test]
fn a_wrong_constant_length_or_pad_inside_kwp_is_refused() {
    let key = p256_pkcs8();
    let mut padded = key.clone();
    padded.resize(key.len().next_multiple_of(8), 0);
    assert!((1..8).contains(&(padded.len() - key.len())), "there is a pad to make wrong");
    let blob = |initial, payload: &[u8]| {
        [oaep(SHA256, &[7; 32], None), wrap_blocks(&[7; 32], initial, payload)].concat()
    };
    let good = blob(initial(key.len()), &padded);
    assert_eq!(good[384..], kwp(&[7; 32], &key));
    assert!(unwrap(&quote_key(), &good, WrapFormat::ALL).is_ok());

    let mut pad = padded.clone();
    *pad.last_mut().unwrap() = 1;
    let mut constant = initial(key.len());
    constant[3] ^= 1;
    for (what, blob) in [
        ("length smaller by 8", blob(initial(key.len() - 8), &padded)),
        ("length larger by 8", blob(initial(key.len() + 8), &padded)),
        ("length zero", blob(initial(0), &padded)),
        ("length of 4 GiB", blob([0xa6, 0x59, 0x59, 0xa6, 0xff, 0xff, 0xff, 0xff], &padded)),
        ("pad not zero", blob(initial(key.len()), &pad)),
        ("wrong constant", blob(constant, &padded)),
        ("constant of RFC 3394", blob([0xa6; 8], &padded)),
    ] {
        assert_eq!(refusal(&blob), Error::WrappedKeyInvalid, "{what}");
    }
}

#[test]
fn up_to_seven_zero_bytes_may_follow_the_key() {
    let key = p256_pkcs8();
    for zeros in 0..=7 {
        let blob = kwp_wrap(&[&key[..], &vec![0; zeros]].concat());
        assert!(*unwrap(&quote_key(), &blob, WrapFormat::ALL).unwrap().pkcs8 == key, "{zeros} zero bytes");
    }
    for tail in [&[0; 8][..], &[1], &[0, 0, 1], &[0; 64]] {
        let blob = kwp_wrap(&[&key[..], tail].concat());
        assert_eq!(refusal(&blob).code(), "PrivateKeyMalformed", "tail {tail:?}");
    }
}

#[test]
fn a_forbidden_format_is_named_and_only_if_it_opens() {
    let key = p256_pkcs8();
    for (format, other) in
        [(WrapFormat::KmraV1, WrapFormat::KmraV1Sha256), (WrapFormat::KmraV1Sha256, WrapFormat::KmraV1)]
    {
        let mut blob = wrap(&quote_spki(), format, &key).unwrap();
        let error = unwrap(&quote_key(), &blob, &[other]).err().unwrap();
        assert_eq!(error, Error::WrapFormatForbidden { format });
        let text = error.to_string();
        assert!(text.contains(format.as_str()) && text.contains("does not accept"), "{text}");
        *blob.last_mut().unwrap() ^= 1;
        assert_eq!(unwrap(&quote_key(), &blob, &[other]).err(), Some(Error::WrappedKeyInvalid));
    }
}

#[test]
fn other_forms_of_a_private_key_are_refused_by_name() {
    let rsa = b64(&stored()["cases"][0]["ca_pkcs8_der_b64"]);
    let pkcs1 = &rsa[26..];
    let p256 = p256_pkcs8();
    let sec1 = &p256[p256.windows(4).position(|w| w == [2, 1, 1, 4]).unwrap() - 2..];
    let pem = stored()["quote_private_key_pkcs8_pem"].as_str().unwrap().to_owned();
    // EncryptedPrivateKeyInfo: AlgorithmIdentifier, then an OCTET STRING (RFC 5208 section 6).
    let encrypted = hex::decode("3018300b06092a864886f70d01050d0409000102030405060708").unwrap();
    let future = [&hex::decode("3012020102300506032b6570040600000000").unwrap()[..], &[0, 0]].concat();
    KeyPair::from_der(pkcs1).expect("a PKCS#1 key");
    for (payload, name) in [
        (pkcs1, "PKCS#1"),
        (sec1, "SEC1"),
        (pem.as_bytes(), "PEM"),
        (&encrypted, "encrypted"),
        (&future, "version"),
        (&quote_spki(), "something else"),
        (&[0x30; 40], "something else"),
        (&[0; 40], "something else"),
    ] {
        let error = refusal(&kwp_wrap(payload));
        assert_eq!(error.code(), "PrivateKeyMalformed", "{name}");
        assert!(error.to_string().contains(name), "{error} names {name}");
        assert!(wrap(&quote_spki(), WrapFormat::KmraV1, payload) == Err(error), "{name}");
    }
}

#[test]
fn only_rsa_3072_may_be_wrapped_for() {
    let spki = |size| {
        let key = PrivateDecryptingKey::generate(size).unwrap();
        spki_of(&key)
    };
    let refused = |spki: &[u8]| wrap(spki, WrapFormat::KmraV1, &p256_pkcs8()).err().unwrap();
    assert_eq!(refused(&spki(KeySize::Rsa2048)), Error::PublicKeyUnsupported { bits: 2048 });
    assert_eq!(refused(&spki(KeySize::Rsa4096)), Error::PublicKeyUnsupported { bits: 4096 });
    assert_eq!(refused(&p256_pkcs8()).code(), "PublicKeyMalformed");
    assert_eq!(refused(&[]).code(), "PublicKeyMalformed");
    let mut tail = quote_spki();
    tail.push(0);
    assert_eq!(refused(&tail).code(), "PublicKeyMalformed");
    let ec =
        aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING)
            .unwrap();
    let ec = aws_lc_rs::signature::KeyPair::public_key(&ec).as_der().unwrap();
    let ec: &aws_lc_rs::encoding::PublicKeyX509Der<'_> = &ec;
    assert_eq!(refused(ec.as_ref()).code(), "PublicKeyMalformed");
}

proptest! {
    #[test]
    fn w_s7_no_input_panics(blob in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = check_length(&blob);
        let _ = check_pkcs8(&blob);
        let _ = wrap(&blob, WrapFormat::KmraV1, &p256_pkcs8());
    }

    #[test]
    fn a_changed_pkcs8_never_panics(at in 0usize..138, value in any::<u8>()) {
        let mut key = p256_pkcs8();
        if let Some(byte) = key.get_mut(at) { *byte = value; }
        let _ = check_pkcs8(&key);
    }
}
