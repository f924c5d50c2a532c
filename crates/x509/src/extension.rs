//! X.509 extensions of requests and certificates.

use crate::{Error, encode};
use der::asn1::{BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag};

pub const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
pub const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
pub const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
pub const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
pub const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
pub const AUTHORITY_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
pub const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");

pub const CRL_DISTRIBUTION_POINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.31");
/// Stands for every extended key usage (RFC 5280, section 4.2.1.12).
pub const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Bit numbers of keyUsage (RFC 5280, section 4.2.1.3).
pub const KEY_CERT_SIGN: u8 = 5;
pub const CRL_SIGN: u8 = 6;

/// Maximum number of extensions: more than any certificate or request has in practice.
pub const MAX_EXTENSIONS: usize = 64;

/// One extension.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    pub id: ObjectIdentifier,
    pub critical: bool,
    pub value: &'a [u8],
}

/// Why extensions could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionError {
    Malformed,
    Duplicate,
    TooMany,
}

impl ExtensionError {
    pub fn text(self) -> &'static str {
        match self {
            Self::Malformed => "its extensions are malformed",
            Self::Duplicate => "an extension occurs twice",
            Self::TooMany => "it has more than 64 extensions",
        }
    }
}

impl From<der::Error> for ExtensionError {
    fn from(_: der::Error) -> Self {
        Self::Malformed
    }
}

/// Reads `Extensions ::= SEQUENCE OF Extension` into `into`. Each identifier may occur only once.
pub fn read<'a>(sequence: &'a [u8], into: &mut Vec<Extension<'a>>) -> Result<(), ExtensionError> {
    let mut reader = SliceReader::new(sequence)?;
    reader.sequence(|inner| {
        while !inner.is_finished() {
            let extension = one(inner)?;
            if into.len() >= MAX_EXTENSIONS {
                return Err(ExtensionError::TooMany);
            }
            if into.iter().any(|seen| seen.id == extension.id) {
                return Err(ExtensionError::Duplicate);
            }
            into.push(extension);
        }
        Ok(())
    })?;
    Ok(reader.finish()?)
}

/// An OBJECT IDENTIFIER whose arcs are in their shortest form and below 2³¹, as Go reads it. `der` checks
/// neither. Identifiers of subject attributes are copied into the certificate, which Go could not read
/// otherwise.
pub fn object_id(reader: &mut SliceReader<'_>) -> der::Result<ObjectIdentifier> {
    let id = ObjectIdentifier::decode(reader)?;
    let mut arc_begins = true;
    let shortest = id.as_bytes().iter().all(|byte| {
        let padding = arc_begins && *byte == 0x80;
        arc_begins = byte & 0x80 == 0;
        !padding
    });
    if shortest && id.arcs().all(|arc| arc <= i32::MAX.unsigned_abs()) {
        Ok(id)
    } else {
        Err(Tag::ObjectIdentifier.value_error().into())
    }
}

fn one<'a>(reader: &mut SliceReader<'a>) -> der::Result<Extension<'a>> {
    reader.sequence(|inner| {
        let id = object_id(inner)?;
        // An explicit FALSE is not DER, but it is so common that all readers accept it.
        let critical = if Tag::peek(inner)? == Tag::Boolean { bool::decode(inner)? } else { false };
        let value = <&OctetStringRef>::decode(inner)?.as_bytes();
        Ok(Extension { id, critical, value })
    })
}

/// An extension with this DER value.
pub fn encode(id: ObjectIdentifier, critical: bool, value: &[u8]) -> Result<Vec<u8>, Error> {
    let id = encode::der(&id)?;
    let value = encode::tlv(Tag::OctetString, value)?;
    if critical {
        encode::sequence(&[&id, &encode::der(&true)?, &value])
    } else {
        encode::sequence(&[&id, &value])
    }
}

/// The contents of `basicConstraints`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicConstraints {
    pub ca: bool,
    pub path_length: Option<u8>,
}

impl BasicConstraints {
    /// The value of the extension, DER. Only a CA has a path length.
    pub fn to_der(self) -> Result<Vec<u8>, Error> {
        if !self.ca {
            return encode::sequence(&[]);
        }
        let path_length = self.path_length.map(|length| encode::unsigned(&[length])).transpose()?;
        encode::sequence(&[&encode::der(&true)?, path_length.as_deref().unwrap_or_default()])
    }
}

/// `SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER (0..MAX) OPTIONAL }`.
pub fn basic_constraints(value: &[u8]) -> der::Result<BasicConstraints> {
    let mut reader = SliceReader::new(value)?;
    let constraints = reader.sequence(|inner| {
        let mut constraints = BasicConstraints::default();
        if !inner.is_finished() && Tag::peek(inner)? == Tag::Boolean {
            constraints.ca = bool::decode(inner)?;
        }
        if !inner.is_finished() {
            constraints.path_length = Some(u8::decode(inner)?);
        }
        Ok::<_, der::Error>(constraints)
    })?;
    reader.finish()?;
    Ok(constraints)
}

/// The contents of an OCTET STRING.
pub fn octets(value: &[u8]) -> der::Result<Vec<u8>> {
    Ok(<&OctetStringRef>::from_der(value)?.as_bytes().to_vec())
}

/// The bits of `keyUsage` that are set, by number.
pub fn key_usage(value: &[u8]) -> der::Result<Vec<u8>> {
    let bits = BitStringRef::from_der(value)?;
    Ok((0u8..).zip(bits.bits().take(16)).filter_map(|(number, set)| set.then_some(number)).collect())
}

/// The identifiers of `extKeyUsage`, without duplicates, sorted.
pub fn extended_key_usage(value: &[u8]) -> der::Result<Vec<ObjectIdentifier>> {
    let mut reader = SliceReader::new(value)?;
    let mut all = Vec::new();
    reader.sequence(|inner| {
        while !inner.is_finished() {
            all.push(object_id(inner)?);
        }
        Ok::<_, der::Error>(())
    })?;
    reader.finish()?;
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_usage_of_any_length_is_read_without_overflow() {
        assert_eq!(key_usage(&[0x03, 0x02, 0x05, 0xa0]).unwrap(), [0, 2]);
        let mut long = vec![0x03, 41, 0x00];
        long.extend([0; 39]);
        long.push(0xff);
        assert_eq!(key_usage(&long).unwrap(), Vec::<u8>::new());
    }
}
