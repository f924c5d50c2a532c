//! One GET request: https, limited in time and size, no redirects.

use super::error::{Error, FetchError};
use crate::files::read_limited;
use secrecy::{ExposeSecret as _, SecretString};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

/// Maximum length of a body, in bytes; real ones have at most 30 KiB.
const MAX_BODY: u64 = 1024 * 1024;
/// Maximum length of a file with CA certificates or an API key, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Header of Intel's PCS for the subscription key.
const API_KEY: &str = "Ocp-Apim-Subscription-Key";

/// Sends requests to services.
pub struct Client {
    agent: Agent,
    api_key: Option<SecretString>,
}

/// A response with status 200.
pub struct Response {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// `ca_file`: PEM certificates that replace those of the system. `proxy`: `none` ignores the
    /// environment's proxies.
    pub fn new(
        timeout: Duration,
        ca_file: Option<&Path>,
        api_key_file: Option<&Path>,
        proxy: Option<&str>,
    ) -> Result<Self, Error> {
        let roots = match ca_file {
            Some(path) => own_roots(path)?,
            None => system_roots(),
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let proxy = match proxy {
            None => Proxy::try_from_env(),
            Some("none") => None,
            Some(url) => {
                let proxy = Proxy::new(url);
                Some(proxy.map_err(|_| Error::Settings("proxy must be a URL like http://host:3128".into()))?)
            }
        };
        if proxy.as_ref().is_some_and(|proxy| {
            !matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https)
        }) {
            return Err(Error::Settings(
                "the proxy (setting or environment) must be http:// or https://, SOCKS is not supported; proxy = \"none\" asks directly".into(),
            ));
        }
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("km-attest/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), api_key: api_key_file.map(read_key).transpose()? })
    }

    /// Sends one request. `with_key` adds the subscription key, which only the service to which it belongs
    /// may receive.
    pub fn get(&self, url: &str, with_key: bool) -> Result<Response, Error> {
        let mut request = self.agent.get(url);
        if let Some(key) = self.api_key.as_ref().filter(|_| with_key) {
            request = request.header(API_KEY, key.expose_secret());
        }
        let mut response = request.call().map_err(|error| classify(url, &error))?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            let kind = match response.status() {
                StatusCode::NOT_FOUND | StatusCode::GONE => FetchError::NotFound,
                _ => FetchError::Status(status),
            };
            return Err(Error::Fetch { kind, url: url.to_owned(), cause: format!("HTTP status {status}") });
        }
        let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec();
        let body = body.map_err(|error| classify(url, &error))?;
        Ok(Response { headers: response.headers().clone(), body })
    }
}

/// Refuses addresses without TLS, except on this machine, and addresses that contain credentials.
pub fn check_address(url: &str) -> Result<(), Error> {
    if url.contains('@') {
        // The address is not repeated, because it may contain a password.
        return Err(Error::Settings("an address contains a user name or password".into()));
    }
    let refused = |why: &str| Err(Error::Settings(format!("the address {url:?} {why}")));
    let Ok(uri) = url.parse::<Uri>() else { return refused("is not one") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return refused("needs https:// and a host");
    };
    if uri.query().is_some() {
        return refused("must not have a query");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if here => Ok(()),
        _ => refused("is not https"),
    }
}

/// Whether another attempt may help.
pub fn is_transient(error: &Error) -> bool {
    match error {
        Error::Fetch { kind: FetchError::Timeout | FetchError::Connect | FetchError::Truncated, .. } => true,
        Error::Fetch { kind: FetchError::Status(status), .. } => matches!(status, 429 | 500..=599),
        _ => false,
    }
}

fn classify(url: &str, error: &ureq::Error) -> Error {
    let kind = match error {
        ureq::Error::Timeout(_) => FetchError::Timeout,
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::InvalidProxyUrl => FetchError::Connect,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => FetchError::Tls,
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLong,
        ureq::Error::Io(cause) => match cause.kind() {
            _ if cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) => {
                FetchError::Tls
            }
            ErrorKind::UnexpectedEof => FetchError::Truncated,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => FetchError::Timeout,
            _ => FetchError::Connect,
        },
        _ => FetchError::Malformed,
    };
    let cause = match kind {
        FetchError::Timeout => "no response in time".into(),
        FetchError::TooLong => "the response is longer than 1 MiB".into(),
        FetchError::Truncated => "the response ended early".into(),
        _ => error.to_string(),
    };
    Error::Fetch { kind, url: url.to_owned(), cause }
}

/// The system's trust store. Certificates that cannot be read are left out, which can only shorten the list
/// of roots.
fn system_roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs();
    found.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
}

fn own_roots(path: &Path) -> Result<RootCerts, Error> {
    let pem = read(path)?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::Settings(format!("ca_file {} contains no PEM certificate", path.display())));
    }
    Ok(certificates.into())
}

fn read_key(path: &Path) -> Result<SecretString, Error> {
    let bytes = zeroize::Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.into()),
        _ => Err(Error::Settings(format!("api_key_file {} contains no key", path.display()))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    read_limited(path, MAX_FILE)
        .map_err(|cause| Error::Unreadable { path: path.to_owned(), cause: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_leaves_this_machine() {
        for good in [
            "https://a",
            "https://a:8081/x",
            "http://127.0.0.1:1",
            "http://[::1]:1/",
            "http://localhost:8081",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for wrong in [
            "http://a",
            "http://127.0.0.1.example",
            "ftp://a",
            "a",
            "",
            "https://",
            "https://a/?b",
            "file:///a",
        ] {
            assert_eq!(check_address(wrong).unwrap_err().code(), "CollateralSettings", "{wrong}");
        }
        for url in ["https://user:hunter2@a", "user:hunter2@a:8081", "https://user:hunter2{w@a"] {
            let secret = check_address(url).unwrap_err();
            assert!(!secret.to_string().contains("hunter2"), "{secret}");
        }
    }
}
