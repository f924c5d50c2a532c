//! What the certificates of a CA may contain: rules that narrow the baseline policy. They are applied to the
//! final to-be-signed certificate, never to the request.

mod pattern;

use crate::algorithm::KeyAlgorithm;
use crate::certificate::TbsCertificate;
use crate::san::Name;
use crate::validity::{LONGEST_LIFETIME, SHORTEST_LIFETIME};
use crate::{Error, Usage, name};
use pattern::{DnsPattern, EmailPattern, IpRange, UriPattern};

/// Maximum number of entries of one list.
const MAX_ENTRIES: usize = 64;
/// Maximum length of an entry, in bytes.
const MAX_ENTRY: usize = 2048;
/// Maximum length of all entries together, in bytes.
const MAX_RULES: usize = 64 << 10;
/// As many CAs as rustls-webpki allows between a trust anchor and a leaf.
const MAX_CA_DEPTH: u8 = 6;

/// Rules that narrow the baseline policy; the default has none. If several policies apply, each of them must
/// allow a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    names: Option<NamePolicy>,
    usages: Option<Vec<Usage>>,
    max_lifetime: Option<u64>,
    keys: Option<Vec<KeyRule>>,
    ca_depth: Option<u8>,
}

/// The rules as texts. A list that is `None` is no rule; an empty one allows nothing of its kind.
///
/// If there is one of the seven lists of names, names of kinds without a list are refused, and so are the
/// kinds for which there is no list (directory names, registered ids, other names). Attributes of a subject
/// for which there is no list are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyRules<'a> {
    /// `a.example`: this name. `*.a.example`: with one label before it. `**.a.example`: with one or more.
    pub dns_names: Option<&'a [String]>,
    /// `spiffe://td.example/ns/*/sa/web`: `*` is one segment of the path, `**` at the end one or more.
    pub uris: Option<&'a [String]>,
    /// `10.0.0.0/8`, `2001:db8::/32` or a single address.
    pub ip_ranges: Option<&'a [String]>,
    /// `user@a.example`, or `*@` and a pattern of DNS names.
    pub email_addresses: Option<&'a [String]>,
    /// Common names, or `*` for any. Without this list a common name must also be one of the alternative
    /// names.
    pub common_names: Option<&'a [String]>,
    /// Organizations (O) of the subject, which Kubernetes reads as groups, or `*` for any. An empty value
    /// needs no list.
    pub organizations: Option<&'a [String]>,
    /// Organizational units (OU) of the subject, or `*` for any. An empty value needs no list.
    pub organizational_units: Option<&'a [String]>,
    /// Usages by their Kubernetes names.
    pub usages: Option<&'a [String]>,
    /// Longest lifetime in seconds, from 600 seconds to 365 days. A longer requested lifetime is shortened to
    /// it.
    pub max_lifetime: Option<u64>,
    /// `RSA`, `RSA-3072` (at least this many bits), `ECDSA-P256`, `ECDSA-P384`, `ECDSA-P521`, `Ed25519`.
    pub key_algorithms: Option<&'a [String]>,
    /// How many levels of CAs may exist below the CA: at most 6, which common verifiers follow. The baseline
    /// policy allows none. This is the only rule that widens it, and only if it was fixed when the CA was
    /// made ([`crate::IssuanceRequest::fixed`]). It cannot be combined with lists of names, because nothing
    /// here checks what a CA below signs.
    pub ca_depth: Option<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NamePolicy {
    dns: Vec<DnsPattern>,
    uris: Vec<UriPattern>,
    ips: Vec<IpRange>,
    emails: Vec<EmailPattern>,
    common_names: Option<Vec<String>>,
    organizations: Vec<String>,
    organizational_units: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyRule {
    Rsa { least: usize },
    Exactly(KeyAlgorithm),
}

impl Policy {
    /// Reads rules. `PolicyMalformed` names the list that cannot be read.
    pub fn new(rules: &PolicyRules<'_>) -> Result<Self, Error> {
        let names = [
            rules.dns_names,
            rules.uris,
            rules.ip_ranges,
            rules.email_addresses,
            rules.common_names,
            rules.organizations,
            rules.organizational_units,
        ];
        let others = [rules.usages, rules.key_algorithms];
        let all = names.iter().chain(&others).copied().flatten().flatten();
        if all.map(String::len).fold(0, usize::saturating_add) > MAX_RULES {
            return Err(Error::PolicyMalformed("longer than 64 KiB"));
        }
        let names = if names.iter().any(Option::is_some) { Some(NamePolicy::new(rules)?) } else { None };
        let max_lifetime = rules.max_lifetime;
        if max_lifetime.is_some_and(|most| !(SHORTEST_LIFETIME..=LONGEST_LIFETIME).contains(&most)) {
            return Err(Error::PolicyMalformed("maxLifetimeSeconds must be 600 seconds to 365 days"));
        }
        if rules.ca_depth.is_some_and(|depth| depth > MAX_CA_DEPTH) {
            return Err(Error::PolicyMalformed("caDepth must be at most 6"));
        }
        if names.is_some() && rules.ca_depth.is_some_and(|depth| depth > 0) {
            return Err(Error::PolicyMalformed(
                "caDepth cannot be combined with lists of names, which would not restrict the CAs below",
            ));
        }
        let usage = |text: &str| Usage::parse(text).ok().filter(|usage| !usage.is_signing());
        Ok(Self {
            names,
            usages: list(rules.usages, "usages", usage)?,
            max_lifetime,
            keys: list(rules.key_algorithms, "key algorithms", KeyRule::new)?,
            ca_depth: rules.ca_depth,
        })
    }

    /// The longest lifetime, in seconds.
    pub(crate) fn max_lifetime(&self) -> u64 {
        self.max_lifetime.unwrap_or(LONGEST_LIFETIME)
    }

    /// How many levels of CAs may exist below the CA, 0 to 6; `None` if this policy has no such rule.
    #[must_use]
    pub fn ca_depth(&self) -> Option<u8> {
        self.ca_depth
    }

    /// Checks a to-be-signed certificate with these alternative names, a key of this algorithm and these
    /// usages, requested at `now` (Unix seconds).
    ///
    /// The list of usages does not apply to signing usages: they depend on the CA bit, and the CA bit on the
    /// CA depth.
    pub(crate) fn check(
        &self,
        tbs: &TbsCertificate<'_>,
        names: &[Name<'_>],
        key: KeyAlgorithm,
        usages: &[Usage],
        now: i64,
    ) -> Result<(), Error> {
        let allow =
            |good: bool, rule: &'static str| if good { Ok(()) } else { Err(Error::PolicyRefused(rule)) };
        if let Some(allowed) = &self.usages {
            let good = |usage: &Usage| usage.is_signing() || allowed.contains(usage);
            allow(usages.iter().all(good), "usages")?;
            // The extended key usages of a CA also apply to the certificates below it. Without any it could
            // issue all of them.
            let bound = usages.iter().any(|usage| usage.is_extended());
            allow(
                bound || !usages.contains(&Usage::CertSign),
                "usages, which do not restrict a CA without an extended key usage",
            )?;
        }
        if let Some(keys) = &self.keys {
            allow(keys.iter().any(|rule| rule.allows(key)), "key algorithms")?;
        }
        let life = tbs.validity.not_after.checked_sub(now).and_then(|life| u64::try_from(life).ok());
        allow(life.is_some_and(|life| life <= self.max_lifetime()), "lifetime")?;
        let Some(name_policy) = &self.names else { return Ok(()) };
        allow(!usages.contains(&Usage::CertSign), "names, which do not restrict what a CA signs")?;
        name_policy.check(tbs, names)
    }
}

impl NamePolicy {
    fn new(rules: &PolicyRules<'_>) -> Result<Self, Error> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Self {
            dns: list(rules.dns_names, "DNS names", DnsPattern::new)?.unwrap_or_default(),
            uris: list(rules.uris, "URIs", UriPattern::new)?.unwrap_or_default(),
            ips: list(rules.ip_ranges, "IP ranges", IpRange::new)?.unwrap_or_default(),
            emails: list(rules.email_addresses, "e-mail addresses", EmailPattern::new)?.unwrap_or_default(),
            common_names: list(rules.common_names, "common names", text)?,
            organizations: list(rules.organizations, "organizations", text)?.unwrap_or_default(),
            organizational_units: list(rules.organizational_units, "organizational units", text)?
                .unwrap_or_default(),
        })
    }

    fn check(&self, tbs: &TbsCertificate<'_>, names: &[Name<'_>]) -> Result<(), Error> {
        for name in names {
            let (good, rule) = match name {
                Name::Dns(text) => (self.dns.iter().any(|pattern| pattern.matches(text)), "DNS names"),
                Name::Uri(uri) => (self.uris.iter().any(|pattern| pattern.matches(uri.text())), "URIs"),
                Name::Ip(address) => (self.ips.iter().any(|range| range.contains(*address)), "IP ranges"),
                Name::Email(text) => {
                    (self.emails.iter().any(|pattern| pattern.matches(text)), "e-mail addresses")
                }
                Name::Directory(_) | Name::Other(_) => (false, "kinds of alternative names"),
            };
            if !good {
                return Err(Error::PolicyRefused(rule));
            }
        }
        let mut in_subject = name::values(tbs.subject, name::EMAIL_ADDRESS)?.into_iter();
        if !in_subject.all(|address| self.emails.iter().any(|pattern| pattern.matches(&address))) {
            return Err(Error::PolicyRefused("e-mail addresses"));
        }
        let listed = |all: &[String], found: &str| all.iter().any(|text| text == "*" || text == found);
        // An empty value says nothing. Istio's agents request an organization with such a value.
        let may_be = |all: &[String], found: &String| found.is_empty() || listed(all, found);
        for (attribute, all, rule) in [
            (name::ORGANIZATION, &self.organizations, "organizations"),
            (name::ORGANIZATIONAL_UNIT, &self.organizational_units, "organizational units"),
        ] {
            if !name::values(tbs.subject, attribute)?.iter().all(|found| may_be(all, found)) {
                return Err(Error::PolicyRefused(rule));
            }
        }
        for common_name in name::values(tbs.subject, name::COMMON_NAME)? {
            let good = self.common_names.as_ref().map_or_else(
                || names.iter().any(|name| name.is_text(&common_name)),
                |allowed| listed(allowed, &common_name),
            );
            if !good {
                return Err(Error::PolicyRefused("common names"));
            }
        }
        Ok(())
    }
}

impl KeyRule {
    fn new(text: &str) -> Option<Self> {
        let bits =
            |text: &str| text.strip_prefix("RSA-")?.parse().ok().filter(|bits| (2048..=8192).contains(bits));
        if text == "RSA" {
            return Some(Self::Rsa { least: 0 });
        }
        let mut others =
            [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519].into_iter();
        let exactly = others.find(|algorithm| algorithm.to_string() == text).map(Self::Exactly);
        exactly.or_else(|| bits(text).map(|least| Self::Rsa { least }))
    }

    fn allows(self, key: KeyAlgorithm) -> bool {
        match (self, key) {
            (Self::Rsa { least }, KeyAlgorithm::Rsa { bits }) => bits >= least,
            (Self::Exactly(allowed), key) => allowed == key,
            _ => false,
        }
    }
}

fn list<T>(
    texts: Option<&[String]>,
    what: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<Vec<T>>, Error> {
    let Some(texts) = texts else { return Ok(None) };
    if texts.len() > MAX_ENTRIES {
        return Err(Error::PolicyMalformed(what));
    }
    let one = |text: &String| {
        let short = text.len() <= MAX_ENTRY;
        read(text).filter(|_| short).ok_or(Error::PolicyMalformed(what))
    };
    texts.iter().map(one).collect::<Result<Vec<T>, _>>().map(Some)
}

#[cfg(test)]
mod tests;
