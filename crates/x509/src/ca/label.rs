//! Names certificates of a delivery in messages.

use super::certificate::CaCertificate;
use crate::quote::quoted;
use crate::{Error, name};
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag};

/// A certificate, and how messages name it.
pub struct Labelled {
    pub certificate: CaCertificate,
    /// Its position in the delivery, from 1.
    pub position: usize,
    /// `certificate 2 ("O=Acme, CN=Root")`.
    pub label: String,
}

impl Labelled {
    /// Parses the certificate at this position. The error names it.
    pub fn parse(bytes: &[u8], position: usize) -> Result<Self, Error> {
        let label = label(bytes, position);
        match CaCertificate::from_der(bytes) {
            Ok(certificate) => Ok(Self { certificate, position, label }),
            Err(error) => Err(named(&label, error)),
        }
    }

    /// The error, with the certificate named in it.
    pub fn blame(&self, error: Error) -> Error {
        named(&self.label, error)
    }
}

fn named(label: &str, error: Error) -> Error {
    let with = |why: &str| format!("{label}: {why}").into();
    match error {
        Error::CertificateMalformed(why) => Error::CertificateMalformed(with(&why)),
        Error::CertificateNotCa(why) => Error::CertificateNotCa(with(&why)),
        Error::CertificateExpired(why) => Error::CertificateExpired(with(&why)),
        Error::CertificateNotYetValid(why) => Error::CertificateNotYetValid(with(&why)),
        Error::CertificateUnsupported(why) => Error::CertificateUnsupported(with(&why)),
        Error::ChainBroken(why) => Error::ChainBroken(with(&why)),
        other => other,
    }
}

fn label(bytes: &[u8], position: usize) -> String {
    let subject = subject(bytes).ok().and_then(name::shown);
    subject.map_or_else(
        || format!("certificate {position}"),
        |subject| format!("certificate {position} ({})", quoted(&subject)),
    )
}

/// The subject of what may be no acceptable certificate, DER `Name`.
fn subject(bytes: &[u8]) -> der::Result<&[u8]> {
    let whole = AnyRef::decode(&mut SliceReader::new(bytes)?)?;
    let tbs = AnyRef::decode(&mut SliceReader::new(whole.value())?)?;
    let mut fields = SliceReader::new(tbs.value())?;
    if matches!(Tag::peek(&fields)?, Tag::ContextSpecific { .. }) {
        fields.tlv_bytes()?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        fields.tlv_bytes()?;
    }
    fields.tlv_bytes()
}
