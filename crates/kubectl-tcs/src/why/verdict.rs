//! What became of a request, why, and what to do. Pure.

use super::after_failure;
use super::facts::{Facts, IssuerFact, Kind};
use crate::command::{with_name, word};
use crate::issuers::{Found, described, kubectl_arguments, next_steps, own_arguments};
use crate::output::one_blank;
use crate::why::events::EventFact;
use tcs_api::signer::SignerName;
use tcs_api::{SERVICE_ACCOUNT, reasons};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The certificate is there.
    Issued,
    /// The signer refused it.
    Failed,
    /// An approver refused it.
    Denied,
    /// It names a signer of somebody else.
    OtherSigner,
    /// It names no signer that can exist.
    SignerMisspelled,
    /// Nobody approved it.
    NotApproved,
    /// Its issuer does not exist.
    IssuerMissing,
    /// Its issuer cannot be decoded.
    IssuerUnreadable,
    /// Its issuer does not sign now.
    IssuerNotReady,
    /// It is approved, and its issuer is ready or cannot be seen.
    Waiting,
    /// cert-manager has not made a request for the Certificate.
    RequestMissing,
    /// The request for the Certificate could not be read.
    RequestUnknown,
}

impl State {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Issued => "Issued",
            Self::Failed => "Failed",
            Self::Denied => "Denied",
            Self::OtherSigner => "OtherSigner",
            Self::SignerMisspelled => "SignerMisspelled",
            Self::NotApproved => "NotApproved",
            Self::IssuerMissing => "IssuerMissing",
            Self::IssuerUnreadable => "IssuerUnreadable",
            Self::IssuerNotReady => "IssuerNotReady",
            Self::Waiting => "Waiting",
            Self::RequestMissing => "RequestMissing",
            Self::RequestUnknown => "RequestUnknown",
        }
    }
}

/// What became of a request, why, and what to do.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What became of it.
    pub state: State,
    /// Why, for people.
    pub text: String,
    /// Commands or sentences that help.
    pub next: Vec<String>,
}

/// What the facts say.
#[must_use]
pub fn verdict(facts: &Facts) -> Verdict {
    settled(facts).or_else(|| unapproved(facts)).unwrap_or_else(|| approved(facts))
}

/// A result that does not change any more.
fn settled(facts: &Facts) -> Option<Verdict> {
    if facts.certificate.is_some() {
        let next = facts.kubectl("get", " -o jsonpath='{.status.certificate}' | base64 -d");
        let text = "The certificate was issued.".to_owned();
        return Some(Verdict { state: State::Issued, text, next: vec![next] });
    }
    let (state, decision, next) = match (&facts.failure, &facts.approval) {
        (Some(failure), _) => (State::Failed, failure, after_failure::steps(facts, failure)),
        (None, Some(denial)) if denial.type_ == "Denied" => {
            let ask = match facts.kind {
                Kind::Csr => "ask the approver what is wrong, then create another request",
                Kind::CertificateRequest => {
                    "ask the approver what is wrong; cert-manager makes another request when the Certificate is changed"
                }
            };
            (State::Denied, denial, vec![ask.to_owned()])
        }
        _ => return None,
    };
    let who = if state == State::Denied { "An approver denied it" } else { "The signer refused it" };
    let text = format!("{who}: {}: {}", or_none(&decision.reason), or_none(&decision.message));
    Some(Verdict { state, text, next })
}

/// A request that nobody approved, or that is not for this service.
fn unapproved(facts: &Facts) -> Option<Verdict> {
    let signer = one_blank(&facts.signer);
    match &facts.issuer {
        IssuerFact::OtherSigner => {
            let text = format!(
                "The signer {signer} is not one of this service, so nothing of it signs this request."
            );
            Some(Verdict { state: State::OtherSigner, text, next: vec![name_ours(facts.kind).to_owned()] })
        }
        IssuerFact::Misspelled => {
            let (field, expected) = match facts.kind {
                Kind::Csr => (
                    "spec.signerName",
                    "tcsissuer.tcs.intel.com/NAMESPACE.NAME or tcsclusterissuer.tcs.intel.com/NAME",
                ),
                Kind::CertificateRequest => {
                    ("spec.issuerRef", "group tcs.intel.com and kind TCSIssuer or TCSClusterIssuer")
                }
            };
            let text = format!("{field} is {signer}; expected {expected}. Nobody signs this request.");
            Some(Verdict {
                state: State::SignerMisspelled,
                text,
                next: vec![name_ours(facts.kind).to_owned()],
            })
        }
        _ if facts.approval.is_none() => {
            let mut next: Vec<_> = facts.obstacle_to_approval.into_iter().map(str::to_owned).collect();
            next.extend(approval(facts));
            let mut text = "Nobody approved or denied it yet.".to_owned();
            if let Some((_, also, more)) = obstacle(&facts.issuer, facts.kind) {
                text = format!("{text} Afterwards it would wait: {also}");
                next.extend(more);
            }
            Some(Verdict { state: State::NotApproved, text, next })
        }
        _ => None,
    }
}

/// How a request names an issuer of this service.
fn name_ours(kind: Kind) -> &'static str {
    match kind {
        Kind::Csr => {
            "name the signer tcsissuer.tcs.intel.com/NAMESPACE.NAME or tcsclusterissuer.tcs.intel.com/NAME in a new \
             request; spec.signerName cannot be changed"
        }
        Kind::CertificateRequest => {
            "write group tcs.intel.com and kind TCSIssuer or TCSClusterIssuer into spec.issuerRef of the Certificate; the \
             request itself cannot be changed"
        }
    }
}

/// How a request is approved.
fn approval(facts: &Facts) -> Vec<String> {
    match facts.kind {
        Kind::Csr => vec![
            with_name(&facts.name, |name| format!("kubectl certificate approve {name}")),
            "approving needs ClusterRole tcs-issuer-approver; kubectl certificate deny refuses the request"
                .to_owned(),
        ],
        Kind::CertificateRequest => {
            let namespace = word(facts.namespace.as_deref().unwrap_or_default()).to_owned();
            vec![
                "cert-manager approves by itself, if its approver is enabled and has the right: kubectl get \
                 clusterrolebinding tcs-issuer-cert-manager-approver"
                    .to_owned(),
                with_name(&facts.name, |name| format!("cmctl approve -n {namespace} {name}")),
            ]
        }
    }
}

fn approved(facts: &Facts) -> Verdict {
    if let Some((state, text, next)) = obstacle(&facts.issuer, facts.kind) {
        return Verdict { state, text, next };
    }
    let of_service = |event: &&EventFact| event.reporter == SERVICE_ACCOUNT;
    let last = facts.events.as_ref().ok().and_then(|events| events.iter().rfind(of_service));
    // Whoever may create Events can use any name.
    let said = match &facts.progress {
        Some(progress) => {
            Some(format!(" It says: {}: {}", or_none(&progress.reason), or_none(&progress.message)))
        }
        None => last.map(|event| {
            format!(" An Event says: {}: {}.", one_blank(&event.reason), one_blank(&event.message))
        }),
    };
    let known = match &facts.issuer {
        IssuerFact::Unknown { id, why } => {
            format!(" Whether {} is ready could not be checked: {why}.", described(id))
        }
        _ => String::new(),
    };
    let text = format!("It is approved and waits for the service.{known}{}", said.unwrap_or_default());
    Verdict { state: State::Waiting, text, next: vec!["kubectl tcs doctor".to_owned()] }
}

/// Why an issuer does not sign, and what to do about it.
fn obstacle(issuer: &IssuerFact, kind: Kind) -> Option<(State, String, Vec<String>)> {
    let found = match issuer {
        IssuerFact::Missing(id) => return Some(missing(id, kind)),
        IssuerFact::Found(found) => found.as_ref(),
        IssuerFact::OtherSigner | IssuerFact::Misspelled | IssuerFact::Unknown { .. } => return None,
    };
    match found {
        Found::Unreadable { id, cause } => {
            let text = format!(
                "{} cannot be read, so nothing is signed for it ({}): {cause}",
                described(id),
                reasons::WAITING_FOR_ISSUER_READABLE
            );
            let next = vec![format!("kubectl edit {}", kubectl_arguments(id))];
            Some((State::IssuerUnreadable, text, next))
        }
        Found::Readable(issuer) if issuer.is_ready() => None,
        Found::Readable(issuer) => {
            let text = format!(
                "{} does not sign now ({}): {}",
                described(&issuer.id),
                or_none(issuer.reason()),
                or_none(issuer.message())
            );
            let mut next = next_steps(issuer);
            next.push(format!("kubectl tcs status {}", own_arguments(&issuer.id)));
            Some((State::IssuerNotReady, text, next))
        }
    }
}

fn missing(id: &SignerName, kind: Kind) -> (State, String, Vec<String>) {
    let text = format!("There is no {}.", described(id));
    let next = vec![
        "kubectl tcs status --all-namespaces   # shows the issuers that exist".to_owned(),
        match kind {
            Kind::Csr => {
                "create the issuer, and the request is signed; or create another request for an issuer that exists"
            }
            Kind::CertificateRequest => {
                "create the issuer, and the request is signed; or name an issuer that exists in the Certificate"
            }
        }
        .to_owned(),
    ];
    (State::IssuerMissing, text, next)
}

/// A text of somebody else, or that there is none.
fn or_none(text: &str) -> String {
    if text.is_empty() { "no reason given".to_owned() } else { one_blank(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::why::tests_support::{decision, facts, id, ready};

    #[test]
    fn a_result_counts_before_everything_else() {
        let issued = Facts {
            certificate: Some("x".into()),
            ..facts(decision("Approved", "R"), IssuerFact::Missing(id()))
        };
        assert_eq!(verdict(&issued).state, State::Issued);
        let failed = Facts {
            failure: decision("Failed", "UsageForbidden"),
            ..facts(decision("Approved", "R"), IssuerFact::Missing(id()))
        };
        let told = verdict(&failed);
        assert_eq!(told.state, State::Failed);
        assert!(told.text.contains("UsageForbidden: said UsageForbidden"), "{}", told.text);
        assert!(told.next[0].contains("docs/signers.md, item 4"), "{:?}", told.next);
        assert_eq!(verdict(&facts(decision("Denied", "No"), IssuerFact::Missing(id()))).state, State::Denied);
    }

    #[test]
    fn the_name_of_a_request_cannot_be_run_as_a_command() {
        let named = |certificate| Facts {
            name: "x; touch owned".to_owned(),
            certificate,
            ..facts(None, ready("True", "Ready"))
        };
        for facts in [named(None), named(Some("x".to_owned()))] {
            let next = verdict(&facts).next.concat();
            assert!(next.contains(" NAME ") && !next.contains("touch"), "{next}");
        }
    }

    #[test]
    fn blanks_cannot_push_a_text_to_the_next_line_of_a_terminal() {
        let mut denied = facts(decision("Denied", "No"), ready("True", "Ready"));
        denied.approval.as_mut().unwrap().message = format!("no{}Next: id", " ".repeat(200));
        assert!(verdict(&denied).text.ends_with("No: no Next: id"));
    }

    #[test]
    fn names_of_other_signers_are_told_from_misspelled_ones() {
        let told = |issuer| verdict(&facts(None, issuer)).state;
        assert_eq!(told(IssuerFact::OtherSigner), State::OtherSigner);
        assert_eq!(told(IssuerFact::Misspelled), State::SignerMisspelled);
    }

    #[test]
    fn without_approval_the_next_obstacle_is_told_as_well() {
        let plain = verdict(&facts(None, ready("True", "Ready")));
        assert_eq!(plain.state, State::NotApproved);
        assert!(plain.next[0].starts_with("kubectl certificate approve web"), "{:?}", plain.next);
        let more = verdict(&facts(None, IssuerFact::Missing(id())));
        assert!(more.text.contains("There is no TCSIssuer sandbox/ca"), "{}", more.text);
    }

    #[test]
    fn an_approved_request_waits_for_its_issuer() {
        let told = |issuer| verdict(&facts(decision("Approved", "R"), issuer));
        assert_eq!(told(IssuerFact::Missing(id())).state, State::IssuerMissing);
        let lost = told(ready("False", "KeyLost"));
        assert_eq!(lost.state, State::IssuerNotReady);
        assert!(lost.text.contains("(KeyLost): about KeyLost"), "{}", lost.text);
        assert!(lost.next[0].contains("tcs.intel.com/new-ca"), "{:?}", lost.next);
        let odd = Found::Unreadable { id: id(), cause: "no spec".into() };
        assert_eq!(told(IssuerFact::Found(Box::new(odd))).state, State::IssuerUnreadable);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_good() {
        let hidden = IssuerFact::Unknown { id: id(), why: Error::NotFound("right".into()) };
        let told = verdict(&facts(decision("Approved", "R"), hidden));
        assert_eq!(told.state, State::Waiting);
        assert!(told.text.contains("could not be checked"), "{}", told.text);
    }

    #[test]
    fn the_last_event_is_told() {
        let event = EventFact {
            type_: "Normal".into(),
            reason: "WaitingForIssuerReady".into(),
            message: "the enclave does not answer".into(),
            count: 1,
            reporter: "tcs-issuer".into(),
            time: None,
        };
        let other = EventFact { reporter: "other".into(), message: "run this".into(), ..event.clone() };
        let events = Ok(vec![event, other]);
        let waiting = Facts { events, ..facts(decision("Approved", "R"), ready("True", "Ready")) };
        let text = verdict(&waiting).text;
        assert!(text.contains("An Event says: WaitingForIssuerReady: the enclave does not answer"), "{text}");
        assert!(!text.contains("run this"), "{text}");
    }
}
