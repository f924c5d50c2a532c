//! What the user may do.

use super::{Cluster, decode};
use crate::error::Error;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use serde_json::Value;

/// The answer of a review. If the API server could not evaluate everything, what is not allowed is not known.
pub fn is_allowed(status: SubjectAccessReviewStatus) -> Result<bool, Error> {
    match status.evaluation_error.filter(|cause| !cause.is_empty() && !status.allowed) {
        Some(cause) => Err(Error::ObjectUnreadable { object: "the answer about a right".to_owned(), cause }),
        None => Ok(status.allowed),
    }
}

impl Cluster {
    /// Whether the user may do something.
    pub async fn may(&self, attributes: ResourceAttributes) -> Result<bool, Error> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = self.create::<SelfSubjectAccessReview>(None, &review).await?;
        let status = answer.get("status").cloned().unwrap_or(Value::Null);
        is_allowed(decode("SelfSubjectAccessReview", status)?)
    }

    /// Whether the user may approve requests for a signer, as the API server decides it: the right to update
    /// the approval, and the right to approve for this signer or for all of its domain.
    pub async fn may_approve(&self, signer: &str) -> Result<bool, Error> {
        const GROUP: &str = "certificates.k8s.io";
        let of = |verb: &str, resource: &str, subresource: Option<&str>, name: Option<String>| {
            ResourceAttributes {
                group: Some(GROUP.to_owned()),
                verb: Some(verb.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: subresource.map(str::to_owned),
                name,
                ..ResourceAttributes::default()
            }
        };
        if !self.may(of("update", "certificatesigningrequests", Some("approval"), None)).await? {
            return Ok(false);
        }
        let domain = signer.split_once('/').map_or(signer, |(domain, _)| domain);
        for name in [signer.to_owned(), format!("{domain}/*")] {
            if self.may(of("approve", "signers", None, Some(name))).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_could_not_be_found_is_no_refusal() {
        let status = |allowed, error: Option<&str>| SubjectAccessReviewStatus {
            allowed,
            evaluation_error: error.map(str::to_owned),
            ..SubjectAccessReviewStatus::default()
        };
        assert!(is_allowed(status(true, None)).unwrap() && is_allowed(status(true, Some("x"))).unwrap());
        assert!(!is_allowed(status(false, None)).unwrap() && !is_allowed(status(false, Some(""))).unwrap());
        let error = is_allowed(status(false, Some("no role"))).unwrap_err();
        assert!(error.to_string().contains("no role"), "{error}");
    }
}
