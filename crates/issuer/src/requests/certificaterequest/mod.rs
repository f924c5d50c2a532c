//! The request API of cert-manager: `CertificateRequest` in `cert-manager.io/v1`. It is served while the API
//! server knows the kind.

mod object;
mod status;

pub use object::{CertificateRequest, Condition, IssuerRef, Spec, Status};

use super::status_write::StatusWrite;
use super::{Certificate, Failure, ParsedRequest, Progress, RequestKind, Triage, go_duration};
use crate::access::requester::Requester;
use crate::base64_text;
use crate::runtime::guarded::Guarded;
use jiff::Timestamp;
use kube::{Api, Client};
use tcs_api::signer::{self, SignerName};
use tcs_api::{GROUP, reasons};
use tcs_enclave_rpc::{RefusalCode, RequestApi};

/// Maximum length of `spec.request` when it is decoded, in bytes. An object of Kubernetes is smaller.
const MAX_PEM: usize = 2 * 1024 * 1024;

impl RequestKind for CertificateRequest {
    const API: RequestApi = RequestApi::CertManager;
    const SHOWS_PROGRESS: bool = true;

    fn api(client: Client) -> Api<Guarded<Self>> {
        Api::all(client)
    }

    fn signer(&self) -> Option<SignerName> {
        let namespace = self.metadata.namespace.as_deref()?;
        let IssuerRef { name, .. } = &self.spec.issuer_ref;
        let name = match self.issuer_kind()? {
            IssuerKind::Namespaced => signer::signer_name(namespace, name),
            IssuerKind::Cluster => signer::cluster_signer_name(name),
        };
        SignerName::parse(&name)
    }

    /// A request names an issuer of its own namespace, which is for everybody who may make requests there, or
    /// a cluster issuer, which is for everybody.
    fn requester(&self) -> Option<Requester<'_>> {
        None
    }

    fn memory(&self) -> usize {
        object::size(self)
    }

    /// `docs/conformance.md`, A01 to A04. Whoever is denied is never approved, whatever else is there.
    fn triage(&self) -> Triage {
        let Status { is_approved, is_denied, .. } = self.status;
        if self.issuer_kind().is_none() || self.status.is_final() || !(is_approved || is_denied) {
            return Triage::Ignore;
        }
        if is_denied {
            return Triage::Refuse(Failure {
                reason: reasons::DENIED,
                message: "The CertificateRequest was denied by an approval controller".to_owned(),
                remedy: None,
                is_invalid: false,
            });
        }
        let refuse = |why: &str| Triage::Refuse(Failure::new(RefusalCode::RequestMalformed, why.to_owned()));
        // An approval covers what the approver saw. cert-manager's webhook forbids changes of the spec, and
        // nothing else does.
        if self.metadata.generation.is_some_and(|generation| generation > 1) {
            return refuse("its spec was changed after it was created");
        }
        match self.signer() {
            Some(signer) => Triage::Sign(signer),
            None => refuse("spec.issuerRef.name is not a name that an issuer can have"),
        }
    }

    fn parse(&self) -> Result<ParsedRequest, Failure> {
        let Spec { request, usages, duration, is_ca, .. } = &self.spec;
        let malformed = |message| Failure::new(RefusalCode::RequestMalformed, message);
        let pem = base64_text::decode(request.as_bytes(), MAX_PEM);
        let pem =
            pem.ok_or_else(|| malformed("spec.request is not base64 text, or is too long".to_owned()))?;
        let csr = tcs_pem::certificate_request(&pem).map_err(|error| malformed(error.to_string()))?;
        let lifetime = duration.as_deref().map(lifetime).transpose()?;
        let usages = usages.clone().unwrap_or_default();
        Ok(ParsedRequest { csr, usages, lifetime, is_ca: is_ca.unwrap_or(false) })
    }

    fn issued(&self, certificate: Certificate, now: Timestamp) -> serde_json::Result<StatusWrite> {
        status::issued(self, certificate, now)
    }

    fn failed(&self, failure: &Failure, now: Timestamp) -> serde_json::Result<StatusWrite> {
        status::failed(self, failure, now)
    }

    fn in_progress(&self, progress: Progress<'_>, now: Timestamp) -> serde_json::Result<Option<StatusWrite>> {
        status::in_progress(self, progress, now)
    }

    /// The condition `Ready`, unless an approver denied the request: that must never be missed.
    fn own_status(&self) -> Option<u64> {
        (!self.status.is_denied).then(|| self.status.hash_of_ready())
    }

    fn failure_event(failure: &Failure) -> (&'static str, String) {
        if failure.reason == reasons::DENIED {
            return (reasons::DENIED, failure.message.clone());
        }
        (reasons::PERMANENT_ERROR, status::failure_message(failure))
    }
}

/// A kind of issuer of this service.
enum IssuerKind {
    Namespaced,
    Cluster,
}

impl CertificateRequest {
    /// The kind of the issuer; `None` if it is not one of this service (`docs/conformance.md`, A01).
    fn issuer_kind(&self) -> Option<IssuerKind> {
        let IssuerRef { kind, group, .. } = &self.spec.issuer_ref;
        match (group.as_deref()?, kind.as_deref().unwrap_or_default()) {
            (GROUP, "" | "TCSIssuer") => Some(IssuerKind::Namespaced),
            (GROUP, "TCSClusterIssuer") => Some(IssuerKind::Cluster),
            _ => None,
        }
    }
}

/// A requested lifetime in seconds (`docs/conformance.md`, A15). A negative one becomes 0, which is below the
/// shortest lifetime, so that the enclave refuses it.
fn lifetime(duration: &str) -> Result<u64, Failure> {
    let nanoseconds = go_duration::parse(duration).ok_or_else(|| {
        let message =
            "spec.duration is not a duration of Go such as 2160h or 1h30m (units ns, us, ms, s, m and h)";
        Failure::new(RefusalCode::LifetimeInvalid, message.to_owned())
    })?;
    Ok(u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0))
}

#[cfg(test)]
mod tests;
