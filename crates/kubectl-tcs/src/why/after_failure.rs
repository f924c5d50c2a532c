//! What helps after a request was refused. Pure.

use super::facts::{Decision, Facts, IssuerFact, Kind};
use super::grant;
use crate::command::with_name;
use crate::issuers::kubectl_arguments;
use tcs_api::reasons;
use tcs_api::signer::SignerName;

/// No request is tried again.
fn another(kind: Kind) -> &'static str {
    match kind {
        Kind::Csr => "a refused request is not tried again: create another one",
        Kind::CertificateRequest => {
            "a refused request is not tried again: change the Certificate, so that cert-manager makes another one"
        }
    }
}

/// Commands or sentences that help after a refusal. A failed request stays failed.
pub fn steps(facts: &Facts, failure: &Decision) -> Vec<String> {
    let id = match &facts.issuer {
        IssuerFact::OtherSigner | IssuerFact::Misspelled => {
            return vec!["ask whoever runs this signer, which is not one of this service".to_owned()];
        }
        IssuerFact::Missing(id) | IssuerFact::Unknown { id, .. } => id,
        IssuerFact::Found(found) => found.id(),
    };
    let new = another(facts.kind);
    let next = match failure.reason.as_str() {
        "IdentityForbidden" => format!("{new}, with other names (docs/requests.md, \"Names\")"),
        "PolicyRefused" => {
            format!("{new} inside spec.policy of the issuer (kubectl get {} -o yaml)", kubectl_arguments(id))
        }
        "UsageForbidden" | "UsageUnknown" | "UsageOutsideCa" | "ExtensionMismatch" => {
            format!("{new}, with other usages (docs/signers.md, item 4)")
        }
        "LifetimeInvalid" => format!("{new}, with another lifetime (docs/signers.md, item 5)"),
        "RequestForCa" => format!("{new} without CA:TRUE (docs/signers.md, item 6)"),
        "RequestKeyUnsupported" => format!("{new}, with another key (docs/signers.md, \"Keys\")"),
        reasons::REFERENCE_NOT_ALLOWED => return have_it_granted(facts, failure, id),
        _ => format!("{new} (docs/requests.md)"),
    };
    vec![next]
}

/// The command that the service wrote, and what it is for.
fn have_it_granted(facts: &Facts, failure: &Decision, id: &SignerName) -> Vec<String> {
    let new = another(facts.kind);
    let command = grant::command(&failure.message, id, &facts.requester.username);
    let Some(command) = command else {
        return vec![format!(
            "have the right to reference the issuer granted (docs/signers.md, \"Who may use an issuer\"); {new}. The \
             message ends with no command that kubectl tcs knows, so none is repeated here"
        )];
    };
    let mut next = vec![command.text.to_owned()];
    if command.has_placeholder {
        next.push(with_name(&facts.name, |name| format!("write {name} for NAME in this command")));
    }
    next.push(format!(
        "somebody who may grant rights in the namespace of the issuer runs this command, if this requester is to get \
         certificates of its CA; {new} afterwards"
    ));
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::tests_support::{decision, facts, grant_message, ready};

    fn steps(facts: &Facts) -> Vec<String> {
        super::steps(facts, facts.failure.as_ref().unwrap())
    }

    fn not_allowed(message: String, issuer: IssuerFact) -> Facts {
        let failure = decision("Failed", "ReferenceNotAllowed").map(|failed| Decision { message, ..failed });
        let mut refused = Facts { failure, ..facts(decision("Approved", "R"), issuer) };
        refused.requester.username = "alice".to_owned();
        refused
    }

    #[test]
    fn the_right_that_is_missing_is_granted_by_the_command_in_the_message() {
        let message = grant_message("--user=alice");
        let next = steps(&not_allowed(message.clone(), ready("True", "Ready")));
        assert!(next[0].starts_with("kubectl create role ") && message.ends_with(&next[0]), "{next:?}");
        assert!(next[1].contains("create another one afterwards"), "{next:?}");
        let strange = grant_message("--user=\"$(kubectl get csr NAME -o jsonpath={.spec.username})\"");
        let next = steps(&not_allowed(strange, ready("True", "Ready")));
        assert_eq!(next[1], "write web for NAME in this command");
    }

    #[test]
    fn a_command_of_somebody_else_is_no_advice() {
        let evil = grant_message("--group=system:authenticated");
        let next = steps(&not_allowed(evil, ready("True", "Ready")));
        assert!(next.len() == 1 && !next[0].contains("kubectl create"), "{next:?}");
        for issuer in [IssuerFact::OtherSigner, IssuerFact::Misspelled] {
            let next = steps(&not_allowed(grant_message("--user=alice"), issuer));
            assert!(next.len() == 1 && next[0].contains("not one of this service"), "{next:?}");
        }
    }

    #[test]
    fn the_policy_that_refused_is_shown_by_a_command() {
        let failure = decision("Failed", "PolicyRefused");
        let refused = Facts { failure, ..facts(decision("Approved", "R"), ready("True", "Ready")) };
        assert!(steps(&refused)[0].contains("kubectl get -n sandbox tcsissuers.tcs.intel.com ca -o yaml"));
    }
}
