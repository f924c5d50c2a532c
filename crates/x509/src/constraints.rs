//! Name constraints of CA certificates (RFC 5280, 4.2.1.10), honoured in what is issued below them. Where the standard leaves a doubt
//! the name is refused.

use crate::name::{self, Rdns};
use crate::san::Name;
use core::net::IpAddr;
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// More than any CA in the field has: each is compared with each name of each certificate.
const MAX_SUBTREES: usize = 256;
/// The tag of `otherName`.
const OTHER_NAME: u32 = 0;

/// Subtrees in which names must lie, and in which they must not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subtree {
    Dns(String),
    Email(String),
    Uri(String),
    Ip {
        address: Vec<u8>,
        mask: Vec<u8>,
    },
    Directory(Rdns),
    /// A kind that cannot be compared, by the number of its tag.
    Other(u32),
}

const fn field(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

impl NameConstraints {
    /// Reads the value of the extension; an error says why not.
    pub fn parse(value: &[u8]) -> Result<Self, &'static str> {
        const UNREADABLE: &str = "its name constraints cannot be read";
        let mut reader = SliceReader::new(value).map_err(|_| UNREADABLE)?;
        let mut read = Self::default();
        let lists = reader.sequence(|inner| {
            let mut lists = Vec::new();
            while !inner.is_finished() {
                lists.push(AnyRef::decode(inner)?);
            }
            Ok::<_, der::Error>(lists)
        });
        let lists = lists.and_then(|lists| reader.finish().map(|()| lists)).map_err(|_| UNREADABLE)?;
        for list in &lists {
            let into = match list.header().tag() {
                tag if tag == field(0) && read.permitted.is_empty() && read.excluded.is_empty() => {
                    &mut read.permitted
                }
                tag if tag == field(1) && read.excluded.is_empty() => &mut read.excluded,
                _ => return Err(UNREADABLE),
            };
            let mut subtrees = SliceReader::new(list.value()).map_err(|_| UNREADABLE)?;
            while !subtrees.is_finished() {
                if into.len() >= MAX_SUBTREES {
                    return Err("it has more than 256 name constraints of a kind");
                }
                let subtree = AnyRef::decode(&mut subtrees).map_err(|_| UNREADABLE)?;
                into.push(Subtree::parse(subtree).ok_or(UNREADABLE)?);
            }
        }
        if read.permitted.is_empty() && read.excluded.is_empty() { Err(UNREADABLE) } else { Ok(read) }
    }

    /// Whether a CA certificate with this subject (DER `Name`) may stand below: nobody takes its common name for a host.
    pub fn allow_ca(&self, subject: &[u8]) -> bool {
        let Ok(rdns) = name::rdns(subject) else { return false };
        (rdns.is_empty() || self.allows(&Candidate::Directory(&rdns))) && !self.has_unseen_email(subject)
    }

    /// Whether a certificate with this subject (DER `Name`) and these alternative names may stand below.
    pub fn allow(&self, subject: &[u8], names: &[Name<'_>]) -> bool {
        let Ok(rdns) = name::rdns(subject) else { return false };
        let directory = (!rdns.is_empty()).then_some(Candidate::Directory(&rdns));
        let mut inner = Vec::new();
        for name in names {
            if let Name::Directory(raw) = name {
                let Ok(rdns) = name::rdns(raw) else { return false };
                inner.push(rdns);
            }
        }
        let mut inner = inner.iter();
        let others = names.iter().filter_map(|name| match *name {
            Name::Dns(text) => Some(Candidate::Dns(text.strip_suffix('.').unwrap_or(text))),
            Name::Email(text) => Some(Candidate::Email(text)),
            Name::Uri(text) => Some(Candidate::Uri(host_of(text))),
            Name::Ip(address) => Some(Candidate::Ip(address.to_canonical())),
            Name::Directory(_) => inner.next().map(Candidate::Directory),
            Name::Other(number) => Some(Candidate::Other(number)),
        });
        // Programs that look at it where there is no alternative name take it for a DNS name.
        let Ok(common_names) = name::values(subject, name::COMMON_NAME) else { return false };
        let hosts = common_names.iter().filter(|text| text.contains('.')).map(|text| Candidate::Dns(text));
        let hosts = hosts.filter(|_| !names.iter().any(|name| matches!(name, Name::Dns(_))));
        // Excluded as IPv6 addresses, too: that is how some programs compare them.
        let mut mapped = names.iter().filter_map(|name| match *name {
            Name::Ip(address) if address.to_canonical() != address => Some(Candidate::Ip(address)),
            _ => None,
        });
        directory.into_iter().chain(others).chain(hosts).all(|candidate| self.allows(&candidate))
            && !mapped.any(|address| self.excluded.iter().any(|subtree| subtree.may_hold(&address)))
            && !self.has_unseen_email(subject)
            && !self.has_unseen_mailbox(names)
    }

    /// RFC 9598: mailboxes of other scripts are other names, and bound as well. Which of them are is not looked at.
    fn has_unseen_mailbox(&self, names: &[Name<'_>]) -> bool {
        self.constrain_emails() && names.contains(&Name::Other(OTHER_NAME))
    }

    fn allows(&self, candidate: &Candidate<'_>) -> bool {
        let mut of_its_kind =
            self.permitted.iter().filter(|subtree| subtree.is_of_kind(candidate)).peekable();
        let permitted = of_its_kind.peek().is_none() || of_its_kind.any(|subtree| subtree.holds(candidate));
        permitted && !self.excluded.iter().any(|subtree| subtree.may_hold(candidate))
    }

    /// RFC 5280: constraints of mailboxes hold for addresses in the subject, too; such subjects are refused then.
    fn has_unseen_email(&self, subject: &[u8]) -> bool {
        self.constrain_emails() && name::has_email_address(subject)
    }

    fn constrain_emails(&self) -> bool {
        let mut all = self.permitted.iter().chain(&self.excluded);
        all.any(|subtree| matches!(subtree, Subtree::Email(_)))
    }
}

enum Candidate<'a> {
    Dns(&'a str),
    Email(&'a str),
    /// `None`: the URI has no host.
    Uri(Option<&'a str>),
    Ip(IpAddr),
    Directory(&'a Rdns),
    Other(u32),
}

impl Subtree {
    /// `GeneralSubtree ::= SEQUENCE { base GeneralName, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }`, the last two left out.
    fn parse(subtree: AnyRef<'_>) -> Option<Self> {
        if subtree.header().tag() != Tag::Sequence {
            return None;
        }
        let mut reader = SliceReader::new(subtree.value()).ok()?;
        let base = AnyRef::decode(&mut reader).ok()?;
        reader.finish().ok()?;
        let Tag::ContextSpecific { number, .. } = base.header().tag() else { return None };
        let text =
            || str::from_utf8(base.value()).ok().filter(|text| text.is_ascii()).map(str::to_ascii_lowercase);
        Some(match number.value() {
            1 => Self::Email(text().filter(|text| {
                text.split_once('@').map_or_else(
                    || !text.is_empty() && is_base(text),
                    |(user, host)| !user.is_empty() && is_host(host),
                )
            })?),
            2 => Self::Dns(text().filter(|text| is_base(text))?),
            6 => Self::Uri(text().filter(|text| !text.is_empty() && is_base(text))?),
            7 if matches!(base.value().len(), 8 | 32) => {
                let (address, mask) = base.value().split_at(base.value().len() / 2);
                // RFC 4632: leading ones. Others would be read in different ways.
                let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
                let whole = mask.iter().skip_while(|byte| **byte == 0xff).skip(1).all(|byte| *byte == 0);
                if !whole || ones != mask.iter().map(|byte| byte.count_ones()).sum() {
                    return None;
                }
                Self::Ip { address: address.to_vec(), mask: mask.to_vec() }
            }
            4 => Self::Directory(name::rdns(base.value()).ok()?),
            other @ (0 | 3 | 5 | 8) => Self::Other(other),
            _ => return None,
        })
    }

    fn is_of_kind(&self, candidate: &Candidate<'_>) -> bool {
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

    /// Whether the name lies in the subtree for certain.
    fn holds(&self, candidate: &Candidate<'_>) -> bool {
        match (self, candidate) {
            (Self::Dns(base), Candidate::Dns(name)) => is_below(name, base),
            (Self::Email(base), Candidate::Email(address)) => {
                address.rsplit_once('@').is_some_and(|(user, host)| match base.rsplit_once('@') {
                    Some((wanted, at)) => user.eq_ignore_ascii_case(wanted) && host.eq_ignore_ascii_case(at),
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
            (Self::Directory(base), Candidate::Directory(name)) => name.starts_with(base),
            _ => false,
        }
    }

    /// Whether the name could lie in the subtree, or stands for one that does.
    fn may_hold(&self, candidate: &Candidate<'_>) -> bool {
        match (self, candidate) {
            (Self::Dns(base), Candidate::Dns(name)) => {
                // A wildcard inside a label stands for more than is worked out here.
                self.holds(candidate)
                    || name.strip_prefix("*.").map_or(name.contains('*'), |above| is_below(base, above))
            }
            (Self::Uri(_), Candidate::Uri(None)) => true,
            (Self::Other(_), Candidate::Other(_)) => self.is_of_kind(candidate),
            _ => self.holds(candidate),
        }
    }
}

/// Whether a base can hold names at all: a host, with a dot before it what stands below, nothing for all hosts. An exclusion that no
/// name can match would only seem to be one.
fn is_base(text: &str) -> bool {
    text.is_empty() || is_host(text.strip_prefix('.').unwrap_or(text))
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.split('.').all(label)
}

/// The base itself and what stands below it; with a dot before it only what stands below.
fn is_below(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    if base.is_empty() || base.starts_with('.') {
        return name.ends_with(&base);
    }
    name.strip_suffix(&base).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// A host, or with a dot before it those below it.
fn is_host_of(host: &str, base: &str) -> bool {
    if base.starts_with('.') { is_below(host, base) } else { host.eq_ignore_ascii_case(base) }
}

/// The host of a URI's authority, if it is a name: constraints say nothing of addresses (RFC 5280, 4.2.1.10).
fn host_of(uri: &str) -> Option<&str> {
    let rest = uri.split_once(':')?.1.strip_prefix("//")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let is_name = !host.is_empty() && !host.contains('[') && host.parse::<core::net::IpAddr>().is_err();
    is_name.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(permitted: &[&str], excluded: &[&str]) -> NameConstraints {
        let all = |names: &[&str]| names.iter().map(|name| Subtree::Dns((*name).to_owned())).collect();
        NameConstraints { permitted: all(permitted), excluded: all(excluded) }
    }

    const NOBODY: &[u8] = &[0x30, 0x00];

    #[test]
    fn there_are_at_most_256_of_a_kind() {
        let value = |count: usize| {
            let subtree = crate::encode::sequence(&[b"\x82\x01a"]).unwrap();
            let list = crate::encode::tlv(field(0), &subtree.repeat(count)).unwrap();
            crate::encode::sequence(&[&list]).unwrap()
        };
        assert!(NameConstraints::parse(&value(MAX_SUBTREES)).is_ok());
        assert!(NameConstraints::parse(&value(MAX_SUBTREES + 1)).is_err());
    }

    #[test]
    fn exclusions_hold_in_any_letter_case_and_for_every_wildcard() {
        let allow = |constraints: &NameConstraints, name: &str| constraints.allow(NOBODY, &[Name::Dns(name)]);
        let outside = dns(&[], &["admin.corp.example"]);
        for bad in
            ["ADMIN.corp.example", "*.CORP.example", "adm*.corp.example", "*min.corp.example", "*.Example"]
        {
            assert!(!allow(&outside, bad), "{bad}");
        }
        assert!(allow(&outside, "*.other.example") && allow(&outside, "web.corp.example"));
    }

    #[test]
    fn a_uri_without_a_host_that_is_a_name_is_outside_where_uris_are_constrained() {
        let uri = |base: &str| vec![Subtree::Uri(base.to_owned())];
        let inside = NameConstraints { permitted: uri("a.example"), excluded: Vec::new() };
        let outside = NameConstraints { permitted: Vec::new(), excluded: uri("corp.example") };
        let odd = [
            "https:/a.example/x://a.example/",
            "https://10.0.0.1/",
            "https://[2001:db8::1]:8/",
            "urn:a.example",
        ];
        for constraints in [&inside, &outside] {
            for bad in odd {
                assert!(!constraints.allow(NOBODY, &[Name::Uri(bad)]), "{bad}");
            }
        }
        assert!(inside.allow(NOBODY, &[Name::Uri("https://u@a.example:8/x")]));
        assert!(outside.allow(NOBODY, &[Name::Uri("https://a.example/")]));
    }

    #[test]
    fn dns_names_lie_in_subtrees_by_whole_labels() {
        let allow = |constraints: &NameConstraints, name: &str| constraints.allow(NOBODY, &[Name::Dns(name)]);
        let inside = dns(&["a.example"], &[]);
        for good in ["a.example", "B.A.Example", "*.a.example", "x.a.example."] {
            assert!(allow(&inside, good), "{good}");
        }
        for bad in ["xa.example", "example", "b.example", "a.example.evil"] {
            assert!(!allow(&inside, bad), "{bad}");
        }
        let outside = dns(&[], &["a.example"]);
        assert!(allow(&outside, "b.example"));
        for bad in ["a.example", "x.a.example", "A.EXAMPLE.", "*.example"] {
            assert!(!allow(&outside, bad), "{bad}");
        }
        let both = dns(&["example"], &["a.example"]);
        assert!(allow(&both, "b.example") && !allow(&both, "a.example"));
        assert!(allow(&dns(&[".example"], &[]), "a.example") && !allow(&dns(&[".example"], &[]), "example"));
        // Names of another kind are free.
        assert!(inside.allow(NOBODY, &[Name::Email("x@b.example")]));
    }

    #[test]
    fn mailboxes_hosts_of_uris_and_addresses_lie_in_their_subtrees() {
        let one = |subtree: Subtree, name: Name<'_>| {
            let constraints = NameConstraints { permitted: vec![subtree], excluded: vec![] };
            constraints.allow(NOBODY, &[name])
        };
        let email = |base: &str, address| one(Subtree::Email(base.into()), Name::Email(address));
        assert!(
            email("a.example", "x@A.example")
                && email(".example", "x@a.example")
                && email("x@a.example", "x@a.example")
        );
        assert!(
            !email("a.example", "x@b.a.example")
                && !email(".a.example", "x@a.example")
                && !email("x@a.example", "y@a.example")
        );
        let uri = |base: &str, uri| one(Subtree::Uri(base.into()), Name::Uri(uri));
        assert!(uri("a.example", "https://a.example:8443/x") && uri(".example", "spiffe://a.example/x"));
        assert!(!uri("a.example", "https://b.example/a.example") && !uri("a.example", "urn:a.example"));
        assert!(!uri("a.example", "https://a.example@b.example/"));
        let v4 = || Subtree::Ip { address: vec![10, 0, 0, 0], mask: vec![255, 0, 0, 0] };
        let ip = |address: &str| one(v4(), Name::Ip(address.parse().unwrap()));
        assert!(ip("10.1.2.3") && ip("::ffff:10.1.2.3") && !ip("11.0.0.1") && !ip("2001:db8::1"));
        assert!(!one(Subtree::Other(0), Name::Other(0)) && one(Subtree::Other(0), Name::Other(8)));
        let excluded =
            NameConstraints { permitted: vec![], excluded: vec![Subtree::Uri("a.example".into())] };
        assert!(!excluded.allow(NOBODY, &[Name::Uri("urn:x")]), "who knows where that leads");
    }

    #[test]
    fn a_ca_may_have_a_dotted_name_below_constraints_of_hosts() {
        let subject = crate::CaSubject { common_name: "ca1.corp.example", ..crate::CaSubject::default() };
        let subject = subject.to_der().unwrap();
        let inside = dns(&["a.example"], &[]);
        assert!(inside.allow_ca(&subject));
        assert!(!inside.allow(&subject, &[]), "a leaf's is taken for a host");
        let directory = NameConstraints {
            permitted: vec![],
            excluded: vec![Subtree::Directory(name::rdns(&subject).unwrap())],
        };
        assert!(!directory.allow_ca(&subject));
    }

    #[test]
    fn other_names_could_be_mailboxes_and_are_outside_where_those_are_constrained() {
        let emails = |permitted: Vec<Subtree>, excluded| NameConstraints { permitted, excluded };
        let base = || vec![Subtree::Email("a.example".into())];
        for constraints in [emails(base(), vec![]), emails(vec![], base())] {
            assert!(!constraints.allow(NOBODY, &[Name::Other(OTHER_NAME)]));
            assert!(constraints.allow(NOBODY, &[Name::Other(8)]), "a registered id is none");
        }
        assert!(dns(&["a.example"], &[]).allow(NOBODY, &[Name::Other(OTHER_NAME)]));
    }

    #[test]
    fn what_cannot_be_read_is_no_constraint() {
        let subtrees = |tag: u8, bases: &[&[u8]]| {
            let inner: Vec<u8> = bases
                .iter()
                .flat_map(|base| [&[0x30, u8::try_from(base.len()).unwrap()], *base].concat())
                .collect();
            [&[tag, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat()
        };
        let all = |parts: &[Vec<u8>]| {
            let inner = parts.concat();
            [&[0x30, u8::try_from(inner.len()).unwrap()], inner.as_slice()].concat()
        };
        let good = subtrees(0xa0, &[b"\x82\x01a"]);
        assert_eq!(NameConstraints::parse(&all(std::slice::from_ref(&good))), Ok(dns(&["a"], &[])));
        let excluded = subtrees(0xa1, &[b"\x82\x01b", b"\x82\x01c"]);
        assert_eq!(
            NameConstraints::parse(&all(&[good.clone(), excluded.clone()])),
            Ok(dns(&["a"], &["b", "c"]))
        );
        for bad in [
            all(&[]),
            all(&[excluded, good.clone()]),
            all(&[good.clone(), good]),
            all(&[subtrees(0xa0, &[])]),
            // minimum 1; an address without a mask; a tag that no name has.
            all(&[subtrees(0xa0, &[b"\x82\x01a\x80\x01\x01"])]),
            all(&[subtrees(0xa0, &[b"\x87\x04\x0a\x00\x00\x00"])]),
            all(&[subtrees(0xa0, &[b"\x8f\x01a"])]),
            // Bases that no name can match: a dot at the end, a wildcard, two dots, a mailbox without a user or a host.
            all(&[subtrees(0xa1, &[b"\x82\x02a."])]),
            all(&[subtrees(0xa1, &[b"\x82\x03*.a"])]),
            all(&[subtrees(0xa1, &[b"\x82\x04a..b"])]),
            all(&[subtrees(0xa1, &[b"\x82\x01."])]),
            all(&[subtrees(0xa1, &[b"\x81\x00"])]),
            all(&[subtrees(0xa1, &[b"\x86\x00"])]),
            all(&[subtrees(0xa1, &[b"\x81\x02@a"])]),
            all(&[subtrees(0xa1, &[b"\x81\x02a@"])]),
            all(&[subtrees(0xa1, &[b"\x86\x09https://a"])]),
            all(&[subtrees(0xa1, &[b"\x87\x08\x0a\x00\x00\x00\xff\x00\xff\x00"])]),
            all(&[subtrees(0xa1, &[b"\x87\x08\x0a\x00\x00\x00\x7f\x00\x00\x00"])]),
            b"\x30\x80".to_vec(),
        ] {
            assert!(NameConstraints::parse(&bad).is_err(), "{bad:x?}");
        }
    }
}
