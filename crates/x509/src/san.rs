//! Subject alternative names (RFC 5280, section 4.2.1.6). They are copied byte for byte, and checked here.

use crate::extension::object_id;
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
    Uri(&'a str),
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
            Self::Email(name) | Self::Uri(name) => *name == text,
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
                return Err(Error::IdentityForbidden("more than 1000 subject alternative names"));
            }
            take(parse_one(name)?);
        }
        Ok(())
    })?;
    reader.finish().map_err(malformed)?;
    if count == 0 {
        return Err(Error::IdentityForbidden("the list of subject alternative names is empty"));
    }
    Ok(())
}

fn parse_one(name: AnyRef<'_>) -> Result<Name<'_>, Error> {
    let Tag::ContextSpecific { constructed, number } = name.header().tag() else {
        return Err(Error::RequestMalformed("a subject alternative name has a wrong tag"));
    };
    let value = name.value();
    if value.len() > MAX_NAME {
        return Err(Error::IdentityForbidden("a subject alternative name is longer than 2048 bytes"));
    }
    let text = |good: fn(&[u8]) -> bool| str::from_utf8(value).ok().filter(|_| good(value));
    let parsed = match (number.value(), constructed) {
        (1, false) => text(is_email).map(Name::Email),
        (2, false) => text(is_dns).map(Name::Dns),
        (6, false) => text(is_uri).map(Name::Uri),
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
    parsed.ok_or(Error::IdentityForbidden("a subject alternative name is not valid for its kind"))
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

fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
}

fn is_dns(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= 253 && value.iter().copied().all(is_visible)
}

fn is_email(value: &[u8]) -> bool {
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'@').collect();
    value.iter().copied().all(is_visible)
        && matches!(parts.as_slice(), [user, host] if !user.is_empty() && is_host(host))
}

/// An absolute URI (RFC 3986) whose authority, if it has one, is a host with an optional port. This is
/// stricter than Go, which also accepts relative references, user information and IP literals. Nothing that
/// Go refuses passes.
fn is_uri(value: &[u8]) -> bool {
    let Some(colon) = value.iter().position(|byte| *byte == b':') else { return false };
    let (scheme, rest) = value.split_at(colon);
    let starts_well = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    let scheme_good = scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let Some(rest) = rest.get(1..) else { return false };
    if !starts_well || !scheme_good || !escapes_are_whole(rest) {
        return false;
    }
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(byte);
    if !rest.iter().all(allowed) || rest.split(|byte| *byte == b'#').count() > 2 {
        return false;
    }
    let Some(after) = rest.strip_prefix(b"//") else { return !rest.is_empty() };
    let end = after.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(after.len());
    let authority = after.get(..end).unwrap_or_default();
    let mut halves = authority.splitn(2, |byte| *byte == b':');
    let host = halves.next().unwrap_or_default();
    let port = halves.next();
    is_host(host)
        && port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit))
}

/// Labels of letters, digits, hyphens and underscores, separated by dots.
pub fn is_host(host: &[u8]) -> bool {
    let label = |label: &[u8]| {
        !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    };
    host.split(|byte| *byte == b'.').all(label)
}

fn escapes_are_whole(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let hex = rest.get(at..).and_then(|escape| escape.get(1..3));
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
        rest = rest.get(at..).and_then(|escape| escape.get(3..)).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_uris_pass_and_odd_ones_do_not() {
        for good in
            ["spiffe://cluster.local/ns/a/sa/b", "https://example.com:8443/x?y=%20#z", "urn:uuid:f81d4fae"]
        {
            assert!(is_uri(good.as_bytes()), "{good}");
        }
        let bad = [
            "",
            "relative/path",
            "//host/x",
            "https://",
            "https://-bad_.host..x/",
            "https://a/%zz",
            "https://a/%2",
            "https://user@host/",
            "https://[::1]/",
            "https://a:b/",
            "https://a b/",
            "1x://a/",
            "https://a/#x#y",
        ];
        for bad in bad {
            assert!(!is_uri(bad.as_bytes()), "{bad}");
        }
    }

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
