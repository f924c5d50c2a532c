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
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let said = match cluster.may_approve(&request.spec.signer_name).await {
        Ok(true) => attempted(name, try_to_approve(cluster, request).await)?,
        Ok(false) => waits(name, "You may not approve it."),
        Err(error) => waits(name, &format!("Whether you may approve it could not be found out: {error}.")),
    };
    output.say(&said);
    Ok(())
}

/// What is said about an attempt. An error of it is no end, but a request that is gone or was changed is.
fn attempted(name: &str, result: Result<String, Error>) -> Result<String, Error> {
    match result {
        Err(error @ (Error::RequestAltered { .. } | Error::RequestDeleted(_))) => Err(error),
        Err(error) => Ok(waits(name, &format!("It could not be approved: {error}."))),
        Ok(said) => Ok(said),
    }
}

fn waits(name: &str, why: &str) -> String {
    let command = with_name(name, |name| format!("kubectl certificate approve {name}"));
    format!("{why} It waits for somebody with ClusterRole tcs-issuer-approver: {command}")
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
    fn a_failed_approval_is_said_and_waited_for_unless_the_request_is_gone_or_was_changed() {
        let failed = |error: Error| attempted("web", Err(error)).map_err(|error| error.code());
        let refused = Error::Forbidden { action: "approve".into(), message: "a policy denies it".into() };
        let said = failed(refused).unwrap();
        assert!(
            said.contains("a policy denies it") && said.ends_with("kubectl certificate approve web"),
            "{said}"
        );
        assert_eq!(failed(Error::RequestDeleted("web".into())), Err("RequestDeleted"));
        let altered = Error::RequestAltered { name: "web".into(), field: "spec.usages" };
        assert_eq!(failed(altered), Err("RequestAltered"));
    }

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
