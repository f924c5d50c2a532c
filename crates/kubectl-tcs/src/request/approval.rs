//! Approves a request, if the user may.

use super::submit::{check_unchanged, read_again};
use crate::cluster::{Cluster, FIELD_MANAGER};
use crate::command::with_name;
use crate::error::Error;
use crate::output::Output;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

/// How often an approval is tried that others disturb by changes of the same object.
const ATTEMPTS: usize = 5;

/// Approves a request if the user has the right to it; otherwise says who may. It fails only if the request
/// is gone or not the one that was created: without an approval the certificate can still come.
pub async fn approve(
    cluster: &Cluster,
    request: &CertificateSigningRequest,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let why = match cluster.may_approve(&request.spec.signer_name).await {
        Ok(true) => match try_to_approve(cluster, request).await {
            Ok(said) => {
                output.say(&said);
                return Ok(());
            }
            Err(error @ (Error::RequestAltered { .. } | Error::RequestDeleted(_))) => return Err(error),
            Err(error) => format!("It could not be approved: {error}."),
        },
        Ok(false) => "You may not approve it.".to_owned(),
        Err(error) => format!("Whether you may approve it could not be found out: {error}."),
    };
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let command = with_name(name, |name| format!("kubectl certificate approve {name}"));
    output.say(&format!("{why} It waits for somebody with ClusterRole tcs-issuer-approver: {command}"));
    Ok(())
}

/// Approves the request; what became of it.
async fn try_to_approve(cluster: &Cluster, request: &CertificateSigningRequest) -> Result<String, Error> {
    let name = request.metadata.name.clone().unwrap_or_default();
    let mut current = request.clone();
    for attempt in 1..=ATTEMPTS {
        let approved = approved(current);
        // A PUT of the object that was read, so that no other request of this name is ever approved.
        match cluster.replace_subresource::<CertificateSigningRequest>("approval", &name, &approved).await {
            Ok(_) => return Ok("It was approved.".to_owned()),
            Err(error) if error.has_reason("Conflict") && attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
        let found = read_again(cluster, request).await?;
        current = found.ok_or_else(|| Error::RequestDeleted(name.clone()))?;
        check_unchanged(request, &current)?;
        if let Some(decision) = decision(&current) {
            return Ok(format!("Somebody else decided meanwhile: it is {decision}."));
        }
    }
    // The last attempt returns.
    Err(Error::RequestDeleted(name))
}

fn approved(mut request: CertificateSigningRequest) -> CertificateSigningRequest {
    let conditions = request.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.push(CertificateSigningRequestCondition {
        type_: "Approved".to_owned(),
        status: "True".to_owned(),
        reason: Some("RequesterApproves".to_owned()),
        message: Some(format!("approved by its requester with {FIELD_MANAGER}")),
        ..CertificateSigningRequestCondition::default()
    });
    request
}

/// What an approver decided, if anything.
fn decision(request: &CertificateSigningRequest) -> Option<&'static str> {
    let conditions = request.status.as_ref().and_then(|status| status.conditions.as_deref());
    let has = |type_: &str| conditions.unwrap_or_default().iter().any(|condition| condition.type_ == type_);
    ["Denied", "Approved"].into_iter().find(|type_| has(type_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_approval_and_a_denial_are_decisions() {
        let request = CertificateSigningRequest::default();
        assert_eq!(decision(&request), None);
        assert_eq!(decision(&approved(request.clone())), Some("Approved"));
        let with = |type_: &str| {
            let mut request = approved(request.clone());
            let conditions = request.status.get_or_insert_default().conditions.get_or_insert_default();
            conditions[0].type_ = type_.to_owned();
            request
        };
        assert_eq!(decision(&with("Denied")), Some("Denied"));
        assert_eq!(decision(&with("Failed")), None);
        assert_eq!(decision(&with("Noted")), None);
    }
}
