//! Distinguished names and CRL distribution points. Phrases that a verifier looks for are in both kinds (PCK
//! leaf, TCB signer, the words Platform and Processor). In the honest kind all other words say that this is a
//! simulation; O and OU say so in both kinds.

use crate::options::{Names, PckCa};
use rcgen::string::PrintableString;
use rcgen::{CrlDistributionPoint, DistinguishedName, DnType, DnValue};

const MARK: &str = "TCS SIMULATION - NOT A TEE";

impl Names {
    /// The root's common name.
    pub(crate) fn root(self) -> &'static str {
        match self {
            Self::Honest => "TCS SIMULATION ROOT - NOT A TEE",
            Self::IntelShaped => "Intel SGX Root CA",
        }
    }

    /// The common name of the CA that issues PCK certificates.
    pub(crate) fn pck_ca(self, ca: PckCa) -> &'static str {
        match (self, ca) {
            (Self::Honest, PckCa::Platform) => "TCS Simulated PCK Platform CA",
            (Self::Honest, PckCa::Processor) => "TCS Simulated PCK Processor CA",
            (Self::IntelShaped, PckCa::Platform) => "Intel SGX PCK Platform CA",
            (Self::IntelShaped, PckCa::Processor) => "Intel SGX PCK Processor CA",
        }
    }

    /// The whole name, attributes in Intel's order.
    pub(crate) fn subject(self, common_name: &str) -> DistinguishedName {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common_name);
        match self {
            Self::Honest => {
                subject.push(DnType::OrganizationName, MARK);
                subject.push(DnType::OrganizationalUnitName, MARK);
            }
            Self::IntelShaped => {
                subject.push(DnType::OrganizationName, "Intel Corporation");
                subject.push(DnType::LocalityName, "Santa Clara");
                subject.push(DnType::StateOrProvinceName, "CA");
                // X.520 allows a country as PrintableString only.
                let country = PrintableString::try_from("US").map(DnValue::PrintableString);
                subject.push(DnType::CountryName, country.unwrap_or_else(|_| "US".into()));
            }
        }
        subject
    }

    /// The CRL distribution point of certificates that the root issued, including its own. No server exists
    /// for that of a simulated one.
    pub(crate) fn root_crl_points(self) -> Vec<CrlDistributionPoint> {
        self.points("https://certificates.trustedservices.intel.com/IntelSGXRootCA.der")
    }

    /// The CRL distribution point of a PCK certificate.
    pub(crate) fn pck_crl_points(self, ca: PckCa) -> Vec<CrlDistributionPoint> {
        self.points(match ca {
            PckCa::Platform => {
                "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der"
            }
            PckCa::Processor => {
                "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=processor&encoding=der"
            }
        })
    }

    fn points(self, uri: &str) -> Vec<CrlDistributionPoint> {
        match self {
            Self::Honest => Vec::new(),
            Self::IntelShaped => vec![CrlDistributionPoint { uris: vec![uri.to_owned()] }],
        }
    }
}
