//! The authority key identifier of a CA certificate (RFC 5280, section 4.2.1.1).

use crate::name::{self, Rdns};
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// What a certificate says of the certificate of its issuer.
#[derive(Clone, Debug)]
pub struct AuthorityKeyId {
    key_id: Option<Vec<u8>>,
    /// The first directory name among the names of the issuer's issuer.
    issuer: Option<Rdns>,
    /// The contents of the issuer's serial number, without leading zeros.
    serial: Option<Vec<u8>>,
}

impl AuthorityKeyId {
    /// `SEQUENCE { keyIdentifier [0], authorityCertIssuer [1] GeneralNames, authorityCertSerialNumber [2] }`,
    /// all of them IMPLICIT and OPTIONAL.
    pub fn parse(value: &[u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(value)?;
        let parsed = reader.sequence(|inner| {
            let key_id = optional(inner, 0, false)?;
            let names = optional(inner, 1, true)?;
            let serial = optional(inner, 2, false)?;
            Ok::<_, der::Error>(Self {
                key_id: key_id.map(<[u8]>::to_vec),
                issuer: names.map(first_directory_name).transpose()?.flatten(),
                serial: serial.map(|serial| without_zeros(serial).to_vec()),
            })
        })?;
        reader.finish()?;
        Ok(parsed)
    }

    /// Whether a certificate with this subject key identifier, this issuer (DER `Name`) and this serial
    /// number may be the one that is meant. What either of them does not say contradicts nothing, as for
    /// openssl.
    pub fn fits(&self, key_id: Option<&[u8]>, issuer: &[u8], serial: &[u8]) -> bool {
        let same_key = self.key_id.as_deref().zip(key_id).is_none_or(|(wanted, id)| wanted == id);
        let same_serial = self.serial.as_ref().is_none_or(|wanted| wanted == without_zeros(serial));
        let is_issuer = |wanted: &Rdns| name::narrow_rdns(issuer).is_ok_and(|issuer| issuer == *wanted);
        same_key && same_serial && self.issuer.as_ref().is_none_or(is_issuer)
    }
}

/// The contents of an optional part.
fn optional<'a>(
    reader: &mut SliceReader<'a>,
    number: u32,
    constructed: bool,
) -> der::Result<Option<&'a [u8]>> {
    let tag = Tag::ContextSpecific { constructed, number: TagNumber(number) };
    if reader.is_finished() || Tag::peek(reader)? != tag {
        return Ok(None);
    }
    Ok(Some(AnyRef::decode(reader)?.value()))
}

fn first_directory_name(names: &[u8]) -> der::Result<Option<Rdns>> {
    let mut reader = SliceReader::new(names)?;
    while !reader.is_finished() {
        let name = AnyRef::decode(&mut reader)?;
        let tag = name.header().tag();
        if tag == (Tag::ContextSpecific { constructed: true, number: TagNumber(4) }) {
            return name::narrow_rdns(name.value()).map(Some).map_err(|_| tag.value_error().into());
        }
    }
    Ok(None)
}

fn without_zeros(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    serial.get(zeros..).unwrap_or_default()
}
