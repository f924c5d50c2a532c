//! Distinguished names. They are copied byte for byte, and checked for what they claim.

use crate::Error;
use crate::extension::object_id;
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag};

/// Attributes by their sets (`RelativeDistinguishedName`).
pub type Rdns = Vec<Vec<(ObjectIdentifier, String)>>;

pub const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
pub const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
pub const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const LOCALITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.7");
const PROVINCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.8");
/// An empty name, `SEQUENCE {}`.
const EMPTY: &[u8] = &[0x30, 0x00];
/// Maximum length of a subject, in bytes: longer than any name in practice.
pub const MAX_SUBJECT: usize = 16 * 1024;
/// Maximum number of attributes of a subject.
pub const MAX_ATTRIBUTES: usize = 128;
/// Kubernetes gives a meaning to identities with these prefixes, so no workload may have one. `system:` is
/// reserved by its authenticators for built-in users and groups (Kubernetes documentation, "Using RBAC
/// Authorization"). `kubeadm:` belongs to kubeadm, which binds the group `kubeadm:cluster-admins` to
/// cluster-admin (Kubernetes documentation, "Implementation details" of kubeadm).
const RESERVED_PREFIXES: [&str; 2] = ["system:", "kubeadm:"];
/// The reason why they are refused.
pub const RESERVED: &str = "names that begin with 'system:' or 'kubeadm:' are reserved for Kubernetes";

/// Whether a raw name is empty.
pub fn is_empty(raw: &[u8]) -> bool {
    raw == EMPTY
}

/// Whether no attribute has a visible value. A name that cannot be read is not blank.
pub fn is_blank(raw: &[u8]) -> bool {
    attribute_values(raw).is_ok_and(|all| all.iter().all(|(_, text)| text.trim().is_empty()))
}

/// The attributes of a raw name in their order, for messages: `O=Acme, CN=Root`. `None` if it cannot be read.
pub fn shown(raw: &[u8]) -> Option<String> {
    let known = [
        (COMMON_NAME, "CN"),
        (ORGANIZATION, "O"),
        (ORGANIZATIONAL_UNIT, "OU"),
        (COUNTRY, "C"),
        (LOCALITY, "L"),
        (PROVINCE, "ST"),
    ];
    let one = |(id, text): (ObjectIdentifier, String)| {
        let short = known.iter().find(|(known, _)| *known == id);
        short.map_or_else(|| format!("{id}={text}"), |(_, short)| format!("{short}={text}"))
    };
    Some(attribute_values(raw).ok()?.into_iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Whether a value claims an identity to which Kubernetes gives a meaning.
pub fn is_reserved(text: &str) -> bool {
    let text = text.trim_start().to_ascii_lowercase();
    RESERVED_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
}

/// The values of an attribute of a subject.
pub fn values(raw: &[u8], wanted: ObjectIdentifier) -> Result<Vec<String>, Error> {
    let all = attribute_values(raw)?;
    Ok(all.into_iter().filter(|(id, _)| *id == wanted).map(|(_, text)| text).collect())
}

/// Checks that a subject can be read as Go reads it and claims nothing reserved.
pub fn check_subject(raw: &[u8]) -> Result<(), Error> {
    if raw.len() > MAX_SUBJECT {
        return Err(Error::IdentityForbidden("the subject is longer than 16 KiB".into()));
    }
    for (_, text) in attribute_values(raw)? {
        if text.contains('\0') {
            return Err(Error::IdentityForbidden("the subject contains a NUL character".into()));
        }
        if is_reserved(&text) {
            return Err(Error::IdentityForbidden(RESERVED.into()));
        }
    }
    Ok(())
}

/// Whether a subject contains an e-mail address (1.2.840.113549.1.9.1), or cannot be read.
pub fn has_email_address(raw: &[u8]) -> bool {
    attribute_values(raw).is_ok_and(|all| all.iter().any(|(id, _)| *id == EMAIL_ADDRESS))
        || attribute_values(raw).is_err()
}

/// A name prepared for comparison (RFC 5280, section 7.1, in its simplest form): each set sorted, texts in
/// lower case, each run of blanks replaced by one.
pub fn rdns(raw: &[u8]) -> Result<Rdns, Error> {
    prepared(raw, |text| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}

/// The same with ASCII letters and blanks only, as common verifiers compare names. Two names that are equal
/// in this form are equal for all of them.
pub fn narrow_rdns(raw: &[u8]) -> Result<Rdns, Error> {
    prepared(raw, |text| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase())
}

fn prepared(raw: &[u8], prepare: fn(&str) -> String) -> Result<Rdns, Error> {
    let mut all = sets(raw)?;
    for set in &mut all {
        for (_, text) in &mut *set {
            *text = prepare(text);
        }
        set.sort();
    }
    Ok(all)
}

/// Types and values.
fn attribute_values(raw: &[u8]) -> Result<Vec<(ObjectIdentifier, String)>, Error> {
    Ok(sets(raw)?.into_iter().flatten().collect())
}

fn sets(raw: &[u8]) -> Result<Rdns, Error> {
    let malformed = |_: der::Error| Error::RequestMalformed("the subject cannot be read");
    let (mut all, mut count) = (Vec::new(), 0usize);
    let mut reader = SliceReader::new(raw).map_err(malformed)?;
    let mut fault = None;
    let read = reader.sequence(|names| {
        while !names.is_finished() {
            let set = AnyRef::decode(names)?;
            if set.header().tag() != Tag::Set {
                return Err(set.header().tag().value_error().into());
            }
            let mut values = Vec::new();
            let mut attributes = SliceReader::new(set.value())?;
            if attributes.is_finished() {
                fault = Some("the subject contains an empty set");
            }
            while !attributes.is_finished() {
                let (id, value) = attributes
                    .sequence(|pair| Ok::<_, der::Error>((object_id(pair)?, AnyRef::decode(pair)?)))?;
                match text_of(value) {
                    Some(text) => values.push((id, text)),
                    None => fault = Some("the subject contains a value that is not a valid string"),
                }
                count = count.saturating_add(1);
                if count > MAX_ATTRIBUTES {
                    fault = Some("the subject has more than 128 attributes");
                    values.clear();
                    all.clear();
                }
            }
            all.push(values);
        }
        Ok::<_, der::Error>(())
    });
    read.and_then(|()| reader.finish()).map_err(malformed)?;
    fault.map_or(Ok(all), |why| Err(Error::RequestMalformed(why)))
}

/// The text of a string value, if it is valid for its type (as Go's `encoding/asn1` and its re-parse see it).
fn text_of(value: AnyRef<'_>) -> Option<String> {
    let bytes = value.value();
    let all = |good: fn(u8) -> bool| bytes.iter().copied().all(good);
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    match value.header().tag() {
        Tag::PrintableString => all(is_printable).then(latin),
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::Ia5String => bytes.is_ascii().then(latin),
        Tag::NumericString => all(|byte| byte.is_ascii_digit() || byte == b' ').then(latin),
        Tag::TeletexString => Some(latin()),
        Tag::BmpString => bmp(bytes),
        _ => None,
    }
}

/// Go accepts `*` and `&` in a `PrintableString`, because existing certificates contain them.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(&byte)
}

/// UTF-16 without surrogates and noncharacters.
fn bmp(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let units =
        bytes.chunks_exact(2).map(|pair| pair.iter().fold(0u32, |unit, byte| (unit << 8) | u32::from(*byte)));
    let none = |unit: u32| (0xfdd0..=0xfdef).contains(&unit) || unit >= 0xfffe;
    units.map(|unit| char::from_u32(unit).filter(|_| !none(unit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name with one attribute.
    fn name(id: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let tlv =
            |tag: u8, contents: &[u8]| [&[tag, u8::try_from(contents.len()).unwrap()], contents].concat();
        tlv(0x30, &tlv(0x31, &tlv(0x30, &[tlv(0x06, id), tlv(tag, value)].concat())))
    }

    const COMMON_NAME: &[u8] = b"\x55\x04\x03";

    #[test]
    fn reserved_names_hide_in_no_string_type() {
        let wide: Vec<u8> = "system:x".bytes().flat_map(|byte| [0, byte]).collect();
        let hidden: [(u8, &[u8]); 5] = [
            (0x0c, b"system:x"),
            (0x13, b"system:x"),
            (0x16, b"SYSTEM:x"),
            (0x14, b"system:x"),
            (0x1e, &wide),
        ];
        for (tag, value) in hidden {
            let checked = check_subject(&name(COMMON_NAME, tag, value));
            assert!(matches!(checked, Err(Error::IdentityForbidden(_))), "{tag:#x}: {checked:?}");
        }
        assert!(check_subject(&name(COMMON_NAME, 0x0c, b"systems: x")).is_ok());
        assert!(check_subject(&name(COMMON_NAME, 0x1c, b"\0\0\0x")).is_err(), "UniversalString");
    }

    #[test]
    fn review_l6_kubeadm_names_are_as_reserved_as_those_of_the_system() {
        let wide: Vec<u8> = "kubeadm:x".bytes().flat_map(|byte| [0, byte]).collect();
        let hidden: [(u8, &[u8]); 5] = [
            (0x0c, b"kubeadm:cluster-admins"),
            (0x13, b"kubeadm:cluster-admins"),
            (0x16, b"KubeADM:cluster-admins"),
            (0x0c, b"  kubeadm:cluster-admins"),
            (0x1e, &wide),
        ];
        for (tag, value) in hidden {
            let checked = check_subject(&name(COMMON_NAME, tag, value));
            assert_eq!(checked, Err(Error::IdentityForbidden(RESERVED.into())), "{tag:#x}");
        }
        assert!(check_subject(&name(COMMON_NAME, 0x0c, b"kubeadmin: x")).is_ok());
    }

    #[test]
    fn identifiers_that_go_cannot_read_are_refused() {
        assert!(check_subject(&name(COMMON_NAME, 0x0c, b"x")).is_ok());
        // A padded arc; an arc of 2^31 - 1 and one above it.
        assert!(check_subject(&name(b"\x55\x04\x80\x03", 0x0c, b"x")).is_err());
        assert!(check_subject(&name(b"\x55\x04\x87\xff\xff\xff\x7f", 0x0c, b"x")).is_ok());
        assert!(check_subject(&name(b"\x55\x04\x88\x80\x80\x80\x00", 0x0c, b"x")).is_err());
    }
}
