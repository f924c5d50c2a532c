//! Approves a request, if the user may.

use crate::cluster::{Cluster, FIELD_MANAGER};
use crate::error::Error;
use crate::output::Output;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

/// Approves a request if the user has the right to it; otherwise says who may.
pub async fn approve(
    cluster: &Cluster,
    request: &CertificateSigningRequest,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let name = request.metadata.name.clone().unwrap_or_default();
    if !cluster.may_approve(&request.spec.signer_name).await? {
        output.say(&format!(
            "You may not approve it. It waits for somebody with ClusterRole tcs-issuer-approver: kubectl certificate \
             approve {name}"
        ));
        return Ok(());
    }
    let mut approved = request.clone();
    let conditions = approved.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.push(CertificateSigningRequestCondition {
        type_: "Approved".to_owned(),
        status: "True".to_owned(),
        reason: Some("RequesterApproves".to_owned()),
        message: Some(format!("approved by its requester with {FIELD_MANAGER}")),
        ..CertificateSigningRequestCondition::default()
    });
    // A PUT of the object that was created, so that no other request of this name is ever approved.
    match cluster.replace_subresource::<CertificateSigningRequest>("approval", &name, &approved).await {
        Ok(_) => {
            output.say("It was approved.");
            Ok(())
        }
        // Somebody decided first.
        Err(Error::Rejected { reason, .. }) if reason == "Conflict" => Ok(()),
        Err(error) => Err(error),
    }
}
