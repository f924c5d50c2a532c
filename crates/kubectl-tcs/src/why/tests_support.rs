//! Facts for tests.

use super::facts::{Decision, Facts, IssuerFact, Kind, Requester};
use crate::issuers::Found;
use crate::issuers::tests_support::issuer;
use tcs_api::signer::SignerName;

/// The issuer of the facts.
#[must_use]
pub fn id() -> SignerName {
    SignerName::Namespaced { namespace: "sandbox".into(), name: "ca".into() }
}

/// A condition.
#[must_use]
pub fn decision(type_: &str, reason: &str) -> Option<Decision> {
    let (message, time, manager) = (format!("said {reason}"), None, None);
    Some(Decision { type_: type_.into(), reason: reason.into(), message, time, manager })
}

/// What the service says to a requester who may not use the issuer.
#[must_use]
pub fn grant_message(subject: &str) -> String {
    let role = format!("tcs-reference-{}", "0".repeat(32));
    format!(
        "the user may not use TCSIssuer sandbox/ca. To grant it, run this command, and then create a new request: \
         kubectl create role {role} -n sandbox --resource-name=ca --resource=tcsissuers.tcs.intel.com \
         --verb=reference && kubectl create rolebinding {role} -n sandbox {subject} --role={role}"
    )
}

/// An issuer whose Ready condition says this.
#[must_use]
pub fn ready(ready: &str, reason: &str) -> IssuerFact {
    IssuerFact::Found(Box::new(Found::Readable(Box::new(issuer(ready, reason, true)))))
}

/// A request with this approval and this issuer.
#[must_use]
pub fn facts(approval: Option<Decision>, issuer: IssuerFact) -> Facts {
    Facts {
        kind: Kind::Csr,
        namespace: None,
        name: "web".into(),
        requester: Requester::default(),
        created: None,
        signer: "tcsissuer.tcs.intel.com/sandbox.ca".into(),
        usages: Vec::new(),
        lifetime_seconds: None,
        obstacle_to_approval: None,
        approval,
        failure: None,
        progress: None,
        certificate: None,
        issuer,
        events: Ok(Vec::new()),
    }
}
