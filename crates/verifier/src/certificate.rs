//! Certificate chains as a quote and its collateral carry them.

use der::Decode;
use x509_cert::Certificate;

/// A certificate with the bytes that it was read from.
#[derive(Clone, Debug)]
pub struct Certified {
    pub der: Vec<u8>,
    pub certificate: Certificate,
}

/// Which of Intel's CAs certified a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PckCa {
    /// Single-package platforms.
    Processor,
    /// Platforms of several packages; their certificates name the platform instance.
    Platform,
}

impl PckCa {
    /// `processor` or `platform`, as in the addresses of PCS and PCCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Platform => "platform",
        }
    }

    /// By the name of the issuer of a PCK certificate.
    pub(crate) fn of(leaf: &Certificate) -> Option<Self> {
        let issuer = leaf.tbs_certificate().issuer().common_name().ok().flatten()?;
        match (issuer.value().contains("Processor CA"), issuer.value().contains("Platform CA")) {
            (true, false) => Some(Self::Processor),
            (false, true) => Some(Self::Platform),
            _ => None,
        }
    }
}

/// Reads a PEM chain, leaf first, with the PEM reader that dcap-qvl uses.
pub fn read_chain(text: &[u8]) -> Result<Vec<Certified>, String> {
    let blocks = pem::parse_many(text).map_err(|error| format!("a certificate chain: {error}"))?;
    let read = |block: pem::Pem| {
        let der = block.into_contents();
        let certificate = Certificate::from_der(&der).map_err(|error| format!("a certificate: {error}"))?;
        Ok(Certified { der, certificate })
    };
    blocks.into_iter().map(read).collect()
}

/// Reads a chain of exactly `LEN` certificates (Q8).
pub fn read_chain_of<const LEN: usize>(text: &[u8]) -> Result<[Certified; LEN], String> {
    let chain = read_chain(text)?;
    let found = chain.len();
    chain.try_into().map_err(|_| format!("a certificate chain of {found} certificates, not {LEN}"))
}

/// Whether the subject's common name is this one.
pub fn is_named(leaf: &Certificate, name: &str) -> bool {
    let found = leaf.tbs_certificate().subject().common_name().ok().flatten();
    found.is_some_and(|found| found.value() == name)
}
