//! Which proxy is asked for an address. The variables of the environment mean what they mean to Go
//! (`golang.org/x/net/http/httpproxy`); curl reads them in the same way, except where `docs/collateral.md`
//! says so.

use super::error::Error;
use ipnet::IpNet;
use std::net::IpAddr;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

/// Variables with the proxy for https addresses. The first one that is set and not empty counts. Only curl
/// knows the last two.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// Variables with the hosts that are asked without a proxy.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Which proxy is asked.
pub enum Proxies {
    /// None, whatever the environment says.
    Never,
    /// This one for every address.
    Always(Proxy),
    /// The one that the environment names for an address.
    Environment(Environment),
}

/// What the environment says about proxies.
pub struct Environment {
    /// The name of the variable, and the address of the proxy.
    proxy: Option<(&'static str, String)>,
    /// Hosts that are asked directly.
    direct: Vec<Exception>,
}

/// One entry of `NO_PROXY`.
enum Exception {
    /// `*`: every host.
    All,
    /// A network in CIDR notation.
    Network(IpNet),
    /// An address, on one port or on every one.
    Address(IpAddr, Option<String>),
    /// A domain in lower case with a leading dot, and whether the name without the dot belongs to it.
    Domain { suffix: String, port: Option<String>, itself: bool },
}

impl Proxies {
    /// By the setting `proxy`, or without one by the environment.
    pub fn new(setting: Option<&str>) -> Result<Self, Error> {
        match setting {
            None => Ok(Self::Environment(Environment::read(|name| {
                std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
            }))),
            Some("none") => Ok(Self::Never),
            Some(url) => Ok(Self::Always(parse("the setting proxy", url)?)),
        }
    }

    /// The proxy for an address; `None` asks its host directly.
    pub fn of(&self, url: &str) -> Result<Option<Proxy>, Error> {
        match self {
            Self::Never => Ok(None),
            Self::Always(proxy) => Ok(Some(proxy.clone())),
            Self::Environment(environment) => environment.of(url),
        }
    }
}

impl Environment {
    /// Reads the variables with this function, which returns the value of a variable.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let proxy = PROXY.into_iter().find_map(|name| Some((name, value(name)?)));
        let list = NO_PROXY.into_iter().find_map(value).unwrap_or_default();
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        Self { proxy, direct: entries.filter_map(Exception::read).collect() }
    }

    fn of(&self, url: &str) -> Result<Option<Proxy>, Error> {
        let (Some((name, address)), Ok(uri)) = (&self.proxy, url.parse::<Uri>()) else { return Ok(None) };
        // Addresses without TLS are on this machine, which no proxy can reach for us.
        if uri.scheme_str() != Some("https") {
            return Ok(None);
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let (host, port) = (host.to_ascii_lowercase(), uri.port_u16().unwrap_or(443).to_string());
        let ip: Option<IpAddr> = host.parse().ok();
        let here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        if here || self.direct.iter().any(|entry| entry.matches(&host, ip, &port)) {
            return Ok(None);
        }
        parse(&format!("the environment variable {name}"), address).map(Some)
    }
}

impl Exception {
    /// `None`: the entry names no host.
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Ok(network) = entry.parse() {
            return Some(Self::Network(network));
        }
        // An IPv6 address has colons of its own.
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if entry.parse::<IpAddr>().is_err() && !entry.ends_with(']') => {
                (host, Some(port))
            }
            _ => (entry, None),
        };
        let port = port.filter(|port| !port.is_empty()).map(ToOwned::to_owned);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse() {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        let itself = !host.starts_with('.');
        let name = host.strip_prefix('.').unwrap_or(host).to_ascii_lowercase();
        (!name.is_empty()).then(|| Self::Domain { suffix: format!(".{name}"), port, itself })
    }

    /// Whether a host is asked directly on this port. `ip` is the same host if it is an address.
    fn matches(&self, host: &str, ip: Option<IpAddr>, port: &str) -> bool {
        let same_port = |asked: &Option<String>| asked.as_ref().is_none_or(|asked| asked == port);
        match self {
            Self::All => true,
            Self::Network(network) => ip.is_some_and(|ip| network.contains(&ip)),
            Self::Address(address, asked) => ip == Some(*address) && same_port(asked),
            Self::Domain { suffix, port: asked, itself } => {
                let is_it = *itself && suffix.strip_prefix('.') == Some(host);
                (is_it || host.ends_with(suffix.as_str())) && same_port(asked)
            }
        }
    }
}

/// Reads the address of a proxy. It is not repeated in errors, because it may contain a password.
fn parse(source: &str, address: &str) -> Result<Proxy, Error> {
    let proxy = Proxy::new(address.trim())
        .map_err(|_| Error::Settings(format!("{source} must be a URL like http://host:3128")))?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        return Err(Error::Settings(format!(
            "{source} must be an http:// or https:// URL, SOCKS is not supported; proxy = \"none\" in section \
             [collateral] asks directly"
        )));
    }
    Ok(proxy)
}

#[cfg(test)]
mod tests;
