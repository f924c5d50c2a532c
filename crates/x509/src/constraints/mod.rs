//! Name constraints of CA certificates (RFC 5280, section 4.2.1.10), which restrict the certificates below
//! them. If the standard leaves doubt, the name is refused.

mod subtree;

use crate::encode::context_tag;
use crate::name;
use crate::san::Name;
use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader};
use subtree::{Candidate, Subtree};

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

    /// Whether a CA certificate with this subject (DER `Name`) may exist below. No program takes its common
    /// name for a host.
    pub fn allow_ca(&self, subject: &[u8]) -> bool {
        let Ok(rdns) = name::rdns(subject) else { return false };
        (rdns.is_empty() || self.allows(&Candidate::Directory(&rdns))) && !self.has_unchecked_email(subject)
    }

    /// Whether a certificate with this subject (DER `Name`) and these alternative names may exist below.
    pub fn allow(&self, subject: &[u8], names: &[Name<'_>]) -> bool {
        let Ok(rdns) = name::rdns(subject) else { return false };
        // Programs that read the common name if there is no alternative name take it for a DNS name.
        let Ok(common_names) = name::values(subject, name::COMMON_NAME) else { return false };
        let has_dns_names = names.iter().any(|name| matches!(name, Name::Dns(_)));
        let mut hosts = common_names.iter().filter(|text| text.contains('.') && !has_dns_names);
        (rdns.is_empty() || self.allows(&Candidate::Directory(&rdns)))
            && names.iter().all(|name| self.allows_name(*name))
            && hosts.all(|text| self.allows(&Candidate::Dns(text)))
            && !self.has_unchecked_email(subject)
            && !self.has_unchecked_mailbox(names)
    }

    fn allows_name(&self, name: Name<'_>) -> bool {
        match name {
            Name::Dns(text) => self.allows(&Candidate::Dns(text.strip_suffix('.').unwrap_or(text))),
            Name::Email(text) => self.allows(&Candidate::Email(text)),
            Name::Uri(text) => self.allows(&Candidate::Uri(host_of(text))),
            Name::Ip(address) => {
                // Exclusions are compared with the IPv6 form as well, because some programs do so.
                let mapped = Candidate::Ip(address);
                self.allows(&Candidate::Ip(address.to_canonical()))
                    && !self.excluded.iter().any(|subtree| subtree.may_hold(&mapped))
            }
            Name::Directory(raw) => {
                name::rdns(raw).is_ok_and(|rdns| self.allows(&Candidate::Directory(&rdns)))
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

/// The host of a URI's authority, if it is a name: constraints do not apply to addresses (RFC 5280, section
/// 4.2.1.10).
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
mod tests;
