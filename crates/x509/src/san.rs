//! Subject alternative names (RFC 5280, section 4.2.1.6). They are copied byte for byte, and checked here.

use crate::extension::object_id;
use crate::host::{check_dns_name, is_host};
use crate::quote::quoted;
use crate::uri::UriName;
use crate::{Error, name};
use core::net::IpAddr;
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// Maximum number of alternative names: more than any workload has.
pub const MAX_NAMES: usize = 1000;
/// Maximum length of a name, in bytes: a DNS name has at most 253, a SPIFFE ID 2048.
pub const MAX_NAME: usize = 2048;

/// An alternative name, as policies and name constraints see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    Email(&'a str),
    Dns(&'a str),
    Uri(UriName<'a>),
    Ip(IpAddr),
    /// A directory name, DER `Name`.
    Directory(&'a [u8]),
    /// A registered id or another name, by the number of its tag.
    Other(u32),
}

impl Name<'_> {
    /// Whether a text is the same name.
    pub fn is_text(&self, text: &str) -> bool {
        match self {
            Self::Email(name) => *name == text,
            Self::Uri(name) => name.text() == text,
            Self::Dns(name) => name.eq_ignore_ascii_case(text),
            Self::Ip(address) => text.parse() == Ok(*address),
            Self::Directory(_) | Self::Other(_) => false,
        }
    }
}

/// Checks the value of a subjectAltName extension and returns its names.
pub fn names(value: &[u8]) -> Result<Vec<Name<'_>>, Error> {
    let mut all = Vec::new();
    each(value, |name| all.push(name))?;
    Ok(all)
}

/// Checks the value of a subjectAltName extension.
pub fn check(value: &[u8]) -> Result<(), Error> {
    each(value, |_| {})
}

/// `GeneralNames ::= SEQUENCE SIZE (1..MAX) OF GeneralName`.
fn each<'a>(value: &'a [u8], mut take: impl FnMut(Name<'a>)) -> Result<(), Error> {
    let malformed = |_| Error::RequestMalformed("the subject alternative names cannot be read");
    let mut reader = SliceReader::new(value).map_err(malformed)?;
    let mut count = 0usize;
    reader.sequence(|names| {
        while !names.is_finished() {
            let name = AnyRef::decode(names).map_err(malformed)?;
            count = count.saturating_add(1);
            if count > MAX_NAMES {
                return Err(Error::IdentityForbidden("more than 1000 subject alternative names".into()));
            }
            take(parse_one(name)?);
        }
        Ok(())
    })?;
    reader.finish().map_err(malformed)?;
    if count == 0 {
        return Err(Error::IdentityForbidden("the list of subject alternative names is empty".into()));
    }
    Ok(())
}

fn parse_one(name: AnyRef<'_>) -> Result<Name<'_>, Error> {
    let Tag::ContextSpecific { constructed, number } = name.header().tag() else {
        return Err(Error::RequestMalformed("a subject alternative name has a wrong tag"));
    };
    let value = name.value();
    if value.len() > MAX_NAME {
        return Err(Error::IdentityForbidden("a subject alternative name is longer than 2048 bytes".into()));
    }
    let parsed = match (number.value(), constructed) {
        (1, false) => return email(text("e-mail address", value)?),
        (2, false) => return dns_name(text("DNS name", value)?),
        (6, false) => return uri(text("URI", value)?),
        (7, false) => address(value).map(Name::Ip),
        (0, true) => is_other_name(value).unwrap_or(false).then_some(Name::Other(0)),
        // A directory name claims the same identities as the subject.
        (4, true) => {
            name::check_subject(value)?;
            (!name::is_blank(value)).then_some(Name::Directory(value))
        }
        (8, false) => is_registered_id(value).unwrap_or(false).then_some(Name::Other(8)),
        _ => return Err(Error::RequestMalformed("a subject alternative name has a wrong tag")),
    };
    parsed.ok_or_else(|| {
        Error::IdentityForbidden("a subject alternative name is not valid for its kind".into())
    })
}

/// The text of a name, which is visible ASCII.
fn text<'a>(kind: &str, value: &'a [u8]) -> Result<&'a str, Error> {
    let visible = value.iter().all(|byte| matches!(byte, 0x21..=0x7e));
    let found = str::from_utf8(value).ok().filter(|_| visible);
    found.ok_or_else(|| {
        let why = "it contains a blank, a control character or a character outside ASCII";
        not_valid(kind, &String::from_utf8_lossy(value), why)
    })
}

/// A refusal that names the name.
fn not_valid(kind: &str, name: &str, why: &str) -> Error {
    Error::IdentityForbidden(format!("the {kind} {} is not valid: {why}", quoted(name)).into())
}

fn dns_name(text: &str) -> Result<Name<'_>, Error> {
    check_dns_name(text).map_err(|why| not_valid("DNS name", text, why))?;
    Ok(Name::Dns(text))
}

fn uri(text: &str) -> Result<Name<'_>, Error> {
    UriName::parse(text).map(Name::Uri).map_err(|why| not_valid("URI", text, why))
}

/// A dot-atom at a host (RFC 5321, section 4.1.2). Quoted local parts are refused, because programs disagree
/// about them.
fn email(text: &str) -> Result<Name<'_>, Error> {
    let atom = |atom: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        !atom.is_empty() && atom.bytes().all(fits)
    };
    let mailbox = text.split_once('@').filter(|(user, host)| user.split('.').all(atom) && is_host(host));
    mailbox.map(|_| Name::Email(text)).ok_or_else(|| {
        not_valid(
            "e-mail address",
            text,
            "a mailbox is words of letters, digits and signs with dots between them, @ and a host",
        )
    })
}

/// The address in an iPAddress name.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// `SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }` without its outer header. What the value
/// means is not examined.
fn is_other_name(contents: &[u8]) -> der::Result<bool> {
    let mut reader = SliceReader::new(contents)?;
    object_id(&mut reader)?;
    let value = AnyRef::decode(&mut reader)?;
    reader.finish()?;
    let mut inner = SliceReader::new(value.value())?;
    AnyRef::decode(&mut inner)?;
    inner.finish()?;
    Ok(value.header().tag() == Tag::ContextSpecific { constructed: true, number: TagNumber(0) })
}

/// The contents of an OBJECT IDENTIFIER.
fn is_registered_id(contents: &[u8]) -> der::Result<bool> {
    let id = crate::encode::tlv(Tag::ObjectIdentifier, contents);
    id.map_or(Ok(false), |id| object_id(&mut SliceReader::new(&id)?).map(|_| true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_their_kind() {
        let san = |tag: u8, value: &[u8]| {
            let length = u8::try_from(value.len()).unwrap();
            let mut bytes = vec![0x30, length + 2, tag, length];
            bytes.extend(value);
            check(&bytes)
        };
        assert!(san(0x82, b"a.example").is_ok());
        assert!(san(0x82, b"*.example").is_ok());
        assert!(san(0x82, b"a\0b").is_err(), "NUL");
        assert!(san(0x82, b"").is_err());
        assert!(san(0x81, b"a@b.example").is_ok());
        assert!(san(0x81, b"a.example").is_err());
        assert!(san(0x87, &[1, 2, 3, 4]).is_ok());
        assert!(san(0x87, &[1, 2, 3, 4, 5]).is_err());
        assert!(san(0x83, b"x").is_err(), "x400Address");
        // otherName: a type and one value in [0].
        assert!(san(0xa0, b"\x06\x02\x2a\x03\xa0\x03\x0c\x01u").is_ok());
        assert!(san(0xa0, b"\x06\x02\x2a\x03\x0c\x01u").is_err());
        assert!(san(0xa0, b"\x06\x02\x2a\x03\xa0\x03\x0c\x02u").is_err());
        assert!(san(0xa0, b"rubbish").is_err());
        assert!(san(0x88, b"\x2a\x03\x04").is_ok());
        assert!(san(0x88, b"\x2a\x80\x04").is_err(), "an arc with padding");
        // directoryName: CN=x is fine, CN=system:x and CN=kubeadm:x are as reserved here as in the subject.
        assert!(san(0xa4, b"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01x").is_ok());
        let reserved = san(0xa4, b"\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08system:x");
        assert!(matches!(reserved, Err(Error::IdentityForbidden(_))));
        let reserved = san(0xa4, b"\x30\x14\x31\x12\x30\x10\x06\x03\x55\x04\x03\x0c\x09kubeadm:x");
        assert!(matches!(reserved, Err(Error::IdentityForbidden(_))));
        assert!(san(0xa4, b"\x30\x00").is_err(), "a directory name without attributes");
        assert!(san(0xa4, b"\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01 ").is_err(), "a blank one");
        assert!(check(&[0x30, 0]).is_err(), "empty list");
        assert!(check(&[0x30, 2, 0x82]).is_err(), "cut off");
    }
}
