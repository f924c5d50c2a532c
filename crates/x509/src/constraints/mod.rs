//! Name constraints of CA certificates (RFC 5280, section 4.2.1.10), which restrict the certificates below
//! them. If the standard leaves doubt, the name is refused.

mod subtree;

use crate::encode::context_tag;
use crate::san::Name;
use crate::{host, name};
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader};
use subtree::{Candidate, DirectoryName, Subtree};

/// More than any CA has in practice. Each is compared with each name of each certificate.
const MAX_SUBTREES: usize = 256;
/// The tag of `otherName`.
const OTHER_NAME: u32 = 0;

/// Subtrees in which names must be, and in which they must not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

impl NameConstraints {
    /// Reads the value of the extension. The error says why it cannot be read.
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
                tag if tag == context_tag(0) && read.permitted.is_empty() && read.excluded.is_empty() => {
                    &mut read.permitted
                }
                tag if tag == context_tag(1) && read.excluded.is_empty() => &mut read.excluded,
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

    /// Whether a certificate with this subject (DER `Name`) and these alternative names may exist below.
    pub fn allow(&self, subject: &[u8], names: &[Name<'_>]) -> bool {
        let Ok(common_names) = name::values(subject, name::COMMON_NAME) else { return false };
        let has_dns_names = names.iter().any(|name| matches!(name, Name::Dns(_)));
        let mut hosts = common_names.iter().filter_map(|text| host::in_common_name(text));
        self.allow_subject(subject)
            && names.iter().all(|name| self.allows_name(*name))
            && hosts.all(|host| self.allows_host_of_common_name(&host, has_dns_names))
            && !self.has_unchecked_mailbox(names)
    }

    /// Whether a certificate with this subject (DER `Name`) may exist below, if its common name is taken for
    /// no host. This is so for CA certificates.
    pub fn allow_subject(&self, subject: &[u8]) -> bool {
        let Some(name) = DirectoryName::parse(subject) else { return false };
        (name.is_empty() || self.allows(&Candidate::Directory(&name))) && !self.has_unchecked_email(subject)
    }

    /// RFC 5280 says nothing of common names. Programs that look at them, most of them only if there is no
    /// DNS name, take them for DNS names. A single label is a name of people and things more often than a
    /// host, so that it is only compared with what is excluded.
    fn allows_host_of_common_name(&self, host: &str, has_dns_names: bool) -> bool {
        let candidate = Candidate::Dns(host);
        if host.contains(['.', '*']) && !has_dns_names {
            return self.allows(&candidate);
        }
        let is_all = |subtree: &&Subtree| matches!(subtree, Subtree::Dns(base) if base.is_empty());
        !self.excluded.iter().filter(|subtree| !is_all(subtree)).any(|subtree| subtree.may_hold(&candidate))
    }

    fn allows_name(&self, name: Name<'_>) -> bool {
        match name {
            Name::Dns(text) => self.allows(&Candidate::Dns(text)),
            Name::Email(text) => self.allows(&Candidate::Email(text)),
            Name::Uri(uri) => self.allows(&Candidate::Uri(uri.constrained_host())),
            // An IPv4 address in its IPv6 form is the one or the other, depending on the program.
            Name::Ip(address) => {
                [address, address.to_canonical()].iter().all(|address| self.allows(&Candidate::Ip(*address)))
            }
            Name::Directory(raw) => {
                DirectoryName::parse(raw).is_some_and(|name| self.allows(&Candidate::Directory(&name)))
            }
            Name::Other(number) => self.allows(&Candidate::Other(number)),
        }
    }

    /// RFC 9598: internationalized mailboxes are other names, and are restricted as well. Which other names
    /// are mailboxes is not examined.
    fn has_unchecked_mailbox(&self, names: &[Name<'_>]) -> bool {
        self.constrain_emails() && names.contains(&Name::Other(OTHER_NAME))
    }

    fn allows(&self, candidate: &Candidate<'_>) -> bool {
        let mut of_its_kind =
            self.permitted.iter().filter(|subtree| subtree.is_of_kind(candidate)).peekable();
        let permitted = of_its_kind.peek().is_none() || of_its_kind.any(|subtree| subtree.holds(candidate));
        permitted && !self.excluded.iter().any(|subtree| subtree.may_hold(candidate))
    }

    /// RFC 5280: constraints of mailboxes also apply to addresses in the subject. Subjects with such
    /// addresses are refused then.
    fn has_unchecked_email(&self, subject: &[u8]) -> bool {
        self.constrain_emails() && name::has_email_address(subject)
    }

    fn constrain_emails(&self) -> bool {
        let mut all = self.permitted.iter().chain(&self.excluded);
        all.any(|subtree| matches!(subtree, Subtree::Email(_)))
    }
}

#[cfg(test)]
mod tests;
