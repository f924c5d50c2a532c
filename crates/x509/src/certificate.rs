//! Reading X.509 v3 certificates and to-be-signed certificates (RFC 5280, 4.1).

use crate::extension::{self, Extension};
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, UintRef, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierRef;

/// Longest certificate accepted, in bytes.
pub const MAX_CERTIFICATE: usize = 64 * 1024;

const fn field(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// A certificate and what it was signed over.
pub struct Certificate<'a> {
    pub tbs_raw: &'a [u8],
    pub tbs: TbsCertificate<'a>,
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub signature: &'a [u8],
}

/// The fields of a to-be-signed certificate.
pub struct TbsCertificate<'a> {
    pub serial: &'a [u8],
    pub algorithm: AlgorithmIdentifierRef<'a>,
    pub issuer: &'a [u8],
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    pub extensions: Vec<Extension<'a>>,
}

impl<'a> Certificate<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        const UNREADABLE: &str = "it is not a DER certificate";
        if bytes.len() > MAX_CERTIFICATE {
            return Err("it is longer than 64 KiB");
        }
        let mut reader = SliceReader::new(bytes).map_err(|_| UNREADABLE)?;
        let parts = reader.sequence(|inner| {
            let tbs = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(inner)?;
            Ok::<_, der::Error>((tbs, algorithm, BitStringRef::decode(inner)?))
        });
        let (tbs_raw, algorithm, signature) = parts.map_err(|_| UNREADABLE)?;
        reader.finish().map_err(|_| UNREADABLE)?;
        let tbs = TbsCertificate::parse(tbs_raw)?;
        if tbs.algorithm != algorithm {
            return Err("its two signature algorithms differ");
        }
        let signature = signature.as_bytes().ok_or(UNREADABLE)?;
        Ok(Self { tbs_raw, tbs, algorithm, signature })
    }
}

impl<'a> TbsCertificate<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        const UNREADABLE: &str = "it is not a certificate of version 3";
        let mut reader = SliceReader::new(bytes).map_err(|_| UNREADABLE)?;
        let (mut tbs, extensions) = reader.sequence(read_tbs).map_err(|_| UNREADABLE)?;
        reader.finish().map_err(|_| UNREADABLE)?;
        extension::read(extensions, &mut tbs.extensions).map_err(extension::Fault::text)?;
        Ok(tbs)
    }

    pub fn extension(&self, id: der::asn1::ObjectIdentifier) -> Option<&Extension<'a>> {
        self.extensions.iter().find(|extension| extension.id == id)
    }
}

/// The fields, and the raw sequence of extensions.
fn read_tbs<'a>(inner: &mut SliceReader<'a>) -> der::Result<(TbsCertificate<'a>, &'a [u8])> {
    let version = AnyRef::decode(inner)?;
    version.header().tag().assert_eq(field(0))?;
    if version.value() != [0x02, 0x01, 0x02] {
        return Err(Tag::Integer.value_error().into());
    }
    let serial = UintRef::decode(inner)?.as_bytes();
    let algorithm = AlgorithmIdentifierRef::decode(inner)?;
    let issuer = inner.tlv_bytes()?;
    let (not_before, not_after) =
        inner.sequence(|times| Ok::<_, der::Error>((time(times)?, time(times)?)))?;
    let (subject, spki) = (inner.tlv_bytes()?, inner.tlv_bytes()?);
    // Unique identifiers ([1], [2]) are of no use and in nobody's certificates: they are not skipped but refused.
    let extensions = AnyRef::decode(inner)?;
    extensions.header().tag().assert_eq(field(3))?;
    let extensions = extensions.value();
    let tbs = TbsCertificate {
        serial,
        algorithm,
        issuer,
        not_before,
        not_after,
        subject,
        spki,
        extensions: Vec::new(),
    };
    Ok((tbs, extensions))
}

fn time(reader: &mut SliceReader<'_>) -> der::Result<i64> {
    let since_1970 = match Tag::peek(reader)? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    };
    i64::try_from(since_1970.as_secs()).map_err(|_| Tag::GeneralizedTime.value_error().into())
}
