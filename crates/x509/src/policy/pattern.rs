//! Patterns of names. A name that can be read in two ways matches nothing.

use core::net::IpAddr;

/// Labels of a DNS name, the last first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsPattern {
    labels: Vec<String>,
    /// What may precede them.
    before: Before,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    OneLabel,
    Labels,
}

impl DnsPattern {
    pub fn new(text: &str) -> Option<Self> {
        let (before, rest) = match text.split_once('.') {
            Some(("*", rest)) => (Before::OneLabel, rest),
            Some(("**", rest)) => (Before::Labels, rest),
            _ => (Before::Nothing, text),
        };
        let labels: Vec<String> = rest.rsplit('.').map(str::to_ascii_lowercase).collect();
        labels.iter().all(|label| is_label(label)).then_some(Self { labels, before })
    }

    /// A wildcard name stands for every name with one label in its place, so the pattern must allow all of
    /// them.
    pub fn matches(&self, name: &str) -> bool {
        let mut rest = name.rsplit('.');
        let same = |label: &String| rest.next().is_some_and(|found| found.eq_ignore_ascii_case(label));
        if !self.labels.iter().all(same) {
            return false;
        }
        let rest: Vec<&str> = rest.collect();
        let Some((first, above)) = rest.split_last() else { return self.before == Before::Nothing };
        let whole = (*first == "*" || is_label(first)) && above.iter().all(|label| is_label(label));
        whole
            && match self.before {
                Before::Nothing => false,
                Before::OneLabel => above.is_empty(),
                Before::Labels => true,
            }
    }
}

/// A label of a host name (RFC 1123), or with the underscores of service names.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Scheme and authority unchanged, and the path by segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriPattern {
    base: String,
    segments: Vec<String>,
}

impl UriPattern {
    pub fn new(text: &str) -> Option<Self> {
        let (base, segments) = split_uri(text)?;
        let last = segments.len().saturating_sub(1);
        let good = |(at, segment): (usize, &&str)| {
            *segment == "*" || (*segment == "**" && at == last) || !segment.contains('*')
        };
        segments.iter().enumerate().all(good).then(|| Self {
            base: base.to_ascii_lowercase(),
            segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
        })
    }

    pub fn matches(&self, uri: &str) -> bool {
        let Some((base, found)) = split_uri(uri) else { return false };
        if !base.eq_ignore_ascii_case(&self.base) {
            return false;
        }
        let (wanted, open) = match self.segments.split_last() {
            Some((last, before)) if last == "**" => (before, true),
            _ => (self.segments.as_slice(), false),
        };
        let enough = if open { found.len() > wanted.len() } else { found.len() == wanted.len() };
        enough && wanted.iter().zip(&found).all(|(wanted, found)| wanted == "*" || wanted == found)
    }
}

/// `scheme://authority` and the segments of the path. `None` if the URI has a query, fragment or escape, or
/// segments that a reader may remove, because programs could then read it in several ways.
fn split_uri(text: &str) -> Option<(&str, Vec<&str>)> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) =
        rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
    let segments: Vec<&str> = path.map(|path| path.split('/').collect()).unwrap_or_default();
    let clear = |segment: &&str| !["", ".", ".."].contains(segment) && segment.bytes().all(plain);
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let good = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !authority.is_empty()
        && authority.bytes().all(host)
        && segments.iter().all(clear);
    let base = text.get(..text.len().saturating_sub(path.map_or(0, |path| path.len().saturating_add(1))))?;
    good.then_some((base, segments))
}

/// Addresses with the same first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    first: IpAddr,
    bits: u32,
}

impl IpRange {
    /// `address/bits` with no bit set after the prefix, or an address.
    pub fn new(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().ok()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        let range = Self { first, bits };
        (range.head(first) == number(first)).then_some(range)
    }

    /// Whether an address is in the range. An IPv4 address mapped into IPv6 counts as the IPv4 address,
    /// because it is routed as such.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && self.head(address) == number(self.first)
    }

    fn head(&self, address: IpAddr) -> u128 {
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let behind = width.saturating_sub(self.bits);
        let kept = u128::MAX.checked_shl(behind).unwrap_or(0);
        number(address) & kept
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// A mailbox, or all mailboxes of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailPattern {
    user: Option<String>,
    host: DnsPattern,
}

impl EmailPattern {
    pub fn new(text: &str) -> Option<Self> {
        let (user, host) = text.split_once('@')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
        let user = match user {
            "*" => None,
            user if !user.is_empty() && user.bytes().all(plain) => Some(user.to_owned()),
            _ => return None,
        };
        Some(Self { user, host: DnsPattern::new(host)? })
    }

    pub fn matches(&self, address: &str) -> bool {
        let Some((user, host)) = address.split_once('@') else { return false };
        let named = self.user.as_ref().map_or(!user.is_empty(), |wanted| wanted == user);
        named && !host.contains('*') && self.host.matches(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_patterns_stand_for_whole_labels() {
        let matches = |pattern: &str, name: &str| DnsPattern::new(pattern).unwrap().matches(name);
        assert!(matches("a.example", "A.Example"));
        assert!(matches("*.example", "a.example") && matches("*.example", "*.example"));
        assert!(matches("**.example", "a.example") && matches("**.example", "*.a.b.example"));
        for (pattern, name) in [
            ("a.example", "b.a.example"),
            ("a.example", "*.example"),
            ("a.example", "a.example."),
            ("a.example", "xa.example"),
            ("a.example", "example"),
            ("*.example", "a.b.example"),
            ("*.example", "example"),
            ("*.example", ".example"),
            ("*.example", "a*.example"),
            ("*.example", "**.example"),
            ("**.example", "example"),
            ("**.example", "a.*.example"),
            ("**.example", "a..example"),
            ("**.example", "badexample"),
            ("**.example", "a.example.evil"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        for wrong in [
            "",
            "*",
            "**",
            ".example",
            "a.*.example",
            "a..b",
            "*.",
            "a b.example",
            "***.example",
            "-a.example",
        ] {
            assert_eq!(DnsPattern::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn uri_patterns_stand_for_whole_segments() {
        let matches = |pattern: &str, uri: &str| UriPattern::new(pattern).unwrap().matches(uri);
        let web = "spiffe://td.example/ns/*/sa/web";
        assert!(matches(web, "spiffe://td.example/ns/a/sa/web"));
        assert!(matches("spiffe://td.example/ns/**", "spiffe://td.example/ns/a/sa/web"));
        assert!(matches("spiffe://td.example/**", "SPIFFE://TD.example/a"));
        assert!(matches("https://a.example:8443", "https://a.example:8443"));
        for (pattern, uri) in [
            (web, "spiffe://td.example/ns/a/b/sa/web"),
            (web, "spiffe://td.example/ns//sa/web"),
            (web, "spiffe://td.example/ns/a/sa/web/x"),
            (web, "spiffe://td.example/ns/a/sa/WEB"),
            (web, "spiffe://other/ns/a/sa/web"),
            (web, "spiffe://td.example.evil/ns/a/sa/web"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns/"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns/../admin"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns/%2e%2e/admin"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns/a?x"),
            ("spiffe://td.example/ns/**", "spiffe://td.example/ns/a#x"),
            ("spiffe://td.example/**", "spiffe://user@td.example/a"),
            ("spiffe://td.example/**", "urn:x"),
        ] {
            assert!(!matches(pattern, uri), "{pattern} {uri}");
        }
        for wrong in [
            "",
            "a",
            "://a/b",
            "spiffe:///x",
            "spiffe://*/x",
            "spiffe://a/**/b",
            "spiffe://a/b*",
            "spiffe://a/../b",
        ] {
            assert_eq!(UriPattern::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ip_ranges_hold_addresses_of_their_family() {
        let holds =
            |range: &str, address: &str| IpRange::new(range).unwrap().contains(address.parse().unwrap());
        assert!(
            holds("10.0.0.0/8", "10.255.0.1")
                && holds("10.1.2.3", "10.1.2.3")
                && holds("0.0.0.0/0", "1.2.3.4")
        );
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && holds("::/0", "2001::"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"), "an IPv4 address in IPv6's form");
        for (range, address) in [
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.1.2.3", "10.1.2.4"),
            ("::/0", "1.2.3.4"),
            ("::/0", "::ffff:1.2.3.4"),
            ("0.0.0.0/0", "::1"),
            ("2001:db8::/33", "2001:db8:8000::"),
        ] {
            assert!(!holds(range, address), "{range} {address}");
        }
        for wrong in
            ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "a", "2001:db8::/129", "10.0.0"]
        {
            assert_eq!(IpRange::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn email_patterns_name_a_mailbox_or_a_host() {
        let matches = |pattern: &str, address: &str| EmailPattern::new(pattern).unwrap().matches(address);
        assert!(matches("a@b.example", "a@B.example") && matches("*@b.example", "x@b.example"));
        assert!(matches("*@**.example", "x@a.b.example"));
        for (pattern, address) in [
            ("a@b.example", "A@b.example"),
            ("a@b.example", "a@c.example"),
            ("*@b.example", "@b.example"),
            ("*@b.example", "x@a.b.example"),
            ("*@*.example", "x@*.example"),
            ("*@b.example", "x@y@b.example"),
        ] {
            assert!(!matches(pattern, address), "{pattern} {address}");
        }
        for wrong in ["", "a", "a@", "@b", "a b@c.example", "a@b@c.example"] {
            assert_eq!(EmailPattern::new(wrong), None, "{wrong}");
        }
    }
}
