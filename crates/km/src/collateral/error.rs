//! Why there is no collateral.

use crate::advice;
use crate::exit::Exit;
use std::borrow::Cow;
use std::path::PathBuf;

/// Why there is no collateral. Texts contain addresses and file names, never an API key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The section `[collateral]` has a mistake.
    #[error("mistake in the collateral settings: {0}")]
    Settings(String),
    /// A file that the settings name cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// A file that the settings name, or the bundle, cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        cause: String,
    },
    /// The file does not contain collateral.
    #[error("{0}")]
    Refused(tcs_verifier::Error),
    /// The settings of the quote provider library cannot be used.
    #[error("{} is not what the quote provider library would read: {cause}", path.display())]
    QcnlMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The settings of the quote provider library turn off the verification of the server's certificate.
    #[error("{} turns off the verification of the server's certificate (use_secure_cert)", path.display())]
    QcnlInsecure {
        /// The file.
        path: PathBuf,
    },
    /// The service could not be reached, or its response cannot be used.
    #[error("cannot get collateral from {url}: {cause}")]
    Fetch {
        /// What kind of failure.
        kind: FetchError,
        /// The address.
        url: String,
        /// What happened.
        cause: String,
    },
    /// The collateral is genuine, but older than collateral that was seen before.
    #[error("the collateral is older than some that was seen before: its {number} is {found}, and {seen} was seen ({})", path.display())]
    Rollback {
        /// The name of the number.
        number: &'static str,
        /// The number of this collateral.
        found: u32,
        /// The highest number that was seen.
        seen: u32,
        /// The state file.
        path: PathBuf,
    },
    /// The state file cannot be used.
    #[error("cannot use the state file {}: {cause}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// What kind of failure a fetch had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The service does not know the platform (404, 410, and 461 of a PCCS).
    NotFound,
    /// Any other HTTP status than 200. A redirect is one; it is not followed.
    Status(u16),
    /// No response in time.
    Timeout,
    /// No connection.
    Connect,
    /// The server's certificate cannot be verified, or TLS failed otherwise.
    Tls,
    /// The server presents a certificate of a CA as its own, which no setting makes acceptable.
    TlsServerIsCa,
    /// The server's certificate names another host, or none.
    TlsOtherName,
    /// The response ended early.
    Truncated,
    /// The response is longer than 1 MiB.
    TooLong,
    /// The response is not collateral.
    Malformed,
}

impl Error {
    /// The stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "CollateralSettings",
            Self::Unreadable { .. } => "CollateralUnreadable",
            Self::Unwritable { .. } => "CollateralUnwritable",
            Self::Refused(error) => error.code(),
            Self::QcnlMalformed { .. } => "QcnlMalformed",
            Self::QcnlInsecure { .. } => "QcnlInsecure",
            Self::Fetch { kind, .. } => match kind {
                FetchError::NotFound => "CollateralNotFound",
                FetchError::Status(_) => "CollateralServerError",
                FetchError::Timeout => "CollateralTimeout",
                FetchError::Connect => "CollateralConnect",
                FetchError::Tls | FetchError::TlsServerIsCa | FetchError::TlsOtherName => "CollateralTls",
                FetchError::Truncated => "CollateralTruncated",
                FetchError::TooLong => "CollateralTooLong",
                FetchError::Malformed => "CollateralResponseMalformed",
            },
            Self::Rollback { .. } => "CollateralRollback",
            Self::State { .. } => "CollateralState",
        }
    }

    /// The class of the exit status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Settings(_) => Exit::Usage,
            Self::Unwritable { .. } => Exit::Other,
            _ => Exit::Collateral,
        }
    }

    /// What to do about it, including how to proceed without a network.
    #[must_use]
    pub fn advice(&self) -> Cow<'static, str> {
        /// Advice that ends with how to proceed without a network.
        macro_rules! offline {
            ($first:literal) => {
                concat!(
                    $first,
                    "; without a network: km-attest collateral fetch --quote FILE --out FILE on a machine \
                     that has one, then --collateral FILE here"
                )
            };
        }
        let text = match self {
            Self::Refused(error) => return advice::for_refusal(error),
            Self::Settings(_) => {
                "correct section [collateral] of the policy file; docs/collateral.md lists its keys"
            }
            Self::Unreadable { .. } => {
                "check the file names in section [collateral] of the policy file, or --collateral"
            }
            Self::Unwritable { .. } => "check that the directory exists and can be written",
            Self::QcnlMalformed { .. } => "name the service in pccs_url or pcs_url instead",
            Self::QcnlInsecure { .. } => "name a file with the certificate of the CA of the PCCS in ca_file",
            Self::Fetch { kind, .. } => match kind {
                FetchError::NotFound => {
                    offline!("register the platform with this service, or use another service")
                }
                FetchError::Status(_) => offline!("contact whoever runs the service"),
                FetchError::Timeout => {
                    offline!("check the network and the proxy, or give more timeout_seconds")
                }
                FetchError::Connect => offline!("check the address, the network and the proxy"),
                FetchError::Tls => {
                    offline!("if the service has a certificate of your own CA, name that CA in ca_file")
                }
                FetchError::TlsServerIsCa => {
                    offline!(
                        "naming it in ca_file is not enough: give the server a certificate that is not a CA's \
                         (CA:FALSE, with the host in subjectAltName), self-signed or issued by that CA, and name \
                         that certificate or its CA in ca_file"
                    )
                }
                FetchError::TlsOtherName => {
                    offline!(
                        "use the host that the certificate names, or give the server a certificate with this \
                         host in subjectAltName; naming it in ca_file is not enough"
                    )
                }
                FetchError::Truncated | FetchError::TooLong | FetchError::Malformed => {
                    offline!("check that this is the address of a PCCS or PCS of version 4")
                }
            },
            Self::Rollback { .. } => {
                "get current collateral; if a cache between here and Intel is out of date, refresh it. Somebody may \
                 be hiding a revocation. If only an evaluation number is lower, the supplier may once have given \
                 out Intel's early collateral as standard: docs/collateral.md, section \"Roll-back\", says how to \
                 find out and what to do"
            }
            Self::State { .. } => {
                "restore the file; if you remove it, the next collateral is accepted without the numbers \
                 seen before"
            }
        };
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    /// The page that the advice names has every code of this file and every key of the settings.
    #[test]
    fn every_code_and_key_is_documented() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/collateral.md");
        let page = std::fs::read_to_string(page).unwrap();
        let source = include_str!("error.rs");
        let codes = source.split("fn code(").nth(1).unwrap().split("fn exit(").next().unwrap();
        let codes: Vec<&str> =
            codes.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(codes.len(), 15);
        let error = toml::from_str::<crate::collateral::Settings>("nonsense = 1").unwrap_err();
        let keys: Vec<&str> =
            error.message().split("expected").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert_eq!(keys.len(), 14);
        for word in codes.into_iter().chain(keys) {
            assert!(page.contains(&format!("`{word}`")), "docs/collateral.md does not name {word}");
        }
    }
}
