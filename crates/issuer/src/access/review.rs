//! Asks the API server whether somebody may use an issuer.

use crate::access::requester::{NamespacedIssuer, Requester};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::api::PostParams;
use kube::{Api, Client};
use std::time::Duration;
use tcs_api::{GROUP, REFERENCE};

/// How long a review may take. The client has no time limit of its own, and requests wait for it.
const LIMIT: Duration = Duration::from_secs(3);
/// How many characters of an authorizer's error are kept.
const MAX_ERROR: usize = 300;

/// Why the API server has not decided. The next review may succeed.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The service lacks the right to ask.
    #[error(
        "the service may not create subjectaccessreviews.authorization.k8s.io; apply \
         deployment/access.yaml of the version that runs"
    )]
    Forbidden,
    /// The API server refused the review or could not be reached.
    #[error("the API server did not answer a SubjectAccessReview: {0}")]
    Api(kube::Error),
    /// There was no answer within 3 seconds.
    #[error("the API server did not answer a SubjectAccessReview within {} seconds", LIMIT.as_secs())]
    TimedOut,
    /// An authorizer of the API server failed.
    #[error("an authorizer of the API server failed (status.evaluationError): {0}")]
    Undecided(String),
    /// The answer has no status.
    #[error("the API server answered a SubjectAccessReview without a status")]
    NoStatus,
}

impl ReviewError {
    /// What requesters are told. The words of an authorizer are for the log only.
    pub fn for_requesters(&self) -> String {
        match self {
            Self::Undecided(_) => {
                "an authorizer of the API server failed; the log of tcs-issuer says how".into()
            }
            Self::Api(_) => "the API server did not answer; the log of tcs-issuer says why".into(),
            Self::Forbidden | Self::TimedOut | Self::NoStatus => self.to_string(),
        }
    }
}

/// The question whether a requester may `reference` an issuer.
pub fn spec(requester: &Requester<'_>, issuer: NamespacedIssuer<'_>) -> SubjectAccessReviewSpec {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    SubjectAccessReviewSpec {
        user: some(requester.username),
        uid: some(requester.uid),
        groups: Some(requester.groups.to_vec()),
        extra: requester.extra.cloned(),
        resource_attributes: Some(ResourceAttributes {
            group: some(GROUP),
            // Access to an issuer does not depend on the version of its kind.
            version: some("*"),
            resource: some("tcsissuers"),
            verb: some(REFERENCE),
            namespace: some(issuer.namespace),
            name: some(issuer.name),
            ..ResourceAttributes::default()
        }),
        non_resource_attributes: None,
    }
}

/// Asks whether something is allowed.
///
/// # Errors
///
/// If there is no decision.
pub async fn review(client: Client, spec: SubjectAccessReviewSpec) -> Result<bool, ReviewError> {
    let question = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api = Api::<SubjectAccessReview>::all(client);
    match tokio::time::timeout(LIMIT, api.create(&PostParams::default(), &question)).await {
        Ok(Ok(SubjectAccessReview { status: Some(status), .. })) => decision(status),
        Ok(Ok(_)) => Err(ReviewError::NoStatus),
        Ok(Err(kube::Error::Api(answer))) if answer.is_forbidden() => Err(ReviewError::Forbidden),
        Ok(Err(error)) => Err(ReviewError::Api(error)),
        Err(_) => Err(ReviewError::TimedOut),
    }
}

/// What an answer says. RBAC reports no `evaluationError` for a missing role, so the field means that an
/// authorizer failed, for example a webhook. What the others would have said is then unknown, even if
/// `denied` is set: an API server can be told to deny whatever a webhook does not decide.
fn decision(status: SubjectAccessReviewStatus) -> Result<bool, ReviewError> {
    match status.evaluation_error.filter(|error| !error.is_empty()) {
        Some(error) if !status.allowed => {
            Err(ReviewError::Undecided(error.chars().take(MAX_ERROR).collect()))
        }
        _ => Ok(status.allowed && status.denied != Some(true)),
    }
}

/// The outcome as the value of a metric's label.
pub fn outcome_code(outcome: &Result<bool, ReviewError>) -> &'static str {
    match outcome {
        Ok(true) => "Allowed",
        Ok(false) => "Refused",
        Err(_) => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn b01_the_question_is_about_the_requester_as_recorded() {
        let (groups, extra) =
            (vec!["g".to_owned()], BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]));
        let requester = Requester { username: "alice", uid: "u", groups: &groups, extra: Some(&extra) };
        let spec = spec(&requester, NamespacedIssuer { namespace: "ns", name: "ca" });
        assert_eq!(
            serde_json::to_value(spec).unwrap(),
            serde_json::json!({
                "user": "alice", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]},
                "resourceAttributes": {
                    "group": "tcs.intel.com", "version": "*", "resource": "tcsissuers", "verb": "reference",
                    "namespace": "ns", "name": "ca",
                },
            })
        );
    }

    #[test]
    fn b01_a_failed_authorizer_is_no_refusal() {
        let status = |allowed, denied, error: &str| SubjectAccessReviewStatus {
            allowed,
            denied: Some(denied),
            evaluation_error: Some(error.to_owned()),
            reason: None,
        };
        assert!(matches!(decision(status(true, false, "")), Ok(true)));
        assert!(matches!(decision(status(true, false, "another authorizer failed")), Ok(true)));
        assert!(matches!(decision(status(false, false, "")), Ok(false)));
        assert!(matches!(decision(status(false, true, "")), Ok(false)));
        assert!(matches!(decision(status(true, true, "")), Ok(false)), "a contradiction allows nothing");
        for denied in [false, true] {
            let long = "x".repeat(MAX_ERROR * 2);
            let Err(ReviewError::Undecided(error)) = decision(status(false, denied, &long)) else { panic!() };
            assert_eq!(error.len(), MAX_ERROR);
        }
    }
}
