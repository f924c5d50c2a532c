//! Subjects of self-signed CAs.

use crate::{Error, encode, name};
use der::Tag;
use der::asn1::ObjectIdentifier;

/// Maximum number of values of one attribute.
const MAX_VALUES: usize = 16;

/// An attribute of a subject, and the maximum number of characters of its values (upper bounds of RFC 5280,
/// appendix A.1).
struct Attribute {
    id: ObjectIdentifier,
    longest: usize,
}

const fn attribute(id: &str, longest: usize) -> Attribute {
    Attribute { id: ObjectIdentifier::new_unwrap(id), longest }
}

const COMMON_NAME: Attribute = attribute("2.5.4.3", 64);
const COUNTRY: Attribute = attribute("2.5.4.6", 2);
const LOCALITY: Attribute = attribute("2.5.4.7", 128);
const PROVINCE: Attribute = attribute("2.5.4.8", 128);
const ORGANIZATION: Attribute = attribute("2.5.4.10", 64);
const ORGANIZATIONAL_UNIT: Attribute = attribute("2.5.4.11", 64);

/// The name of a self-signed CA.
///
/// It is encoded in the order country, organization, unit, locality, province, common name, each value in an
/// RDN of its own (X.501 allows one value of a type in an RDN), as `UTF8String`; countries as
/// `PrintableString`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaSubject<'a> {
    /// CN, 1 to 64 characters.
    pub common_name: &'a str,
    /// O, each 1 to 64 characters.
    pub organizations: &'a [String],
    /// OU, each 1 to 64 characters.
    pub organizational_units: &'a [String],
    /// C, each two ASCII letters.
    pub countries: &'a [String],
    /// L, each 1 to 128 characters.
    pub localities: &'a [String],
    /// ST, each 1 to 128 characters.
    pub provinces: &'a [String],
}

impl CaSubject<'_> {
    /// The name, DER `Name`.
    ///
    /// Fails with `IdentityForbidden` if a value is empty, too long or reserved, or contains control
    /// characters.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let mut names = Vec::new();
        for (attribute, values) in [
            (COUNTRY, self.countries),
            (ORGANIZATION, self.organizations),
            (ORGANIZATIONAL_UNIT, self.organizational_units),
            (LOCALITY, self.localities),
            (PROVINCE, self.provinces),
        ] {
            if values.len() > MAX_VALUES {
                return Err(Error::IdentityForbidden(
                    "an attribute of the subject has more than 16 values".into(),
                ));
            }
            for value in values {
                names.extend(one_name(&attribute, value)?);
            }
        }
        names.extend(one_name(&COMMON_NAME, self.common_name)?);
        encode::tlv(Tag::Sequence, &names)
    }
}

/// A `RelativeDistinguishedName` with one value.
fn one_name(attribute: &Attribute, value: &str) -> Result<Vec<u8>, Error> {
    if value.trim().is_empty() {
        return Err(Error::IdentityForbidden("a name of the subject is empty".into()));
    }
    if value.chars().count() > attribute.longest {
        return Err(Error::IdentityForbidden(
            "a name of the subject is too long: CN, O and OU have at most 64 characters, L and ST 128, C two letters".into(),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::IdentityForbidden("a name of the subject contains a control character".into()));
    }
    if name::is_reserved(value) {
        return Err(Error::IdentityForbidden(name::RESERVED.into()));
    }
    let tag = if attribute.id == COUNTRY.id {
        if value.len() != 2 || !value.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Error::IdentityForbidden("a country must be two letters (ISO 3166)".into()));
        }
        Tag::PrintableString
    } else {
        Tag::Utf8String
    };
    let pair = encode::sequence(&[&encode::der(&attribute.id)?, &encode::tlv(tag, value.as_bytes())?])?;
    encode::tlv(Tag::Set, &pair)
}
