//! The trust anchor of a verification: the root certificate in which every chain must end.

use crate::Error;
use crate::certificate::ParsedCertificate;
use crate::validity::Validity;
use aws_lc_rs::digest::{SHA384, digest};
use der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// Intel SGX Root CA, valid 2018-05-21 to 2049-12-31, SHA-256
/// 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3. Published at
/// <https://certificates.trustedservices.intel.com/IntelSGXRootCA.der>; these bytes are those that the crate
/// dcap-qvl 0.7.1 ships as `src/TrustedRootCA.der`.
const INTEL_ROOT: &[u8] = include_bytes!("intel-sgx-root-ca.der");

/// The root certificate in which every chain must end (RFC 5280, section 6.1.1: trust anchor).
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    certificate: Vec<u8>,
    /// Parsed once. `None` if it is not a certificate; then no chain ends in it.
    parsed: Option<AnchorCertificate>,
    simulated: bool,
}

/// The parts of the root certificate that the verification uses.
#[derive(Clone, Debug)]
pub(crate) struct AnchorCertificate {
    /// DER `SubjectPublicKeyInfo`.
    pub key: Vec<u8>,
    /// SHA-384 of the key itself, without ASN.1.
    pub key_id: [u8; 48],
    pub validity: Validity,
}

impl AnchorCertificate {
    fn read(der: &[u8]) -> Option<Self> {
        let ParsedCertificate { key, validity, .. } = ParsedCertificate::read(der.to_vec()).ok()?;
        let info = SubjectPublicKeyInfoRef::from_der(&key).ok()?;
        let key_id = digest(&SHA384, info.subject_public_key.raw_bytes()).as_ref().try_into().ok()?;
        Some(Self { key, key_id, validity })
    }
}

impl TrustAnchor {
    /// Intel's production root, the only one for real use. Debug enclaves are refused under it, whatever the
    /// policy says.
    #[must_use]
    pub fn intel() -> Self {
        Self {
            certificate: INTEL_ROOT.to_vec(),
            parsed: AnchorCertificate::read(INTEL_ROOT),
            simulated: false,
        }
    }

    /// The root of a simulated platform (DER): **protects nothing**. Enclaves in debug mode are accepted
    /// under it.
    ///
    /// This crate has no feature for it, so that there is only one verifier. A program calls this only in
    /// builds with its feature `simulation`, and only if two settings enable it. A certificate with Intel's
    /// key is refused, because debug enclaves would otherwise be accepted under Intel's root.
    pub fn simulated(certificate: &[u8]) -> Result<Self, Error> {
        let parsed =
            AnchorCertificate::read(certificate).ok_or(Error::TrustRootUnusable("not a DER certificate"))?;
        if AnchorCertificate::read(INTEL_ROOT).is_none_or(|intel| intel.key == parsed.key) {
            return Err(Error::TrustRootUnusable("it has the key of Intel's root"));
        }
        Ok(Self { certificate: certificate.to_vec(), parsed: Some(parsed), simulated: true })
    }

    /// True for everything but Intel's root.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulated
    }

    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    pub(crate) fn parsed(&self) -> Result<&AnchorCertificate, Error> {
        self.parsed.as_ref().ok_or(Error::TrustRootUnusable("not a DER certificate"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intels_root_is_the_published_one() {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, TrustAnchor::intel().certificate());
        assert_eq!(hex::encode(digest), "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3");
        assert!(!TrustAnchor::intel().is_simulated());
    }

    #[test]
    fn intels_root_is_never_taken_for_a_simulated_one() {
        assert_eq!(TrustAnchor::simulated(INTEL_ROOT).unwrap_err().code(), "TrustRootUnusable");
        // The same key in another certificate: one bit of the signature differs.
        let mut other = INTEL_ROOT.to_vec();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(TrustAnchor::simulated(&other).unwrap_err().code(), "TrustRootUnusable");
        assert_eq!(TrustAnchor::simulated(b"").unwrap_err().code(), "TrustRootUnusable");
    }
}
