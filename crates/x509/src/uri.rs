//! URIs (RFC 3986).

use crate::host::{is_host, is_ipv4};
use fluent_uri::Uri;
use fluent_uri::component::{Authority, Host};

/// Schemes whose URIs name a host (RFC 9110, section 4.2; RFC 6455, section 3).
const WITH_HOST: [&str; 4] = ["http", "https", "ws", "wss"];

/// A URI that RFC 3986, RFC 5280 and Go's `net/url` accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriName<'a> {
    text: &'a str,
    host: Option<&'a str>,
}

impl<'a> UriName<'a> {
    /// Reads an absolute URI whose host, if it has one, is a name or an address (RFC 5280, section 4.2.1.6).
    /// The error says what is wrong.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let uri = Uri::parse(text).map_err(|_| "it is no absolute URI as RFC 3986 defines it")?;
        let scheme = uri.scheme().as_str();
        let is = |wanted: &str| scheme.eq_ignore_ascii_case(wanted);
        if text.len() == scheme.len().saturating_add(1) {
            return Err("nothing follows the scheme");
        }
        let authority = uri.authority();
        if is("spiffe") {
            check_spiffe(authority)?;
        }
        let host = authority.map(check_host).transpose()?.flatten();
        if authority.is_some_and(|authority| authority.host().is_empty())
            && WITH_HOST.iter().any(|known| is(known))
        {
            return Err("it has no host");
        }
        Ok(Self { text, host: host.filter(|host| common_reading(text) == Some(host)) })
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The host to which name constraints apply (RFC 5280, section 4.2.1.10). `None` if the URI has no host,
    /// if the host is an address, or if common programs read another host.
    pub fn constrained_host(&self) -> Option<&'a str> {
        self.host
    }
}

/// The host if it is a name. It is never percent-encoded, because Go does not read that.
fn check_host(authority: Authority<'_>) -> Result<Option<&str>, &'static str> {
    let host = authority.host();
    match authority.host_parsed() {
        Host::Ipv4(_) | Host::Ipv6(_) => Ok(None),
        Host::RegName(_) if host.is_empty() => Ok(None),
        Host::RegName(_) if is_host(host) => Ok(Some(host).filter(|host| !is_ipv4(host))),
        _ => Err("its host is neither a DNS name nor an IP address"),
    }
}

/// The ID of a workload (SPIFFE-ID, section 2) has a trust domain; a port is accepted.
fn check_spiffe(authority: Option<Authority<'_>>) -> Result<(), &'static str> {
    let authority = authority.ok_or("a SPIFFE ID has a trust domain")?;
    if authority.userinfo().is_some() || !is_host(authority.host()) {
        return Err("a SPIFFE ID has a trust domain, and nothing else before its path");
    }
    let port = authority.port().map(fluent_uri::pct_enc::EStr::as_str);
    if port.is_some_and(|port| port.is_empty() || port.len() > 5) {
        return Err("a port has one to five digits");
    }
    Ok(())
}

/// What openssl takes for the host when it applies name constraints: everything behind `://` up to the first
/// colon or, if there is none, the first slash.
fn common_reading(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let end = rest.find(':').or_else(|| rest.find('/'));
    rest.get(..end.unwrap_or(rest.len()))
}
