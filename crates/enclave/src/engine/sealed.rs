//! Seals CAs, and restores them after a restart.

use super::Engine;
use super::checks::check_uid;
use super::issuing_ca::{IssuingCa, check_key_matches};
use super::refusals::{self, refuse};
use crate::sealing::{Contents, SealError, Sealer};
use std::sync::Arc;
use tcs_enclave_rpc::{CaInfo, Refusal, RefusalCode, Restore, Seal, Sealed};
use tcs_x509::{CaCertificate, CaChain};

impl Engine {
    /// Offers are never sealed: a delivery that has not arrived can be requested again.
    pub(super) fn seal_ca(&self, request: &Seal) -> Result<Sealed, Refusal> {
        check_uid(&request.issuer_uid)?;
        let sealer = self.sealer()?;
        let (ca, generation) =
            self.state.current_ca(&request.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        let contents = Contents {
            key: &ca.key.to_record().map_err(refusals::internal)?,
            chain: ca.chain.delivered().map(CaCertificate::der).collect(),
            key_format: ca.key_format(),
            rules: ca.rules.clone(),
        };
        let blob = sealer.seal(&request.issuer_uid, generation, &contents).map_err(refusals::internal)?;
        Ok(Sealed { blob: blob.into(), generation })
    }

    /// Everything except the validity is checked as if the CA were new: the blob only proves who sealed it.
    /// The validity was checked when the CA was accepted, and is checked for every certificate. So a CA whose
    /// certificate has expired is restored and can be renewed, and a clock that is wrong for a while does not
    /// cost a key.
    pub(super) fn restore_ca(&self, request: &Restore) -> Result<CaInfo, Refusal> {
        check_uid(&request.issuer_uid)?;
        let opened = self.sealer()?.open(&request.issuer_uid, &request.blob).map_err(refusals::not_opened)?;
        let contents = opened.contents().ok_or_else(|| refusals::not_opened(SealError::Invalid))?;
        let chain = CaChain::from_accepted(&contents.chain).map_err(refusals::x509)?;
        let key = self.keys.restore_ca_key(contents.key).map_err(refusals::key)?;
        check_key_matches(&*key, &chain)?;
        let ca = Arc::new(IssuingCa::new(key, chain, contents.key_format, contents.rules)?);
        let restored = self.state.install_restored(&request.issuer_uid, Arc::clone(&ca), opened.generation);
        Ok(ca.info(restored.map_err(refusals::not_installed)?))
    }

    fn sealer(&self) -> Result<&Sealer, Refusal> {
        self.sealer.as_ref().ok_or_else(|| refuse(RefusalCode::NoSealing, "the platform cannot seal"))
    }
}
