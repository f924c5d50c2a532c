//! Certificates of a quote and its collateral: the parts that this crate compares.

use crate::validity::Validity;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Document, Encode, ErrorKind, Reader as _, Sequence, SliceReader, Tag};
use x509_cert::time::Time;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The first line of a certificate in PEM (RFC 7468, section 5.1).
pub const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The parts of a certificate that this crate uses. dcap-qvl verifies its signature, extensions and names; to
/// parse all of them a second time would take longer than all other checks of this crate together.
#[derive(Clone, Debug)]
pub struct ParsedCertificate {
    pub der: Vec<u8>,
    /// DER `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
    pub validity: Validity,
    /// Common names; `None` if there is none, or more than one.
    issuer: Option<String>,
    subject: Option<String>,
    /// DER `Extensions`.
    extensions: Option<Vec<u8>>,
}

/// `Certificate` (RFC 5280, section 4.1). Members that are not used here are left encoded.
#[derive(Sequence)]
pub struct RawCertificate<'a> {
    tbs_certificate: RawTbsCertificate<'a>,
    signature_algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

/// `TBSCertificate` of version 3.
#[derive(Sequence)]
struct RawTbsCertificate<'a> {
    #[asn1(context_specific = "0")]
    version: u8,
    serial_number: AnyRef<'a>,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: x509_cert::time::Validity,
    subject: AnyRef<'a>,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "3", optional = "true")]
    extensions: Option<AnyRef<'a>>,
}

/// `Extension`, with its DEFAULT.
#[derive(Sequence)]
struct Extension<'a> {
    id: ObjectIdentifier,
    #[asn1(default = "Default::default")]
    critical: bool,
    value: &'a OctetStringRef,
}

impl ParsedCertificate {
    pub fn read(der: Vec<u8>) -> der::Result<Self> {
        let RawCertificate { tbs_certificate: tbs, .. } = RawCertificate::from_der(&der)?;
        let seconds = |time: &Time| time.to_unix_duration().as_secs();
        Ok(Self {
            key: tbs.subject_public_key_info.to_der()?,
            validity: Validity {
                not_before: seconds(&tbs.validity.not_before),
                not_after: seconds(&tbs.validity.not_after),
            },
            issuer: common_name(tbs.issuer)?,
            subject: common_name(tbs.subject)?,
            extensions: tbs.extensions.map(|all| all.to_der()).transpose()?,
            der,
        })
    }

    /// The certificate in PEM, for dcap-qvl only: in one line, which is the fastest to write and to read.
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF).set_line_wrap(usize::MAX);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.as_slice()), config)
    }

    /// Whether this is the subject's common name.
    pub fn is_named(&self, name: &str) -> bool {
        self.subject.as_deref() == Some(name)
    }

    /// The value of an extension that occurs exactly once.
    pub fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        find_extension(AnyRef::from_der(self.extensions.as_deref()?).ok()?, id.as_bytes()).ok()?
    }
}

impl RawCertificate<'_> {
    /// The value of the extension with this OID (its content octets). An extension that occurs twice is an
    /// error.
    pub fn extension(&self, oid: &[u8]) -> der::Result<Option<Vec<u8>>> {
        let Some(all) = self.tbs_certificate.extensions else { return Ok(None) };
        Ok(find_extension(all, oid)?.map(<[u8]>::to_vec))
    }
}

/// The value of the extension with this OID (its content octets) in `Extensions`; an error if it occurs
/// twice.
fn find_extension<'a>(all: AnyRef<'a>, id: &[u8]) -> der::Result<Option<&'a [u8]>> {
    let all: Vec<Extension<'a>> = all.decode_as()?;
    let mut found = all.into_iter().filter(|extension| extension.id.as_bytes() == id);
    let one = found.next().map(|extension| extension.value.as_bytes());
    if found.next().is_some() { Err(ErrorKind::Value { tag: Tag::Sequence }.into()) } else { Ok(one) }
}

/// Intel's CA that certified a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckCa {
    /// Single-package platforms.
    Processor,
    /// Platforms of several packages; their certificates name the platform instance.
    Platform,
}

impl PckCa {
    /// `processor` or `platform`, as in the addresses of PCS and PCCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }

    /// From the issuer's name in a PCK certificate.
    pub(crate) fn of(leaf: &ParsedCertificate) -> Option<Self> {
        let issuer = leaf.issuer.as_deref()?;
        match (issuer.contains("Processor CA"), issuer.contains("Platform CA")) {
            (true, false) => Some(Self::Processor),
            (false, true) => Some(Self::Platform),
            _ => None,
        }
    }
}

/// Reads a PEM chain, leaf first, with the same PEM reader as dcap-qvl. `what` names the chain in errors.
pub fn read_chain(what: &str, text: &[u8]) -> Result<Vec<ParsedCertificate>, String> {
    // The reader's messages repeat its input, which an attacker chooses, so they are not passed on.
    let blocks = pem::parse_many(text).map_err(|_| format!("{what} is not PEM"))?;
    let read = |(number, block): (usize, pem::Pem)| {
        ParsedCertificate::read(block.into_contents()).map_err(|_| {
            format!("certificate {number} of {what} is not an X.509 certificate of version 3 in DER")
        })
    };
    (1..).zip(blocks).map(read).collect()
}

/// Reads exactly one certificate in the strict form of RFC 7468, section 3. [`read_chain`] reads it to the
/// same bytes, but takes twice as long. `None`: the text has another form.
pub fn read_one(text: &[u8]) -> Option<ParsedCertificate> {
    let text = str::from_utf8(text.trim_ascii_end())
        .ok()
        .filter(|text| text.as_bytes().starts_with(BEGIN_CERTIFICATE))?;
    let (_, document) = Document::from_pem(text).ok()?;
    ParsedCertificate::read(document.into_vec()).ok()
}

/// Reads a chain of exactly `LEN` certificates (`docs/conformance.md`, Q8).
pub fn read_chain_of<const LEN: usize>(what: &str, text: &[u8]) -> Result<[ParsedCertificate; LEN], String> {
    let chain = read_chain(what, text)?;
    let found = chain.len();
    chain.try_into().map_err(|_| format!("{what} has {found} certificates, expected {LEN}"))
}

/// The common name of a `Name` (RFC 5280, section 4.1.2.4), a SEQUENCE of SETs of SEQUENCE { type, value },
/// if there is exactly one.
fn common_name(name: AnyRef<'_>) -> der::Result<Option<String>> {
    name.header().tag().assert_eq(Tag::Sequence)?;
    let mut found = Vec::new();
    let mut sets = SliceReader::new(name.value())?;
    while !sets.is_finished() {
        let set = AnyRef::decode(&mut sets)?;
        set.header().tag().assert_eq(Tag::Set)?;
        let mut attributes = SliceReader::new(set.value())?;
        while !attributes.is_finished() {
            let (kind, value) = attributes.sequence(|attribute| {
                Ok::<_, der::Error>((ObjectIdentifier::decode(attribute)?, AnyRef::decode(attribute)?))
            })?;
            if kind == COMMON_NAME {
                found.push(value);
            }
        }
    }
    let [value] = found.as_slice() else { return Ok(None) };
    let is_text = matches!(value.header().tag(), Tag::Utf8String | Tag::PrintableString);
    Ok(str::from_utf8(value.value()).ok().filter(|_| is_text).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_strictly_is_read_the_same_as_by_the_reader_of_dcap_qvl() {
        let root = pem::encode(&pem::Pem::new("CERTIFICATE", include_bytes!("intel-sgx-root-ca.der")));
        for ending in ["", "\n", "\r\n \n"] {
            let text = format!("{}{ending}", root.replace("\r\n", "\n").trim_end());
            let [lenient] = read_chain_of::<1>("it", text.as_bytes()).unwrap();
            let strict = read_one(text.as_bytes()).unwrap();
            assert_eq!((strict.der, strict.key, strict.subject), (lenient.der, lenient.key, lenient.subject));
        }
        // Left to the other reader: text before, two blocks, another label, a long line.
        for text in [
            format!("text\n{root}"),
            format!("{root}{root}"),
            root.replace("CERTIFICATE", "X509 CERTIFICATE"),
            root.replace("\r\n", "").replace("-----MII", "-----\nMII").replace("-----END", "\n-----END"),
        ] {
            assert!(read_one(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn an_extension_that_stands_there_twice_is_none() {
        let extension = |id| Extension { id, critical: false, value: OctetStringRef::new(b"x").unwrap() };
        let (one, other) = (COMMON_NAME, ObjectIdentifier::new_unwrap("2.5.4.4"));
        let find = |ids: &[ObjectIdentifier]| {
            let all: Vec<_> = ids.iter().copied().map(extension).collect();
            let der = all.to_der().unwrap();
            find_extension(AnyRef::from_der(&der).unwrap(), one.as_bytes())
                .map(|found| found.map(<[u8]>::to_vec))
        };
        assert_eq!(find(&[other, one]), Ok(Some(b"x".to_vec())));
        assert_eq!(find(&[other]), Ok(None));
        assert!(find(&[one, other, one]).is_err());
    }
}
