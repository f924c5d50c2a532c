//! Encodes DER values.

use crate::Error;
use crate::validity::Validity;
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, UintRef, UtcTime};
use der::{DateTime, Encode, Tag, TagNumber};
use std::time::Duration;

/// The last year that `UTCTime` can hold (RFC 5280, section 4.1.2.5).
const LAST_UTC_YEAR: u16 = 2049;

/// The tag of a constructed context-specific value, `[number]`.
pub const fn context_tag(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// A value with this tag and these contents.
pub fn tlv(tag: Tag, contents: &[u8]) -> Result<Vec<u8>, Error> {
    der(&AnyRef::new(tag, contents).map_err(|_| Error::Encoding)?)
}

/// A SEQUENCE of encoded parts.
pub fn sequence(parts: &[&[u8]]) -> Result<Vec<u8>, Error> {
    tlv(Tag::Sequence, &parts.concat())
}

/// `[number] EXPLICIT` around an encoded value.
pub fn explicit(number: u32, value: &[u8]) -> Result<Vec<u8>, Error> {
    tlv(context_tag(number), value)
}

/// A non-negative INTEGER from big-endian bytes, in its shortest form.
pub fn unsigned(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    der(&UintRef::new(bytes).map_err(|_| Error::Encoding)?)
}

/// A BIT STRING without unused bits.
pub fn bits(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    der(&BitStringRef::from_bytes(bytes).map_err(|_| Error::Encoding)?)
}

/// `Validity ::= SEQUENCE { notBefore Time, notAfter Time }`.
pub fn validity(validity: Validity) -> Result<Vec<u8>, Error> {
    sequence(&[&time(validity.not_before)?, &time(validity.not_after)?])
}

/// `UTCTime` until 2049, `GeneralizedTime` from 2050. The input is in Unix seconds.
fn time(seconds: i64) -> Result<Vec<u8>, Error> {
    let since_1970 = Duration::from_secs(u64::try_from(seconds).map_err(|_| Error::Encoding)?);
    let when = DateTime::from_unix_duration(since_1970).map_err(|_| Error::Encoding)?;
    if when.year() <= LAST_UTC_YEAR {
        der(&UtcTime::from_date_time(when).map_err(|_| Error::Encoding)?)
    } else {
        der(&GeneralizedTime::from_date_time(when))
    }
}

/// Any encodable value.
pub fn der(value: &impl Encode) -> Result<Vec<u8>, Error> {
    value.to_der().map_err(|_| Error::Encoding)
}
