//! What the user may do.

use super::{Cluster, decode};
use crate::error::Error;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use serde_json::Value;

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
        let status: SubjectAccessReviewStatus = decode("SelfSubjectAccessReview", status)?;
        Ok(status.allowed)
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
