//! One GET request: https, limited in time and size, no redirects.

use super::error::{Error, FetchError};
use super::proxy::Proxies;
use crate::files::read_limited;
use secrecy::{ExposeSecret as _, SecretString};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Maximum length of a body, in bytes; real ones have at most 30 KiB.
const MAX_BODY: u64 = 1024 * 1024;
/// Maximum length of a file with CA certificates or an API key, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Status of Intel's PCCS for a platform that it does not know (`PCCS_STATUS_PLATFORM_UNKNOWN`).
const PLATFORM_UNKNOWN: u16 = 461;
/// Header of Intel's PCS for the subscription key.
const API_KEY: &str = "Ocp-Apim-Subscription-Key";

/// Sends requests to services.
pub struct Client {
    agent: Agent,
    proxies: Proxies,
    api_key: Option<SecretString>,
}

/// A response with status 200.
pub struct Response {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// `ca_file`: PEM certificates that replace those of the system. `proxy`: `none` ignores the
    /// environment's proxies, and any other value replaces them.
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
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("km-attest/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            proxies: Proxies::new(proxy)?,
            api_key: api_key_file.map(read_key).transpose()?,
        })
    }

    /// Sends one request. `with_key` adds the subscription key, which only the service to which it belongs
    /// may receive.
    pub fn get(&self, url: &str, with_key: bool) -> Result<Response, Error> {
        let mut request = self.agent.get(url).config().proxy(self.proxies.of(url)?).build();
        if let Some(key) = self.api_key.as_ref().filter(|_| with_key) {
            request = request.header(API_KEY, key.expose_secret());
        }
        let mut response = request.call().map_err(|error| classify(url, &error))?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            let kind = match response.status() {
                StatusCode::NOT_FOUND | StatusCode::GONE => FetchError::NotFound,
                _ if status == PLATFORM_UNKNOWN => FetchError::NotFound,
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
        ureq::Error::Tls(_) | ureq::Error::Pem(_) => FetchError::Tls,
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLong,
        ureq::Error::Rustls(cause) => tls_failure(cause),
        ureq::Error::Io(cause) => {
            match (cause.get_ref().and_then(|inner| inner.downcast_ref()), cause.kind()) {
                (Some(inner), _) => tls_failure(inner),
                (None, ErrorKind::UnexpectedEof) => FetchError::Truncated,
                (None, ErrorKind::TimedOut | ErrorKind::WouldBlock) => FetchError::Timeout,
                (None, _) => FetchError::Connect,
            }
        }
        _ => FetchError::Malformed,
    };
    let cause = match kind {
        FetchError::Timeout => "no response in time".into(),
        FetchError::TooLong => "the response is longer than 1 MiB".into(),
        FetchError::Truncated => "the response ended early".into(),
        FetchError::TlsServerIsCa => {
            "the certificate that the server presents as its own is that of a CA (basicConstraints CA:TRUE)"
                .into()
        }
        FetchError::TlsOtherName => {
            "the server's certificate does not name this host in its subjectAltName".into()
        }
        _ => error.to_string(),
    };
    Error::Fetch { kind, url: url.to_owned(), cause }
}

/// What is wrong with the server's certificate, if advice about it can help.
fn tls_failure(error: &rustls::Error) -> FetchError {
    let rustls::Error::InvalidCertificate(cause) = error else { return FetchError::Tls };
    match cause {
        rustls::CertificateError::NotValidForName
        | rustls::CertificateError::NotValidForNameContext { .. } => FetchError::TlsOtherName,
        rustls::CertificateError::Other(other)
            if matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            FetchError::TlsServerIsCa
        }
        _ => FetchError::Tls,
    }
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
