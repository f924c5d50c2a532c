//! Collateral: what Intel publishes about platforms (RFC 9334: endorsements and reference values).

use crate::Error;
use dcap_qvl::QuoteCollateralV3;

/// Longest collateral accepted, in bytes; real ones have 15 to 25 KiB.
pub const MAX_COLLATERAL: usize = 1024 * 1024;

/// TCB info, QE identity, both CRLs and the chains of their issuers. Nothing about it is verified before
/// [`crate::verify`] does so.
#[derive(Clone, Debug)]
pub struct Collateral {
    pub(crate) parts: QuoteCollateralV3,
}

impl Collateral {
    /// Reads the JSON form of dcap-qvl's `QuoteCollateralV3`, at most [`MAX_COLLATERAL`] bytes: chains as PEM, TCB info
    /// and QE identity as the exact signed texts, signatures and CRLs (DER) as hex.
    ///
    /// A member `pck_certificate_chain` is ignored: the quote carries its own chain, and there must be only one.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_COLLATERAL {
            return Err(Error::CollateralMalformed("longer than 1 MiB".into()));
        }
        let mut parts: QuoteCollateralV3 =
            serde_json::from_slice(json).map_err(|error| Error::CollateralMalformed(error.to_string()))?;
        parts.pck_certificate_chain = None;
        Ok(Self { parts })
    }
}
