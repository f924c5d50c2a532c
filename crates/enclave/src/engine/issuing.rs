//! Issues a certificate for a certificate request.

use super::Engine;
use super::checks::{check_uid, parse_policy, serial};
use super::refusals::{self, refuse};
use crate::RELEASE_DATE;
use tcs_enclave_rpc::{ByteVec, Issue, Issued, Refusal, RefusalCode, RequestApi};
use tcs_x509::{CertificateProfile, CertificateRequest, IssuanceRequest, Usage, issue};

impl Engine {
    pub(super) fn issue_certificate(&self, request: &Issue) -> Result<Issued, Refusal> {
        check_uid(&request.issuer_uid)?;
        let profile = profile(request.request_api)?;
        let ca = self.state.ca(&request.issuer_uid).ok_or_else(refusals::not_provisioned)?;
        let usages: Result<Vec<Usage>, _> = request.usages.iter().map(|name| Usage::parse(name)).collect();
        let usages = usages.map_err(refusals::x509)?;
        let narrowing = request.policy.as_ref().map(parse_policy).transpose()?;
        let csr = CertificateRequest::from_der(&request.request).map_err(refusals::x509)?;
        let params = IssuanceRequest {
            profile,
            request: &csr,
            usages: &usages,
            lifetime: request.lifetime,
            now: request.now,
            serial: serial()?,
            earliest: RELEASE_DATE,
            fixed: ca.policy.as_ref(),
            narrowing: narrowing.as_ref(),
            is_ca: request.is_ca,
        };
        let issued = issue(&params, &ca.chain, &*ca.key).map_err(refusals::x509)?;
        let intermediates = ca.chain.intermediates().map(|above| above.der().to_vec().into());
        Ok(Issued {
            chain: std::iter::once(ByteVec::from(issued.der)).chain(intermediates).collect(),
            not_before: issued.not_before,
            not_after: issued.not_after,
            ca_fingerprint: ca.fingerprint().clone(),
            begin_refresh_at: issued.begin_refresh_at,
        })
    }
}

fn profile(request_api: RequestApi) -> Result<CertificateProfile, Refusal> {
    match request_api {
        RequestApi::KubernetesCsr => Ok(CertificateProfile::KubernetesCsr),
        RequestApi::CertManager => Ok(CertificateProfile::CertManager),
        RequestApi::PodCertificate => Ok(CertificateProfile::PodCertificate),
        _ => Err(refuse(RefusalCode::MalformedMessage, "this version does not know the request API")),
    }
}
