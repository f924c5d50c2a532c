//! Reads X.509 v3 certificates and to-be-signed certificates (RFC 5280, section 4.1).

use crate::encode::context_tag;
use crate::extension::{self, Extension};
use crate::validity::Validity;
use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, UintRef, UtcTime};
use der::{Decode, Reader, SliceReader, Tag};
use spki::AlgorithmIdentifierRef;

/// Maximum length of a certificate, in bytes.
pub const MAX_CERTIFICATE: usize = 64 * 1024;

const UNREADABLE: &str = "it is not a DER certificate";

/// A certificate and the bytes that its signature covers.
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
    pub validity: Validity,
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    pub extensions: Vec<Extension<'a>>,
}

impl<'a> Certificate<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
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
        let mut reader = SliceReader::new(bytes).map_err(|_| UNREADABLE)?;
        let (mut tbs, extensions) = reader.sequence(read_tbs).map_err(|TbsError(why)| why)?;
        reader.finish().map_err(|_| UNREADABLE)?;
        extension::read(extensions, &mut tbs.extensions).map_err(extension::ExtensionError::text)?;
        Ok(tbs)
    }

    pub fn extension(&self, id: der::asn1::ObjectIdentifier) -> Option<&Extension<'a>> {
        self.extensions.iter().find(|extension| extension.id == id)
    }

    /// Whether this is its serial number.
    pub fn has_serial(&self, serial: &[u8; 16]) -> bool {
        let number =
            |bytes: &[u8]| bytes.iter().fold(0u128, |number, byte| (number << 8) | u128::from(*byte));
        self.serial.len() <= 16 && number(self.serial) == number(serial)
    }
}

/// Why a to-be-signed certificate could not be read.
struct TbsError(&'static str);

impl From<der::Error> for TbsError {
    fn from(_: der::Error) -> Self {
        Self(UNREADABLE)
    }
}

/// The fields, and the raw sequence of extensions.
fn read_tbs<'a>(inner: &mut SliceReader<'a>) -> Result<(TbsCertificate<'a>, &'a [u8]), TbsError> {
    read_version(inner)?;
    let serial = read_serial(inner)?;
    let algorithm = AlgorithmIdentifierRef::decode(inner)?;
    let issuer = inner.tlv_bytes()?;
    let validity = inner.sequence(|times| {
        Ok::<_, der::Error>(Validity { not_before: time(times)?, not_after: time(times)? })
    });
    let validity = validity.map_err(|_| TbsError("its validity cannot be read"))?;
    let (subject, spki) = (inner.tlv_bytes()?, inner.tlv_bytes()?);
    if inner.is_finished() {
        return Err(TbsError("it has no extensions, so nothing says that it is a CA certificate"));
    }
    let extensions = AnyRef::decode(inner)?;
    // Unique identifiers ([1], [2]) have no use, and no certificate has them. They are refused instead of
    // being skipped.
    if extensions.header().tag() != context_tag(3) {
        return Err(TbsError("it has a unique identifier, or something else that is no list of extensions"));
    }
    let extensions = extensions.value();
    let tbs = TbsCertificate { serial, algorithm, issuer, validity, subject, spki, extensions: Vec::new() };
    Ok((tbs, extensions))
}

/// `[0] EXPLICIT INTEGER`, which is left out for version 1. Only version 3 has extensions.
fn read_version(inner: &mut SliceReader<'_>) -> Result<(), TbsError> {
    const VERSION: Tag = context_tag(0);
    if Tag::peek(inner)? != VERSION {
        return Err(TbsError(
            "it is of version 1, which does not say whether it is a CA certificate; use version 3",
        ));
    }
    match AnyRef::decode(inner)?.value() {
        [0x02, 0x01, 0x02] => Ok(()),
        [0x02, 0x01, 0x01] => Err(TbsError(
            "it is of version 2, which does not say whether it is a CA certificate; use version 3",
        )),
        _ => Err(TbsError("its version is not 3")),
    }
}

/// A serial number that is not negative (RFC 5280, section 4.1.2.2), without leading zeros.
fn read_serial<'a>(inner: &mut SliceReader<'a>) -> Result<&'a [u8], TbsError> {
    let serial = AnyRef::decode(inner)?;
    serial.header().tag().assert_eq(Tag::Integer)?;
    if serial.value().first().is_some_and(|first| first & 0x80 != 0) {
        return Err(TbsError(
            "its serial number is negative, and Go does not read such certificates; issue it with a positive one",
        ));
    }
    Ok(serial.decode_as::<UintRef<'_>>()?.as_bytes())
}

fn time(reader: &mut SliceReader<'_>) -> der::Result<i64> {
    let since_1970 = match Tag::peek(reader)? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    };
    i64::try_from(since_1970.as_secs()).map_err(|_| Tag::GeneralizedTime.value_error().into())
}
