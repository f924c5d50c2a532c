//! The contents of a wrapped key: one unencrypted PKCS#8 structure.

use crate::Error;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// Checks that `der` is exactly one unencrypted PKCS#8 structure (RFC 5208, RFC 5958), by its outer shape.
///
/// The key inside is not examined. PEM, PKCS#1, SEC 1, encrypted PKCS#8 and trailing bytes are
/// [`Error::PrivateKeyMalformed`], which names them.
pub fn check_pkcs8(der: &[u8]) -> Result<(), Error> {
    if pkcs8_len(der)? == der.len() {
        Ok(())
    } else {
        Err(Error::PrivateKeyMalformed { found: "PKCS#8 with other data after it" })
    }
}

/// Length in bytes of the PKCS#8 structure at the start of `bytes`.
///
/// Libraries accept a PKCS#8 structure followed by any bytes, so the length is read here.
pub fn pkcs8_len(bytes: &[u8]) -> Result<usize, Error> {
    let (len, found) = read_outer(bytes).unwrap_or((0, Found::Other("something else")));
    match found {
        Found::Pkcs8 => Ok(len),
        // PEM is text, so it is looked for only if the bytes are not DER.
        Found::Other(_) if bytes.starts_with(b"-----BEGIN") => {
            Err(Error::PrivateKeyMalformed { found: "PEM text" })
        }
        Found::Other(what) => Err(Error::PrivateKeyMalformed { found: what }),
    }
}

enum Found {
    Pkcs8,
    Other(&'static str),
}

fn read_outer(bytes: &[u8]) -> der::Result<(usize, Found)> {
    let mut reader = SliceReader::new(bytes)?;
    let outer = AnyRef::decode(&mut reader)?;
    let len = usize::try_from(reader.position())?;
    outer.tag().assert_eq(Tag::Sequence)?;
    let mut inner = SliceReader::new(outer.value())?;
    Ok((len, read_inner(&mut inner)?))
}

fn read_inner(inner: &mut SliceReader<'_>) -> der::Result<Found> {
    if Tag::peek(inner)? == Tag::Sequence {
        AnyRef::decode(inner)?;
        let encrypted = Tag::peek(inner)? == Tag::OctetString;
        return Ok(Found::Other(if encrypted { "an encrypted PKCS#8 structure" } else { "something else" }));
    }
    let version = u8::decode(inner)?;
    match Tag::peek(inner)? {
        Tag::Integer => return Ok(Found::Other("an RSA key in PKCS#1")),
        Tag::OctetString => return Ok(Found::Other("an EC key in SEC1")),
        _ => {}
    }
    let algorithm = AnyRef::decode(inner)?;
    algorithm.tag().assert_eq(Tag::Sequence)?;
    <ObjectIdentifier>::decode(&mut SliceReader::new(algorithm.value())?)?;
    AnyRef::decode(inner)?.tag().assert_eq(Tag::OctetString)?;
    // RFC 5958: attributes [0] and, in version 2 (written 1), the public key [1].
    let mut last = None;
    while !inner.is_finished() {
        let Tag::ContextSpecific { number, .. } = AnyRef::decode(inner)?.tag() else {
            return Ok(Found::Other("a structure with unknown fields"));
        };
        if number > TagNumber(1) || last.is_some_and(|last| number <= last) {
            return Ok(Found::Other("a structure with unknown fields"));
        }
        last = Some(number);
    }
    Ok(if version <= 1 { Found::Pkcs8 } else { Found::Other("a structure of an unknown version") })
}
