//! Passes each request to the part of the engine that answers it, and describes the enclave.

use super::Engine;
use super::checks::{check_uid, parse_policy};
use super::refusals::refuse;
use crate::VERSION;
use crate::platform::Assurance;
use tcs_enclave_rpc::{
    Handler, Health, HealthReport, Identity, IssuerState, Refusal, RefusalCode, Request, Response,
};

impl Handler for Engine {
    fn handle(&self, request: Request) -> Response {
        self.answer(&request).unwrap_or_else(Response::Refused)
    }
}

impl Engine {
    fn answer(&self, request: &Request) -> Result<Response, Refusal> {
        match request {
            Request::Identity => Ok(Response::Identity(self.identity())),
            Request::BeginProvisioning(begin) => self.begin_provisioning(begin).map(Response::Offer),
            Request::CompleteProvisioning(complete) => {
                self.complete_provisioning(complete).map(Response::Provisioned)
            }
            Request::Issue(issue) => self.issue_certificate(issue).map(Response::Issued),
            Request::Destroy(destroy) => {
                check_uid(&destroy.issuer_uid)?;
                self.state.destroy(&destroy.issuer_uid);
                Ok(Response::Destroyed)
            }
            Request::Health(health) => self.report_health(health).map(Response::Health),
            Request::GenerateCa(generate) => self.generate_ca(generate).map(Response::Provisioned),
            Request::Seal(seal) => self.seal_ca(seal).map(Response::Sealed),
            Request::Restore(restore) => self.restore_ca(restore).map(Response::Provisioned),
            Request::RenewCa(renew) => self.renew_ca(renew).map(Response::Provisioned),
            Request::CheckPolicy(policy) => parse_policy(policy).map(|_| Response::PolicyReadable),
            _ => Err(refuse(RefusalCode::MalformedMessage, "this version does not know the request")),
        }
    }

    fn identity(&self) -> Identity {
        let assurance = self.platform.assurance();
        Identity {
            boot_id: self.boot_id.to_vec().into(),
            version: VERSION.to_owned(),
            platform: self.platform.name().to_owned(),
            simulated: assurance == Assurance::Simulated,
            evidence_kind: self.platform.evidence_kind().to_owned(),
            assurance: assurance.as_str().to_owned(),
            sealing: self.sealer.is_some(),
        }
    }

    fn report_health(&self, request: &Health) -> Result<HealthReport, Refusal> {
        let only = request.issuer_uid.as_deref();
        if let Some(uid) = only {
            check_uid(uid)?;
        }
        let mut issuers = Vec::new();
        self.state.visit(only, |uid, held| {
            let offer = held.and_then(|held| held.offer.as_ref());
            let ca = held.and_then(|held| Some((held.ca.as_ref()?, held.generation)));
            issuers.push(IssuerState {
                issuer_uid: uid.to_owned(),
                offer_id: offer.map(|open| open.offer.id.to_vec().into()),
                ca_fingerprint: ca.map(|(ca, _)| ca.fingerprint().clone()),
                ca: ca.filter(|_| only.is_some()).map(|(ca, generation)| ca.info(generation)),
            });
        });
        Ok(HealthReport {
            boot_id: self.boot_id.to_vec().into(),
            issuers,
            overdue_offers: self.offers.overdue(),
            overdue_ca_keys: self.ca_keys.overdue(),
        })
    }
}
