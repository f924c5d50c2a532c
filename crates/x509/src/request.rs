//! PKCS#10 certification requests (RFC 2986).

use crate::encode::context_tag;
use crate::extension::{self, BasicConstraints, Extension, ExtensionError, object_id};
use crate::public_key::{KeyError, PublicKey};
use crate::{Error, name, san};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag};
use spki::AlgorithmIdentifierRef;

/// Maximum length of a request, in bytes.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// `extensionRequest`, PKCS#9.
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const ATTRIBUTES: Tag = context_tag(0);

/// A request that proves possession of its key, and whose key and names are acceptable.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    subject: Vec<u8>,
    spki: Vec<u8>,
    /// `spki`, parsed.
    key: PublicKey,
    san: Option<Vec<u8>>,
    constraints: Option<BasicConstraints>,
    key_usage: Option<Vec<u8>>,
    extended_key_usage: Option<Vec<u8>>,
    has_name_constraints: bool,
}

impl CertificateRequest {
    /// Parses and verifies a DER request of at most [`MAX_REQUEST`] bytes.
    ///
    /// Fails with `RequestMalformed`, `RequestKeyUnsupported`, `RequestSignatureInvalid` or
    /// `IdentityForbidden`.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_REQUEST {
            return Err(Error::RequestMalformed("it is longer than 1 MiB"));
        }
        let mut reader = SliceReader::new(bytes)?;
        let (info, algorithm, signature) = reader.sequence(|inner| {
            let info = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierRef::decode(inner)?;
            Ok::<_, der::Error>((info, algorithm, BitStringRef::decode(inner)?))
        })?;
        reader.finish()?;
        let Info { subject, spki, attributes } = read_info(info)?;
        let extensions = requested_extensions(attributes)?;

        let key = PublicKey::from_spki(spki).map_err(key_error)?;
        let signature = signature.as_bytes().ok_or(Error::RequestMalformed("its signature is incomplete"))?;
        key.verify_with(&algorithm, info, signature).map_err(key_error)?;
        Self::check_names(subject, (spki, key), &extensions)
    }

    fn check_names(
        subject: &[u8],
        (spki, key): (&[u8], PublicKey),
        extensions: &[Extension<'_>],
    ) -> Result<Self, Error> {
        name::check_subject(subject)?;
        let value =
            |id| extensions.iter().find(|extension| extension.id == id).map(|extension| extension.value);
        let san = value(extension::SUBJECT_ALT_NAME);
        if let Some(san) = san {
            san::check(san)?;
        } else if name::is_blank(subject) {
            return Err(Error::IdentityForbidden(
                "it has neither a subject nor a subject alternative name".into(),
            ));
        }
        let unreadable = |_| Error::RequestMalformed("a requested extension cannot be read");
        let constraints = value(extension::BASIC_CONSTRAINTS).map(extension::basic_constraints).transpose();
        let key_usage = value(extension::KEY_USAGE).map(extension::key_usage).transpose();
        Ok(Self {
            subject: subject.to_vec(),
            spki: spki.to_vec(),
            key,
            san: san.map(<[u8]>::to_vec),
            constraints: constraints.map_err(unreadable)?,
            key_usage: key_usage.map_err(unreadable)?,
            extended_key_usage: value(extension::EXTENDED_KEY_USAGE).map(<[u8]>::to_vec),
            has_name_constraints: value(extension::NAME_CONSTRAINTS).is_some(),
        })
    }

    /// The subject, DER `Name`, byte for byte.
    #[must_use]
    pub fn subject_raw(&self) -> &[u8] {
        &self.subject
    }

    /// Whether the subject has no attributes.
    #[must_use]
    pub fn is_subject_empty(&self) -> bool {
        name::is_empty(&self.subject)
    }

    /// The public key, DER `SubjectPublicKeyInfo`, byte for byte.
    #[must_use]
    pub fn spki_raw(&self) -> &[u8] {
        &self.spki
    }

    /// The value of the requested subjectAltName extension, byte for byte.
    #[must_use]
    pub fn san_raw(&self) -> Option<&[u8]> {
        self.san.as_deref()
    }

    /// The public key that [`Self::spki_raw`] encodes.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it requests a CA certificate (CA:TRUE).
    #[must_use]
    pub fn requests_ca(&self) -> bool {
        self.constraints.is_some_and(|constraints| constraints.ca)
    }

    /// Whether it requests a certificate that is not a CA certificate (CA:FALSE).
    pub(crate) fn denies_ca(&self) -> bool {
        self.constraints.is_some_and(|constraints| !constraints.ca)
    }

    /// Whether it asks for name constraints, which no certificate of this crate gets.
    pub(crate) fn has_name_constraints(&self) -> bool {
        self.has_name_constraints
    }

    /// The requested path length.
    pub(crate) fn path_length(&self) -> Option<u8> {
        self.constraints.and_then(|constraints| constraints.path_length)
    }

    /// Whether the requested key usage contains keyCertSign or cRLSign.
    #[must_use]
    pub fn requests_signing_usage(&self) -> bool {
        let signs = |bit: &u8| matches!(*bit, extension::KEY_CERT_SIGN | extension::CRL_SIGN);
        self.key_usage.iter().flatten().any(signs)
    }

    /// The bits of the requested key usage, by number, ascending.
    pub(crate) fn key_usage(&self) -> Option<&[u8]> {
        self.key_usage.as_deref()
    }

    /// The value of the requested extended key usage. Whether it can be read is not examined.
    pub(crate) fn extended_key_usage(&self) -> Option<&[u8]> {
        self.extended_key_usage.as_deref()
    }
}

/// Raw parts of a `CertificationRequestInfo`.
struct Info<'a> {
    subject: &'a [u8],
    spki: &'a [u8],
    /// The contents of the set of attributes.
    attributes: &'a [u8],
}

/// `SEQUENCE { version INTEGER, subject Name, subjectPKInfo, attributes [0] IMPLICIT SET OF Attribute }`. Any
/// version that fits in 64 bits passes, as in Go.
fn read_info(info: &[u8]) -> Result<Info<'_>, Error> {
    let mut reader = SliceReader::new(info)?;
    let parts = reader.sequence(|inner| {
        i64::decode(inner)?;
        let (subject, spki) = (inner.tlv_bytes()?, inner.tlv_bytes()?);
        Ok::<_, der::Error>((subject, spki, AnyRef::decode(inner)?))
    })?;
    reader.finish()?;
    let (subject, spki, attributes) = parts;
    if attributes.header().tag() != ATTRIBUTES {
        return Err(Error::RequestMalformed("it has no attributes field"));
    }
    Ok(Info { subject, spki, attributes: attributes.value() })
}

/// The extensions of all extensionRequest attributes (RFC 2985, section 5.4.2). Only the first value of each
/// attribute is read.
fn requested_extensions(attributes: &[u8]) -> Result<Vec<Extension<'_>>, Error> {
    let mut extensions = Vec::new();
    let mut reader = SliceReader::new(attributes)?;
    while !reader.is_finished() {
        let (id, values) =
            reader.sequence(|inner| Ok::<_, der::Error>((object_id(inner)?, AnyRef::decode(inner)?)))?;
        if values.header().tag() != Tag::Set {
            return Err(Error::RequestMalformed("an attribute has no set of values"));
        }
        if id == EXTENSION_REQUEST {
            let first = SliceReader::new(values.value())?.tlv_bytes()?;
            let read = extension::read(first, &mut extensions);
            read.map_err(|error: ExtensionError| Error::RequestMalformed(error.text()))?;
        }
    }
    Ok(extensions)
}

fn key_error(error: KeyError) -> Error {
    match error {
        KeyError::Malformed(why) => Error::RequestMalformed(why),
        KeyError::Unsupported(why) => Error::RequestKeyUnsupported(why),
        KeyError::Signature => Error::RequestSignatureInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_go_cannot_hold_is_refused() {
        let info = |version: &[u8]| {
            let rest = b"\x30\x00\x30\x00\xa0\x00";
            let length = u8::try_from(version.len() + rest.len()).unwrap();
            [&[0x30, length], version, rest].concat()
        };
        assert!(read_info(&info(b"\x02\x01\xff")).is_ok(), "any number");
        assert!(read_info(&info(b"\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x00")).is_err(), "65 bits");
    }
}
