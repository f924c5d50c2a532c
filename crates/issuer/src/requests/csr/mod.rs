//! The request API of Kubernetes itself: `CertificateSigningRequest` in `certificates.k8s.io/v1`.

mod object;
mod size;

pub use object::{CsrCondition, CsrStatus, KubernetesCsr};

use super::status_write::StatusWrite;
use super::{Certificate, Failure, ParsedRequest, RequestKind, Triage, go_duration};
use crate::access::requester::Requester;
use crate::runtime::guarded::Guarded;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::{Api, Client, ResourceExt as _};
use size::size;
use tcs_api::annotations;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{RefusalCode, RequestApi};

impl RequestKind for KubernetesCsr {
    const API: RequestApi = RequestApi::KubernetesCsr;

    fn api(client: Client) -> Api<Guarded<Self>> {
        Api::all(client)
    }

    fn signer(&self) -> Option<SignerName> {
        SignerName::parse(&self.spec.signer_name)
    }

    fn requester(&self) -> Option<Requester<'_>> {
        let spec = &self.spec;
        Some(Requester {
            username: spec.username.as_deref().unwrap_or_default(),
            uid: spec.uid.as_deref().unwrap_or_default(),
            groups: spec.groups.as_deref().unwrap_or_default(),
            extra: spec.extra.as_ref(),
        })
    }

    fn memory(&self) -> usize {
        size(self)
    }

    /// Only an approved request without a result is signed (`docs/conformance.md`, B02).
    fn triage(&self) -> Triage {
        let Some(signer) = self.signer() else { return Triage::Ignore };
        let status = self.status.as_ref();
        let has = |kind: &str| {
            let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
            conditions.iter().any(|condition| condition.type_ == kind)
        };
        let issued = status.and_then(|status| status.certificate.as_ref()).is_some_and(|c| !c.0.is_empty());
        if issued || has("Denied") || has("Failed") || !has("Approved") {
            return Triage::Ignore;
        }
        Triage::Sign(signer)
    }

    fn parse(&self) -> Result<ParsedRequest, Failure> {
        let csr = tcs_pem::certificate_request(&self.spec.request.0)
            .map_err(|error| Failure::new(RefusalCode::RequestMalformed, error.to_string()))?;
        let lifetime =
            lifetime(self).map_err(|message| Failure::new(RefusalCode::LifetimeInvalid, message))?;
        let usages = self.spec.usages.clone().unwrap_or_default();
        Ok(ParsedRequest { csr, usages, lifetime, is_ca: is_for_ca(self) })
    }

    fn issued(&self, certificate: Certificate, _: Timestamp) -> serde_json::Result<StatusWrite> {
        StatusWrite::replace(&self.with_certificate(certificate.pem))
    }

    fn failed(&self, failure: &Failure, now: Timestamp) -> serde_json::Result<StatusWrite> {
        StatusWrite::replace(&self.with_failure(failure.reason, &failure.in_full(), now))
    }
}

/// Everything else stays as it was read, in particular the resourceVersion: a PUT of the object can only
/// change the very object that was checked.
impl KubernetesCsr {
    fn with_certificate(&self, pem: String) -> Self {
        let mut issued = self.clone();
        issued.status.get_or_insert_default().certificate = Some(ByteString(pem.into_bytes()));
        issued
    }

    fn with_failure(&self, reason: &str, message: &str, now: Timestamp) -> Self {
        let mut failed = self.clone();
        let status = failed.status.get_or_insert_default();
        let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        status.conditions.get_or_insert_default().push(CsrCondition {
            type_: "Failed".into(),
            status: "True".into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_update_time: Some(now.clone()),
            last_transition_time: Some(now),
        });
        failed
    }
}

/// The requested lifetime in seconds: the shorter of cert-manager's annotation and `spec.expirationSeconds`.
///
/// In cert-manager the annotation takes precedence (`docs/conformance.md`, B05). But an annotation can be
/// changed after the approval, and `kubectl get csr` shows the field.
///
/// # Errors
///
/// A sentence if the annotation is not a duration.
fn lifetime(request: &KubernetesCsr) -> Result<Option<u64>, String> {
    // A negative number becomes 0, which is below the shortest lifetime, so that the enclave refuses it.
    let field = request.spec.expiration_seconds.map(|seconds| u64::try_from(seconds).unwrap_or(0));
    let Some(text) = request.annotations().get(annotations::REQUEST_DURATION) else { return Ok(field) };
    let nanoseconds = go_duration::parse(text).ok_or_else(|| {
        format!(
            "the annotation {} is not a duration of Go such as 2160h or 1h30m (units ns, us, ms, s, m and h)",
            annotations::REQUEST_DURATION
        )
    })?;
    let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or(0);
    Ok(Some(field.map_or(seconds, |field| field.min(seconds))))
}

/// Whether a CA certificate is requested: only cert-manager's annotation can do that (`docs/conformance.md`,
/// B07).
fn is_for_ca(request: &KubernetesCsr) -> bool {
    request.annotations().get(annotations::REQUEST_IS_CA).is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::certificates::v1::CertificateSigningRequestSpec;

    fn request(signer: &str, conditions: &[&str], certificate: Option<&[u8]>) -> KubernetesCsr {
        let conditions = conditions.iter().map(|kind| CsrCondition {
            type_: (*kind).into(),
            status: "True".into(),
            ..CsrCondition::default()
        });
        KubernetesCsr {
            spec: CertificateSigningRequestSpec { signer_name: signer.into(), ..Default::default() },
            status: Some(CsrStatus {
                conditions: Some(conditions.collect()),
                certificate: certificate.map(|bytes| ByteString(bytes.to_vec())),
            }),
            ..KubernetesCsr::default()
        }
    }

    const OURS: &str = "tcsissuer.tcs.intel.com/sandbox.external-ca";

    /// RBAC reads neither the UID nor the extra fields, so no test on the API server would miss them.
    #[test]
    fn b01_the_requester_is_all_that_the_api_server_recorded() {
        let mut csr = request(OURS, &["Approved"], None);
        let extra = std::collections::BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]);
        csr.spec.username = Some("alice".into());
        csr.spec.uid = Some("u".into());
        csr.spec.groups = Some(vec!["g".into()]);
        csr.spec.extra = Some(extra.clone());
        let Requester { username, uid, groups, extra: recorded } = csr.requester().unwrap();
        assert_eq!((username, uid, groups, recorded), ("alice", "u", &["g".to_owned()][..], Some(&extra)));
    }

    #[test]
    fn b02_signs_only_approved_undecided() {
        assert!(matches!(request(OURS, &["Approved"], None).triage(), Triage::Sign(_)));
        assert_eq!(request(OURS, &[], None).triage(), Triage::Ignore);
        assert_eq!(request(OURS, &["Approved", "Denied"], None).triage(), Triage::Ignore);
        assert_eq!(request(OURS, &["Approved", "Failed"], None).triage(), Triage::Ignore);
        assert_eq!(request(OURS, &["Approved"], Some(b"-")).triage(), Triage::Ignore);
        assert_eq!(request("example.com/other", &["Approved"], None).triage(), Triage::Ignore);
    }

    fn annotated(key: &str, value: &str) -> KubernetesCsr {
        let mut request = request(OURS, &["Approved"], None);
        request.spec.expiration_seconds = Some(1200);
        request.annotations_mut().insert(key.into(), value.into());
        request
    }

    #[test]
    fn b05_of_the_annotation_and_expiration_seconds_the_shorter_counts() {
        let with = |value, seconds| {
            let mut request = annotated(annotations::REQUEST_DURATION, value);
            request.spec.expiration_seconds = seconds;
            lifetime(&request).ok()
        };
        for (text, seconds) in [
            ("2160h0m0s", 2160 * 3600),
            ("1h30m", 5400),
            ("600s", 600),
            ("0s", 0),
            ("-1h", 0),
            ("1.5h", 5400),
        ] {
            assert_eq!(with(text, None), Some(Some(seconds)), "{text}");
        }
        assert_eq!(with("600s", Some(1200)), Some(Some(600)));
        assert_eq!(with("8760h", Some(1200)), Some(Some(1200)), "approved for 20 minutes");
        assert_eq!(with("8760h", Some(-1)), Some(Some(0)), "which is refused");
        for wrong in ["", "1", "soon", "1h 30m", "1 hour", "PT1H", "1d", "9999999999999999999h"] {
            assert_eq!(with(wrong, Some(1200)), None, "{wrong}");
        }
        assert_eq!(lifetime(&annotated("other", "")), Ok(Some(1200)));
        assert_eq!(lifetime(&request(OURS, &["Approved"], None)), Ok(None));
    }

    #[test]
    fn b07_a_ca_certificate_is_requested_by_annotation_only() {
        let with = |value| is_for_ca(&annotated(annotations::REQUEST_IS_CA, value));
        assert!(with("true"));
        for other in ["", "false", "True", "1", "true "] {
            assert!(!with(other), "{other}");
        }
        assert!(!is_for_ca(&request(OURS, &["Approved"], None)));
    }

    #[test]
    fn b03_failure_condition_shape() {
        let failed =
            request(OURS, &["Approved"], None).with_failure("RequestForCa", "no", Timestamp::UNIX_EPOCH);
        let conditions = failed.status.unwrap().conditions.unwrap();
        let last = conditions.last().unwrap();
        assert_eq!((last.type_.as_str(), last.status.as_str()), ("Failed", "True"));
        assert_eq!(last.reason.as_deref(), Some("RequestForCa"));
        assert_eq!(last.last_transition_time.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(conditions[0].type_, "Approved", "an approval is never altered");
    }
}
