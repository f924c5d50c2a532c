//! What a `CertificateSigningRequest` needs next (conformance B2–B4). Pure.

pub mod csr;

use csr::{CsrCondition, KubernetesCsr};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use tcs_api::annotations;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::RefusalCode;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not ours, not approved, denied, failed or already answered: never touched.
    Leave,
    /// Ours and approved, for this signer.
    Consider(SignerName),
}

/// Whether a request is ours to consider. Only an approved, undecided request is (B2).
#[must_use]
pub fn triage(request: &KubernetesCsr) -> Step {
    let Some(signer) = SignerName::parse(&request.spec.signer_name) else { return Step::Leave };
    let status = request.status.as_ref();
    let has = |kind: &str| {
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == kind)
    };
    let answered = status.and_then(|status| status.certificate.as_ref()).is_some_and(|c| !c.0.is_empty());
    if answered || has("Denied") || has("Failed") || !has("Approved") {
        return Step::Leave;
    }
    Step::Consider(signer)
}

/// The lifetime that a request asks for, in seconds: the shorter of cert-manager's annotation and `spec.expirationSeconds`.
///
/// In cert-manager the annotation beats the field (B5). But annotations can be changed after the approval, and `kubectl get csr` shows
/// the field.
///
/// Fails with a sentence if the annotation is no length of time.
pub fn lifetime(request: &KubernetesCsr) -> Result<Option<u64>, String> {
    // Less than the shortest, which the enclave refuses, is what a negative number comes to.
    let field = request.spec.expiration_seconds.map(|seconds| u64::try_from(seconds).unwrap_or(0));
    let Some(text) = request.annotations().get(annotations::REQUEST_DURATION) else { return Ok(field) };
    let asked = text.parse::<SignedDuration>().ok().and_then(|length| u64::try_from(length.as_secs()).ok());
    let asked = asked.ok_or_else(|| {
        format!("the annotation {} is not a length of time like 2160h", annotations::REQUEST_DURATION)
    })?;
    Ok(Some(field.map_or(asked, |field| field.min(asked))))
}

/// Whether a request asks for a CA certificate: by cert-manager's annotation only (B7).
#[must_use]
pub fn is_for_ca(request: &KubernetesCsr) -> bool {
    request.annotations().get(annotations::REQUEST_IS_CA).is_some_and(|value| value == "true")
}

/// Whether a refusal is the request's own fault, so that only a new request can help.
#[must_use]
pub fn is_requests_fault(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::RequestMalformed
            | RefusalCode::RequestSignatureInvalid
            | RefusalCode::RequestKeyUnsupported
            | RefusalCode::RequestForCa
            | RefusalCode::UsageUnknown
            | RefusalCode::UsageForbidden
            | RefusalCode::ExtensionMismatch
            | RefusalCode::IdentityForbidden
            | RefusalCode::LifetimeInvalid
            | RefusalCode::PolicyRefused
    )
}

/// The object with its certificate: leaf first (B4). Everything else, the resourceVersion above all, stays as read,
/// so that a PUT of it can only reach the very object that was judged.
#[must_use]
pub fn with_certificate(request: &KubernetesCsr, pem: Vec<u8>) -> KubernetesCsr {
    let mut answered = request.clone();
    answered.status.get_or_insert_default().certificate = Some(ByteString(pem));
    answered
}

/// The object with `Failed`=True and a stable reason (B3).
#[must_use]
pub fn with_failure(request: &KubernetesCsr, reason: &str, message: &str, now: Timestamp) -> KubernetesCsr {
    let mut failed = request.clone();
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

#[cfg(test)]
mod tests {
    use super::*;
    use csr::CsrStatus;
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

    #[test]
    fn b02_signs_only_approved_undecided() {
        assert!(matches!(triage(&request(OURS, &["Approved"], None)), Step::Consider(_)));
        assert_eq!(triage(&request(OURS, &[], None)), Step::Leave);
        assert_eq!(triage(&request(OURS, &["Approved", "Denied"], None)), Step::Leave);
        assert_eq!(triage(&request(OURS, &["Approved", "Failed"], None)), Step::Leave);
        assert_eq!(triage(&request(OURS, &["Approved"], Some(b"-"))), Step::Leave);
        assert_eq!(triage(&request("example.com/other", &["Approved"], None)), Step::Leave);
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
        for (text, seconds) in [("2160h0m0s", 2160 * 3600), ("1h30m", 5400), ("600s", 600), ("0s", 0)] {
            assert_eq!(with(text, None), Some(Some(seconds)), "{text}");
        }
        assert_eq!(with("600s", Some(1200)), Some(Some(600)));
        assert_eq!(with("8760h", Some(1200)), Some(Some(1200)), "approved for 20 minutes");
        assert_eq!(with("8760h", Some(-1)), Some(Some(0)), "which is refused");
        for wrong in ["", "1", "soon", "-1h", "9999999999999999999h"] {
            assert_eq!(with(wrong, Some(1200)), None, "{wrong}");
        }
        assert_eq!(lifetime(&annotated("other", "")), Ok(Some(1200)));
        assert_eq!(lifetime(&request(OURS, &["Approved"], None)), Ok(None));
    }

    #[test]
    fn b07_a_ca_certificate_is_asked_for_by_annotation_only() {
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
            with_failure(&request(OURS, &["Approved"], None), "RequestForCa", "no", Timestamp::UNIX_EPOCH);
        let conditions = failed.status.unwrap().conditions.unwrap();
        let last = conditions.last().unwrap();
        assert_eq!((last.type_.as_str(), last.status.as_str()), ("Failed", "True"));
        assert_eq!(last.reason.as_deref(), Some("RequestForCa"));
        assert_eq!(last.last_transition_time.as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(conditions[0].type_, "Approved", "an approval is never altered");
    }
}
