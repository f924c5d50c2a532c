//! What a CA issues: a leaf certificate or, if that was fixed when the CA was made, a CA certificate.
//!
//! The rules are those of docs/conformance.md, B05 to B08, A15 to A18 and X02.

mod check;
mod request;
mod tbs;

pub use check::{check_tbs, verify_issued};
pub use request::{IssuanceRequest, IssuedCertificate};
pub use tbs::{MAX_TBS, Tbs, assemble};

use crate::{CaChain, Error, Signer};

/// Builds the certificate, checks the final bytes, has them signed, assembles both, and verifies the
/// signature.
pub fn issue(
    params: &IssuanceRequest<'_>,
    ca: &CaChain,
    signer: &dyn Signer,
) -> Result<IssuedCertificate, Error> {
    let tbs = Tbs::build(params, ca)?;
    check_tbs(&tbs, params, ca)?;
    let signature = signer.sign(tbs.der())?;
    let der = assemble(&tbs, ca, &signature)?;
    verify_issued(&der, &tbs, ca)?;
    let (not_before, not_after) = (tbs.validity().not_before, tbs.validity().not_after);
    let begin_refresh_at = params.profile.begin_refresh(not_before, not_after);
    Ok(IssuedCertificate { der, not_before, not_after, begin_refresh_at })
}

#[cfg(test)]
mod tests;
