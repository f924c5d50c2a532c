//! Subtrees of names, and the names in them.

use crate::host::is_host;
use crate::name::{self, Rdns};
use core::net::IpAddr;
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag};

/// The names below a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    Dns(String),
    Email(String),
    Uri(String),
    Ip {
        address: Vec<u8>,
        mask: Vec<u8>,
    },
    Directory(DirectoryName),
    /// A kind that cannot be compared, by the number of its tag.
    Other(u32),
}

/// A directory name in two forms: what may be equal, and what is equal for every verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryName {
    wide: Rdns,
    narrow: Rdns,
}

impl DirectoryName {
    /// `None` if the DER `Name` cannot be read.
    pub fn parse(raw: &[u8]) -> Option<Self> {
        Some(Self { wide: name::rdns(raw).ok()?, narrow: name::narrow_rdns(raw).ok()? })
    }

    pub fn is_empty(&self) -> bool {
        self.wide.is_empty()
    }
}

/// A name that is compared with subtrees.
pub enum Candidate<'a> {
    Dns(&'a str),
    Email(&'a str),
    /// `None` if the URI has no host that is a name for every program.
    Uri(Option<&'a str>),
    Ip(IpAddr),
    Directory(&'a DirectoryName),
    Other(u32),
}

impl Subtree {
    /// `GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }`, the
    /// last two left out.
    pub fn parse(subtree: AnyRef<'_>) -> Option<Self> {
        if subtree.header().tag() != Tag::Sequence {
            return None;
        }
        let mut reader = SliceReader::new(subtree.value()).ok()?;
        let base = AnyRef::decode(&mut reader).ok()?;
        reader.finish().ok()?;
        let Tag::ContextSpecific { number, .. } = base.header().tag() else { return None };
        let ascii = || str::from_utf8(base.value()).ok().filter(|text| text.is_ascii());
        let text = || ascii().map(str::to_ascii_lowercase);
        Some(match number.value() {
            1 => Self::Email(ascii().map(str::to_owned).filter(|text| {
                text.split_once('@').map_or_else(
                    || !text.is_empty() && is_base(text),
                    |(user, host)| !user.is_empty() && is_host(host),
                )
            })?),
            2 => Self::Dns(text().filter(|text| is_base(text))?),
            6 => Self::Uri(text().filter(|text| !text.is_empty() && is_base(text))?),
            7 if matches!(base.value().len(), 8 | 32) => {
                let (address, mask) = base.value().split_at(base.value().len() / 2);
                // RFC 4632: only leading bits may be set. Programs read other masks in different ways.
                let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
                let whole = mask.iter().skip_while(|byte| **byte == 0xff).skip(1).all(|byte| *byte == 0);
                if !whole || ones != mask.iter().map(|byte| byte.count_ones()).sum() {
                    return None;
                }
                Self::Ip { address: address.to_vec(), mask: mask.to_vec() }
            }
            4 => Self::Directory(DirectoryName::parse(base.value())?),
            other @ (0 | 3 | 5 | 8) => Self::Other(other),
            _ => return None,
        })
    }

    pub fn is_of_kind(&self, candidate: &Candidate<'_>) -> bool {
        match (self, candidate) {
            (Self::Dns(_), Candidate::Dns(_))
            | (Self::Email(_), Candidate::Email(_))
            | (Self::Uri(_), Candidate::Uri(_))
            | (Self::Ip { .. }, Candidate::Ip(_))
            | (Self::Directory(_), Candidate::Directory(_)) => true,
            (Self::Other(one), Candidate::Other(other)) => one == other,
            _ => false,
        }
    }

    /// Whether the name is certainly in the subtree.
    pub fn holds(&self, candidate: &Candidate<'_>) -> bool {
        match (self, candidate) {
            (Self::Dns(base), Candidate::Dns(name)) => is_below(name, base),
            (Self::Email(base), Candidate::Email(address)) => {
                address.rsplit_once('@').is_some_and(|(user, host)| match base.rsplit_once('@') {
                    Some((wanted, at)) => user == wanted && host.eq_ignore_ascii_case(at),
                    None => is_host_of(host, base),
                })
            }
            (Self::Uri(base), Candidate::Uri(Some(host))) => is_host_of(host, base),
            (Self::Ip { address, mask }, Candidate::Ip(name)) => {
                let bytes = match name {
                    IpAddr::V4(four) => four.octets().to_vec(),
                    IpAddr::V6(sixteen) => sixteen.octets().to_vec(),
                };
                let same = |((name, base), mask): ((&u8, &u8), &u8)| name & mask == base & mask;
                bytes.len() == address.len() && bytes.iter().zip(address).zip(mask).all(same)
            }
            (Self::Directory(base), Candidate::Directory(name)) => name.narrow.starts_with(&base.narrow),
            _ => false,
        }
    }

    /// Whether the name could be in the subtree for some program, or could stand for a name that is. Programs
    /// disagree on whether a base without a dot contains hosts below it, and on whether one with a dot
    /// contains the host itself.
    pub fn may_hold(&self, candidate: &Candidate<'_>) -> bool {
        match (self, candidate) {
            (Self::Dns(base), Candidate::Dns(name)) => {
                // A wildcard inside a label may stand for any name.
                is_at_or_below(name, base)
                    || name.strip_prefix("*.").map_or(name.contains('*'), |above| is_below(base, above))
            }
            (Self::Email(base), Candidate::Email(address)) => {
                address.rsplit_once('@').is_none_or(|(user, host)| match base.rsplit_once('@') {
                    Some((wanted, at)) => user.eq_ignore_ascii_case(wanted) && host.eq_ignore_ascii_case(at),
                    None => is_at_or_below(host, base),
                })
            }
            (Self::Uri(base), Candidate::Uri(host)) => host.is_none_or(|host| is_at_or_below(host, base)),
            (Self::Directory(base), Candidate::Directory(name)) => {
                name.wide.starts_with(&base.wide) || self.holds(candidate)
            }
            (Self::Other(_), Candidate::Other(_)) => self.is_of_kind(candidate),
            _ => self.holds(candidate),
        }
    }
}

/// Whether a base can contain names at all: a host; a dot and a host, for the names below it; or nothing, for
/// all hosts. An exclusion that no name can match would have no effect.
fn is_base(text: &str) -> bool {
    text.is_empty() || is_host(text.strip_prefix('.').unwrap_or(text))
}

/// The base itself and the names below it. With a dot before it, only the names below it.
fn is_below(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    if base.is_empty() || base.starts_with('.') {
        return name.ends_with(&base);
    }
    name.strip_suffix(&base).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The base and the names below it, with or without a dot before it.
fn is_at_or_below(name: &str, base: &str) -> bool {
    is_below(name, base.strip_prefix('.').unwrap_or(base))
}

/// A host, or with a dot before it the hosts below it.
fn is_host_of(host: &str, base: &str) -> bool {
    if base.starts_with('.') { is_below(host, base) } else { host.eq_ignore_ascii_case(base) }
}
