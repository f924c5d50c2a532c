//! The parts of a platform.

use crate::certificates::Certificates;
use crate::key::Keys;
use crate::options::Options;
use zeroize::Zeroizing;

/// What the simulated processor and its quoting enclaves know, and what the simulated Intel knows about them.
pub struct PlatformParts {
    pub options: Options,
    pub keys: Keys,
    pub certificates: Certificates,
    pub sealing_secret: Zeroizing<Vec<u8>>,
}

impl PlatformParts {
    /// The certificates in a quote: PCK certificate, PCK CA, root, in PEM.
    pub fn pck_chain(&self) -> String {
        self.certificates.pck.clone() + &self.certificates.pck_crl_chain()
    }
}
