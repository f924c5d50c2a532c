//! The story as text and as JSON.

use super::events::EventFact;
use super::facts::{Decision, Facts, IssuerFact, Kind};
use super::verdict::{State, Verdict};
use crate::error::Error;
use crate::issuers::{Found, described, kind, name, namespace};
use crate::output::{self, Output};
use crate::time::{age, shown_duration};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use tcs_api::signer::SignerName;

/// Writes the story as text.
pub fn write(facts: &Facts, verdict: &Verdict, now: Timestamp, output: &mut Output<'_>) -> Result<(), Error> {
    write_facts(facts, verdict.state, now, output)?;
    output.line("")?;
    write_verdict(verdict, output)
}

/// Writes what became of it, why, and what to do.
pub fn write_verdict(verdict: &Verdict, output: &mut Output<'_>) -> Result<(), Error> {
    output.field("Why:", 6, &verdict.text)?;
    verdict.next.iter().try_for_each(|step| output.step("Next:", 6, step))
}

/// Writes the facts about a request.
pub fn write_facts(
    facts: &Facts,
    state: State,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let mut field = |title: &str, text: &str| output.field(&format!("{title}:"), 15, text);
    field("Name", &facts.described())?;
    field("State", state.name())?;
    field("Requested by", &facts.requester.username)?;
    field("Groups", &listed(&facts.requester.groups))?;
    field("Created", &when(facts.created.as_deref(), now))?;
    field("Signer", &facts.signer)?;
    field("Issuer", &issuer_line(&facts.issuer))?;
    field("Usages", &listed(&facts.usages))?;
    field("Lifetime", &lifetime(facts.lifetime_seconds))?;
    field("Approval", &decision_line(facts.approval.as_ref(), now))?;
    if let Some(failure) = &facts.failure {
        // What it says is told below.
        field("Failure", &format!("{}: {}", set(failure, now), failure.reason))?;
    }
    if let Some(progress) = &facts.progress {
        field("Progress", &format!("{}: {}: {}", set(progress, now), progress.reason, progress.message))?;
    }
    write_events(&facts.events, output)
}

/// Writes Events, one a line.
pub fn write_events(events: &Result<Vec<EventFact>, Error>, output: &mut Output<'_>) -> Result<(), Error> {
    match events {
        Ok(events) if events.is_empty() => output.field("Events:", 15, "<none>"),
        Ok(events) => {
            output.line("Events:")?;
            events.iter().try_for_each(|event| {
                let time = event.time.as_deref().unwrap_or("<unknown>");
                let by = or_unknown(&event.reporter);
                output.line(&format!("  {time} {by}: {} {}: {}", event.type_, event.reason, event.message))
            })
        }
        Err(error) => output.field("Events:", 15, &format!("could not be read: {error}")),
    }
}

fn listed(all: &[String]) -> String {
    if all.is_empty() { "<none>".to_owned() } else { output::listed(all) }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "<unknown>" } else { text }
}

fn lifetime(seconds: Option<i64>) -> String {
    match seconds.map(u64::try_from) {
        None => "that of the signer".to_owned(),
        Some(Ok(seconds)) => shown_duration(Duration::from_secs(seconds)),
        Some(Err(_)) => "negative".to_owned(),
    }
}

/// A time and how long ago it was.
pub fn when(time: Option<&str>, now: Timestamp) -> String {
    let Some(text) = time else { return "<unknown>".to_owned() };
    match text.parse::<Timestamp>() {
        Ok(since) => format!("{text} ({} ago)", age(since, now)),
        Err(_) => text.to_owned(),
    }
}

fn decision_line(decision: Option<&Decision>, now: Timestamp) -> String {
    let Some(decision) = decision else { return "nobody approved or denied it".to_owned() };
    format!("{}: {}: {}", set(decision, now), decision.reason, decision.message)
}

/// Which condition was set by which program, and when.
pub fn set(decision: &Decision, now: Timestamp) -> String {
    let by = decision.manager.as_ref().map(|manager| format!(" by the program {manager}"));
    format!("{}{}, {}", decision.type_, by.unwrap_or_default(), when(decision.time.as_deref(), now))
}

/// An issuer in one line.
pub fn issuer_line(issuer: &IssuerFact) -> String {
    match issuer {
        IssuerFact::OtherSigner => "not one of this service".to_owned(),
        IssuerFact::Misspelled => "none: the signer name cannot be read".to_owned(),
        IssuerFact::Missing(id) => format!("{}, which does not exist", described(id)),
        IssuerFact::Unknown { id, why } => format!("{}, which could not be read: {why}", described(id)),
        IssuerFact::Found(found) => match found.as_ref() {
            Found::Unreadable { id, .. } => format!("{}, which cannot be decoded", described(id)),
            Found::Readable(issuer) => {
                let ready = issuer.ready().map_or("Unknown", |ready| ready.status.as_str());
                format!("{}, Ready {ready} ({})", described(&issuer.id), issuer.reason())
            }
        },
    }
}

/// The story as JSON.
#[must_use]
pub fn document(facts: &Facts, verdict: &Verdict) -> Value {
    json!({
        "version": 1,
        "verb": "why",
        "kind": facts.kind.name(),
        "namespace": facts.namespace,
        "name": facts.name,
        "requester": {
            "username": facts.requester.username,
            "uid": facts.requester.uid,
            "groups": facts.requester.groups,
            "extra": facts.requester.extra,
        },
        "created": facts.created,
        "signerName": (facts.kind == Kind::Csr).then_some(&facts.signer),
        "issuerRef": (facts.kind == Kind::CertificateRequest).then_some(&facts.signer),
        "usages": facts.usages,
        "lifetimeSeconds": facts.lifetime_seconds,
        "approval": facts.approval.as_ref().map(decision_document),
        "failure": facts.failure.as_ref().map(decision_document),
        "progress": facts.progress.as_ref().map(decision_document),
        "certificate": facts.certificate,
        "issuer": issuer_document(&facts.issuer),
        "events": events_document(&facts.events),
        "eventsError": facts.events.as_ref().err().map(ToString::to_string),
        "state": verdict.state.name(),
        "why": verdict.text,
        "next": verdict.next,
    })
}

/// Events as JSON; null if they could not be read.
pub fn events_document(events: &Result<Vec<EventFact>, Error>) -> Value {
    events.as_ref().map_or(Value::Null, |events| events.iter().map(EventFact::document).collect())
}

/// A condition as JSON.
pub fn decision_document(decision: &Decision) -> Value {
    json!({
        "type": decision.type_,
        "reason": decision.reason,
        "message": decision.message,
        "time": decision.time,
        "fieldManager": decision.manager,
    })
}

/// An issuer as JSON.
pub fn issuer_document(issuer: &IssuerFact) -> Value {
    let of = |id: &SignerName, exists: Option<bool>, ready: &str, reason: &str, message: &str| {
        json!({
            "kind": kind(id), "namespace": namespace(id), "name": name(id), "exists": exists, "ready": ready,
            "reason": reason, "message": message,
        })
    };
    match issuer {
        IssuerFact::OtherSigner | IssuerFact::Misspelled => Value::Null,
        IssuerFact::Missing(id) => of(id, Some(false), "Unknown", "", ""),
        IssuerFact::Unknown { id, why } => of(id, None, "Unknown", why.code(), &why.to_string()),
        IssuerFact::Found(found) => match found.as_ref() {
            Found::Unreadable { id, cause } => of(id, Some(true), "Unknown", "ObjectUnreadable", cause),
            Found::Readable(issuer) => {
                let ready = issuer.ready().map_or("Unknown", |ready| ready.status.as_str());
                of(&issuer.id, Some(true), ready, issuer.reason(), issuer.message())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::tests_support::{decision, facts, id, ready};
    use crate::why::verdict;

    fn text(facts: &Facts) -> String {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let mut output = Output { json: false, out: &mut out, messages: &mut messages };
        write(facts, &verdict(facts), Timestamp::UNIX_EPOCH, &mut output).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_story_has_one_line_for_each_fact() {
        let told = text(&facts(decision("Approved", "R"), ready("True", "Ready")));
        for line in [
            "Name:          CertificateSigningRequest web",
            "State:         Waiting",
            "Groups:        <none>",
            "Issuer:        TCSIssuer sandbox/ca, Ready True (Ready)",
            "Lifetime:      that of the signer",
            "Approval:      Approved, <unknown>: R: said R",
            "Events:        <none>",
            "Next: kubectl tcs doctor",
        ] {
            assert!(told.lines().any(|found| found == line), "{line}:\n{told}");
        }
    }

    #[test]
    fn a_failure_is_told_once() {
        let failed = Facts {
            failure: decision("Failed", "UsageForbidden"),
            ..facts(decision("Approved", "R"), ready("True", "Ready"))
        };
        let told = text(&failed);
        assert!(told.contains("Failure:       Failed, <unknown>: UsageForbidden\n"), "{told}");
        assert_eq!(told.matches("said UsageForbidden").count(), 1, "{told}");
    }

    #[test]
    fn events_that_could_not_be_read_are_not_taken_for_none() {
        let hidden = Facts {
            events: Err(Error::Forbidden { action: "list events".into(), message: "no".into() }),
            ..facts(None, IssuerFact::Missing(id()))
        };
        assert!(text(&hidden).contains("Events:        could not be read: list events: no"));
        let document = document(&hidden, &verdict(&hidden));
        assert_eq!((&document["events"], &document["issuer"]["exists"]), (&Value::Null, &json!(false)));
        assert_eq!(document["eventsError"], "list events: no");
    }
}
