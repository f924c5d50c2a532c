//! From a certificate request to a certificate.

use super::{Ca, Engine, refusals, refuse};
use crate::{RELEASE_DATE, keys};
use tcs_enclave_rpc::{ByteVec, Issue, Issued, Refusal, RefusalCode, RequestApi};
use tcs_x509::{CertificateProfile, CertificateRequest, IssuanceRequest, Usage, issue};

impl Engine {
    pub(super) fn issue_leaf(&self, ask: &Issue) -> Result<Issued, Refusal> {
        super::check_uid(&ask.issuer_uid)?;
        let profile = match ask.request_api {
            RequestApi::KubernetesCsr => CertificateProfile::KubernetesCsr,
            RequestApi::CertManager => CertificateProfile::CertManager,
            RequestApi::PodCertificate => CertificateProfile::PodCertificate,
            _ => {
                return Err(refuse(
                    RefusalCode::MalformedMessage,
                    "this version does not know the request API",
                ));
            }
        };
        let ca = self.state.ca(&ask.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        let usages: Result<Vec<Usage>, _> = ask.usages.iter().map(|name| Usage::parse(name)).collect();
        let usages = usages.map_err(refusals::x509)?;
        let narrowing = ask.policy.as_ref().map(super::policy).transpose()?;
        let request = CertificateRequest::from_der(&ask.request).map_err(refusals::x509)?;
        let leaf = IssuanceRequest {
            profile,
            request: &request,
            usages: &usages,
            lifetime: ask.lifetime,
            now: ask.now,
            serial: serial()?,
            earliest: RELEASE_DATE,
            fixed: ca.policy.as_ref(),
            narrowing: narrowing.as_ref(),
            is_ca: ask.is_ca,
        };
        let leaf = issue(&leaf, &ca.chain, &*ca.key).map_err(refusals::x509)?;
        Ok(Issued {
            chain: std::iter::once(ByteVec::from(leaf.der)).chain(intermediates(&ca)).collect(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            ca_fingerprint: ca.info.fingerprint.clone(),
            begin_refresh_at: leaf.begin_refresh_at,
        })
    }
}

/// 128 random bits, never zero (conformance B8).
pub(super) fn serial() -> Result<[u8; 16], Refusal> {
    loop {
        let serial = keys::random().map_err(refusals::internal)?;
        if serial != [0; 16] {
            return Ok(serial);
        }
    }
}

/// Never the self-signed root (conformance B4).
fn intermediates(ca: &Ca) -> impl Iterator<Item = ByteVec> {
    ca.chain.chain().filter(|above| !above.is_self_issued()).map(|above| above.der().to_vec().into())
}
