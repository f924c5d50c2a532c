//! The story of a Certificate of cert-manager: what cert-manager says about it, and the story of its request.

use super::cert_manager::{Certificate, CertificateRequest, CertificateSpec, CertificateStatus, condition};
use super::certificate_request::{self, decision, facts_of};
use super::events::{self, EventFact};
use super::facts::{Decision, Facts, IssuerFact};
use super::render;
use super::verdict::{State, Verdict, verdict};
use crate::cluster::{Cluster, decode, without_record};
use crate::command::{with_name, word};
use crate::error::Error;
use crate::output::{Output, one_blank};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const KIND: &str = "Certificate";
/// cert-manager's annotation of a request with the revision of the Certificate that it is for.
const REVISION: &str = "cert-manager.io/certificate-revision";
/// The pause after a failure by cert-manager's defaults, which doubles with each further one, in hours.
const FIRST_PAUSE: i64 = 1;
/// The longest such pause, in hours.
const LONGEST_PAUSE: i64 = 32;

/// A Certificate and what belongs to it.
struct Story {
    namespace: String,
    name: String,
    spec: CertificateSpec,
    status: CertificateStatus,
    issuer: IssuerFact,
    /// The request of the highest revision.
    request: Result<Option<Facts>, Error>,
    events: Result<Vec<EventFact>, Error>,
}

/// Tells the story.
pub async fn run(
    cluster: &Cluster,
    name: &str,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let story = gather(cluster, name).await?;
    let verdict = told(&story);
    if output.json {
        output.document(&document(&story, &verdict))
    } else {
        write(&story, &verdict, now, output)
    }
}

async fn gather(cluster: &Cluster, name: &str) -> Result<Story, Error> {
    let namespace = cluster.namespace();
    let found = cluster.get::<Certificate>(Some(namespace), name).await;
    let object = found.map_err(Error::of_cert_manager)?.ok_or_else(|| Error::CertManagerNotFound {
        kind: KIND,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })?;
    let certificate: Certificate = decode(&format!("{KIND} {name}"), without_record(object))?;
    let Certificate { metadata, spec, status } = certificate;
    let uid = metadata.uid.unwrap_or_default();
    let issuer = certificate_request::issuer(cluster, namespace, &spec.issuer_ref).await;
    let request = match newest_request(cluster, namespace, &uid).await {
        Ok(Some(request)) => Ok(Some(facts_of(cluster, namespace, &request).await)),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    let events = events::about(cluster, KIND, Some(namespace), name, &uid).await;
    let status = status.unwrap_or_default();
    Ok(Story {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        spec,
        status,
        issuer,
        request,
        events,
    })
}

/// The request of a Certificate that is for the highest revision, and of these the one made last.
async fn newest_request(
    cluster: &Cluster,
    namespace: &str,
    uid: &str,
) -> Result<Option<CertificateRequest>, Error> {
    let listed = cluster.list::<CertificateRequest>(Some(namespace)).await.map_err(Error::of_cert_manager)?;
    let own = listed.into_iter().filter(|object| is_owned_by(object, uid));
    match own.max_by_key(order) {
        Some(object) => certificate_request::read(&text(&object, "/metadata/name"), object).map(Some),
        None => Ok(None),
    }
}

/// Others of the same name may have been there before, so the UID decides.
fn is_owned_by(object: &Value, uid: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let is_owner = |owner: &Value| owner["controller"] == true && owner["uid"] == uid && !uid.is_empty();
    owners.is_some_and(|owners| owners.iter().any(is_owner))
}

fn order(object: &Value) -> (u64, String) {
    let annotation = object.get("metadata").and_then(|metadata| metadata.get("annotations")?.get(REVISION));
    let revision = annotation.and_then(Value::as_str).and_then(|text| text.parse().ok());
    (revision.unwrap_or_default(), text(object, "/metadata/creationTimestamp"))
}

fn text(object: &Value, path: &str) -> String {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Story {
    fn condition(&self, type_: &str, status: &str) -> Option<Decision> {
        let found = condition(self.status.conditions.as_ref(), type_);
        found.filter(|found| found.status == status).map(decision)
    }

    fn described(&self) -> String {
        format!("{KIND} {}/{}", self.namespace, self.name)
    }

    /// When cert-manager tries again after a failure, by its defaults.
    fn next_attempt(&self) -> Option<Timestamp> {
        let last: Timestamp = self.status.last_failure_time.as_ref()?.parse().ok()?;
        let doublings = self.status.failed_issuance_attempts.unwrap_or(1).saturating_sub(1).clamp(0, 16);
        let doublings = u32::try_from(doublings).ok()?;
        let hours = FIRST_PAUSE.checked_shl(doublings)?.min(LONGEST_PAUSE);
        last.checked_add(SignedDuration::from_hours(hours)).ok()
    }
}

/// What became of a Certificate, why, and what to do. Pure.
fn told(story: &Story) -> Verdict {
    let reference = one_blank(&story.spec.issuer_ref.text());
    let ours =
        "write group tcs.intel.com and kind TCSIssuer or TCSClusterIssuer into spec.issuerRef".to_owned();
    match &story.issuer {
        IssuerFact::OtherSigner => {
            let text = format!(
                "The issuer {reference} is not one of this service, so nothing of it signs for this Certificate."
            );
            return Verdict { state: State::OtherSigner, text, next: vec![ours] };
        }
        IssuerFact::Misspelled => {
            let text = format!(
                "spec.issuerRef is {reference}; expected group tcs.intel.com and kind TCSIssuer or TCSClusterIssuer. \
                 Nobody signs for this Certificate."
            );
            return Verdict { state: State::SignerMisspelled, text, next: vec![ours] };
        }
        IssuerFact::Missing(_) | IssuerFact::Found(_) | IssuerFact::Unknown { .. } => {}
    }
    let is_issuing = story.condition("Issuing", "True").is_some();
    let is_ready = story.condition("Ready", "True").is_some();
    if is_ready && !is_issuing && story.status.last_failure_time.is_none() {
        return issued(story);
    }
    let mut found = match &story.request {
        Ok(Some(request)) => of_request(story, request),
        Ok(None) => without_request(story),
        Err(error) => Verdict {
            state: State::RequestUnknown,
            text: format!("Its request could not be read: {error}."),
            next: vec![error.advice()],
        },
    };
    if matches!(found.state, State::Failed | State::Denied)
        && let Some(next) = story.next_attempt()
    {
        found.text = format!(
            "{} cert-manager tries again at {next} by its defaults, and at once if the Certificate is changed.",
            ended(&found.text)
        );
        found.next.push(with_name(&story.name, |name| {
            format!("cmctl renew -n {} {name}   # makes cert-manager try now", word(&story.namespace))
        }));
    }
    if is_ready {
        let end = story.status.not_after.as_deref().unwrap_or("<unknown>");
        found.text =
            format!("{} The Secret still holds a certificate that is valid until {end}.", ended(&found.text));
    }
    found
}

/// A text that ends as a sentence.
fn ended(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn issued(story: &Story) -> Verdict {
    let CertificateStatus { revision, not_after, renewal_time, .. } = &story.status;
    let or_unknown = |time: &Option<String>| time.clone().unwrap_or_else(|| "<unknown>".to_owned());
    let text = format!(
        "Secret {} holds the certificate of revision {} until {}. It is renewed at {}.",
        story.spec.secret_name,
        revision.unwrap_or_default(),
        or_unknown(not_after),
        or_unknown(renewal_time)
    );
    let next = with_name(&story.spec.secret_name, |secret| {
        format!(
            "kubectl get -n {} secret {secret} -o jsonpath='{{.data.tls\\.crt}}' | base64 -d",
            word(&story.namespace)
        )
    });
    Verdict { state: State::Issued, text, next: vec![next] }
}

fn of_request(story: &Story, request: &Facts) -> Verdict {
    let Verdict { state, text, next } = verdict(request);
    if state != State::Issued {
        return Verdict { state, text: format!("Its request {}: {text}", request.described()), next };
    }
    let text = format!(
        "Its request {} has a certificate, and cert-manager has not stored it in Secret {} yet.",
        request.described(),
        story.spec.secret_name
    );
    Verdict { state: State::Waiting, text, next: look(story) }
}

fn without_request(story: &Story) -> Verdict {
    let said = story.condition("Issuing", "True").or_else(|| story.condition("Ready", "False"));
    let said =
        said.map(|said| format!(" It says: {}: {}", one_blank(&said.reason), one_blank(&said.message)));
    let text = format!("cert-manager has made no request for it yet.{}", said.unwrap_or_default());
    Verdict { state: State::RequestMissing, text, next: look(story) }
}

/// Where cert-manager itself tells what it does.
fn look(story: &Story) -> Vec<String> {
    let namespace = word(&story.namespace);
    vec![
        with_name(&story.name, |name| {
            format!("kubectl describe -n {namespace} certificates.cert-manager.io {name}")
        }),
        "check that cert-manager runs: kubectl get pods -n cert-manager".to_owned(),
    ]
}

/// Writes the story as text: the Certificate, then its request.
fn write(story: &Story, verdict: &Verdict, now: Timestamp, output: &mut Output<'_>) -> Result<(), Error> {
    let mut field = |title: &str, text: &str| output.field(&format!("{title}:"), 15, text);
    field("Name", &story.described())?;
    field("State", verdict.state.name())?;
    field("Issuer", &render::issuer_line(&story.issuer))?;
    field("Secret", &story.spec.secret_name)?;
    for (type_, title) in [("Ready", "Ready"), ("Issuing", "Issuing")] {
        let found = condition(story.status.conditions.as_ref(), type_);
        if let Some(found) = found {
            let told = decision(found);
            let since = render::when(told.time.as_deref(), now);
            field(title, &format!("{} since {since}: {}: {}", found.status, told.reason, told.message))?;
        }
    }
    let status = &story.status;
    for (title, time) in [("Valid until", &status.not_after), ("Renewal", &status.renewal_time)] {
        if let Some(time) = time {
            field(title, time)?;
        }
    }
    if let Some(failed) = &status.last_failure_time {
        let attempts = status.failed_issuance_attempts.unwrap_or_default();
        field(
            "Failure",
            &format!("{attempts} attempts in a row, last at {}", render::when(Some(failed), now)),
        )?;
    }
    render::write_events(&story.events, output)?;
    if let Ok(Some(request)) = &story.request {
        output.line("")?;
        render::write_facts(request, super::verdict::verdict(request).state, now, output)?;
    }
    output.line("")?;
    render::write_verdict(verdict, output)
}

/// The story as JSON.
fn document(story: &Story, told: &Verdict) -> Value {
    let either = |type_: &str| {
        let found = condition(story.status.conditions.as_ref(), type_)?;
        let Decision { type_, reason, message, time, .. } = decision(found);
        let status = &found.status;
        Some(json!({"type": type_, "status": status, "reason": reason, "message": message, "time": time}))
    };
    let request = story.request.as_ref().ok().and_then(Option::as_ref);
    json!({
        "version": 1,
        "verb": "why",
        "kind": KIND,
        "namespace": story.namespace,
        "name": story.name,
        "secretName": story.spec.secret_name,
        "revision": story.status.revision,
        "notAfter": story.status.not_after,
        "renewalTime": story.status.renewal_time,
        "ready": either("Ready"),
        "issuing": either("Issuing"),
        "failedIssuanceAttempts": story.status.failed_issuance_attempts,
        "lastFailureTime": story.status.last_failure_time,
        "nextAttempt": story.next_attempt().map(|time| time.to_string()),
        "issuer": render::issuer_document(&story.issuer),
        "request": request.map(|request| render::document(request, &verdict(request))),
        "requestError": story.request.as_ref().err().map(ToString::to_string),
        "events": render::events_document(&story.events),
        "eventsError": story.events.as_ref().err().map(ToString::to_string),
        "state": told.state.name(),
        "why": told.text,
        "next": told.next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::why::facts::Kind;
    use crate::why::tests_support::{decision as approval, facts, id, ready};

    fn story(status: &Value, request: Result<Option<Facts>, Error>) -> Story {
        let spec = json!({"secretName": "web-tls", "issuerRef": {"group": "tcs.intel.com", "name": "ca"}});
        Story {
            namespace: "sandbox".into(),
            name: "web".into(),
            spec: serde_json::from_value(spec).unwrap(),
            status: serde_json::from_value(status.clone()).unwrap(),
            issuer: ready("True", "Ready"),
            request,
            events: Ok(Vec::new()),
        }
    }

    fn conditions(ready: &str, issuing: Option<&str>) -> Value {
        let mut all =
            vec![json!({"type": "Ready", "status": ready, "reason": "R", "message": "about ready"})];
        all.extend(issuing.map(
            |status| json!({"type": "Issuing", "status": status, "reason": "I", "message": "about it"}),
        ));
        all.into()
    }

    fn request(failure: Option<Decision>) -> Facts {
        Facts {
            kind: Kind::CertificateRequest,
            namespace: Some("sandbox".to_owned()),
            name: "web-1".to_owned(),
            failure,
            ..facts(approval("Approved", "A"), ready("True", "Ready"))
        }
    }

    #[test]
    fn a_certificate_that_is_ready_is_issued_until_its_end() {
        let status = json!({"conditions": conditions("True", None), "revision": 2, "notAfter": "2027-01-01T00:00:00Z"});
        let told = told(&story(&status, Ok(None)));
        assert_eq!(told.state, State::Issued);
        assert!(told.text.contains("revision 2 until 2027-01-01T00:00:00Z"), "{}", told.text);
        assert!(told.next[0].starts_with("kubectl get -n sandbox secret web-tls "), "{:?}", told.next);
    }

    #[test]
    fn a_refusal_of_the_service_is_told_with_the_next_attempt_and_what_is_still_valid() {
        for (attempts, next) in
            [(1, "2026-01-01T01:00:00Z"), (3, "2026-01-01T04:00:00Z"), (90, "2026-01-02T08:00:00Z")]
        {
            let status = json!({
                "conditions": conditions("True", Some("False")), "failedIssuanceAttempts": attempts,
                "lastFailureTime": "2026-01-01T00:00:00Z", "notAfter": "2026-02-01T00:00:00Z",
            });
            let told = told(&story(&status, Ok(Some(request(approval("Failed", "UsageForbidden"))))));
            assert_eq!(told.state, State::Failed);
            for part in
                ["CertificateRequest sandbox/web-1", "UsageForbidden", next, "until 2026-02-01T00:00:00Z"]
            {
                assert!(told.text.contains(part), "{part}: {}", told.text);
            }
            assert!(told.next[0].contains("change the Certificate"), "{:?}", told.next);
            assert!(told.next[1].starts_with("cmctl renew -n sandbox web"), "{:?}", told.next);
        }
    }

    #[test]
    fn without_a_request_cert_manager_is_asked() {
        let status = json!({"conditions": conditions("False", Some("True"))});
        let missing = told(&story(&status, Ok(None)));
        assert_eq!(missing.state, State::RequestMissing);
        assert!(missing.text.contains("I: about it"), "{}", missing.text);
        let unknown =
            told(&story(&status, Err(Error::Unreachable { action: "list".into(), cause: "x".into() })));
        assert_eq!(unknown.state, State::RequestUnknown);
    }

    #[test]
    fn issuers_of_others_are_told_from_misspelled_ones_and_missing_ones() {
        let of = |issuer| Story { issuer, ..story(&json!({}), Ok(None)) };
        assert_eq!(told(&of(IssuerFact::OtherSigner)).state, State::OtherSigner);
        assert_eq!(told(&of(IssuerFact::Misspelled)).state, State::SignerMisspelled);
        let waiting = Facts { issuer: IssuerFact::Missing(id()), ..request(None) };
        let told = told(&story(&json!({"conditions": conditions("False", Some("True"))}), Ok(Some(waiting))));
        assert_eq!(told.state, State::IssuerMissing);
    }

    #[test]
    fn a_request_belongs_to_the_certificate_with_its_uid_and_the_highest_revision_counts() {
        let of = |uid: &str, revision: &str, created: &str| {
            json!({"metadata": {
                "name": "n", "creationTimestamp": created, "annotations": {REVISION: revision},
                "ownerReferences": [{"controller": true, "uid": uid}],
            }})
        };
        assert!(is_owned_by(&of("u", "1", ""), "u") && !is_owned_by(&of("v", "1", ""), "u"));
        assert!(!is_owned_by(&of("", "1", ""), "") && !is_owned_by(&json!({}), "u"));
        assert!(order(&of("u", "10", "")) > order(&of("u", "9", "")));
        assert!(order(&of("u", "9", "2026-01-02")) > order(&of("u", "9", "2026-01-01")));
        assert_eq!(order(&of("u", "no", "")).0, 0);
    }
}
