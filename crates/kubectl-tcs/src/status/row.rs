//! One issuer, as `status` shows it.

use crate::certificate::first_of_pem;
use crate::error::Error;
use crate::issuers::{
    Found, Issuer, attestation_name, described, kind, name, namespace, next_steps, signer_name,
};
use crate::output::Output;
use crate::time::days_until;
use jiff::Timestamp;
use serde_json::{Value, json};
use tcs_api::v1alpha1::CaStatus;
use tcs_api::{annotations, reasons};

/// The column at which the text of a note begins.
const NOTE: usize = 19;

/// What is shown about an issuer.
pub struct Row {
    found: Found,
    ca: Option<Ca>,
}

/// The CA of an issuer.
struct Ca {
    /// The common name of the issuing CA, or of the trust anchor above it.
    common_name: Option<String>,
    /// Whether the name is that of the trust anchor above the issuing CA.
    is_anchor_only: bool,
    days_left: Option<i64>,
    status: CaStatus,
}

impl Ca {
    fn of(status: &CaStatus, now: Timestamp) -> Self {
        let anchor = first_of_pem(&status.trust_anchor);
        let end = status.not_after.parse::<Timestamp>().ok();
        Self {
            is_anchor_only: anchor.as_ref().is_some_and(|anchor| anchor.fingerprint != status.fingerprint),
            common_name: anchor.and_then(|anchor| anchor.common_name),
            days_left: end.map(|end| days_until(end, now)),
            status: status.clone(),
        }
    }

    fn shown(&self) -> String {
        match (&self.common_name, self.is_anchor_only) {
            (Some(name), false) => name.clone(),
            (Some(name), true) => format!("below {name}"),
            // Fingerprints are told apart by their first characters.
            (None, _) => self.status.fingerprint.chars().take(16).collect(),
        }
    }

    fn document(&self) -> Value {
        json!({
            "commonName": (!self.is_anchor_only).then_some(&self.common_name),
            "trustAnchorCommonName": self.common_name,
            "fingerprint": self.status.fingerprint,
            "keyAlgorithm": self.status.key_algorithm,
            "keyFormat": self.status.key_format,
            "notAfter": self.status.not_after,
            "daysLeft": self.days_left,
        })
    }
}

impl Row {
    /// What is shown about an issuer at this time.
    pub fn of(found: &Found, now: Timestamp) -> Self {
        let ca = match found {
            Found::Readable(issuer) => issuer.status.ca.as_ref().map(|ca| Ca::of(ca, now)),
            Found::Unreadable { .. } => None,
        };
        Self { found: found.clone(), ca }
    }

    /// The cells of the table.
    pub fn cells(&self) -> [String; 9] {
        let id = self.found.id();
        let place = namespace(id).unwrap_or_default().to_owned();
        let shown_name = format!("{}/{}", kind(id).to_lowercase(), name(id));
        let ca = |text: fn(&Ca) -> String| self.ca.as_ref().map(text).unwrap_or_default();
        let (ready, reason, evidence, assurance) = match &self.found {
            Found::Readable(issuer) => (
                ready(issuer).to_owned(),
                issuer.reason().to_owned(),
                issuer.status.evidence.clone().unwrap_or_default(),
                issuer.status.assurance.clone().unwrap_or_default(),
            ),
            Found::Unreadable { .. } => {
                ("Unknown".to_owned(), reasons::OBJECT_UNREADABLE.to_owned(), String::new(), String::new())
            }
        };
        let days = ca(|ca| ca.days_left.map(|days| days.to_string()).unwrap_or_default());
        let end = ca(|ca| ca.status.not_after.clone());
        [place, shown_name, ready, reason, ca(Ca::shown), end, days, evidence, assurance]
    }

    /// What the issuer waits for and what to do; with `details` also the fingerprint of its CA.
    pub fn write_notes(&self, details: bool, output: &mut Output<'_>) -> Result<(), Error> {
        let id = self.found.id();
        let issuer = match &self.found {
            Found::Readable(issuer) => issuer,
            Found::Unreadable { cause, .. } => {
                output.line("")?;
                return output.line(&format!("{} cannot be read: {cause}", described(id)));
            }
        };
        let steps = next_steps(issuer);
        let has_ended =
            issuer.is_ready() && self.ca.as_ref().and_then(|ca| ca.days_left).is_some_and(|days| days < 0);
        if !details && steps.is_empty() && !issuer.is_outdated() && !has_ended {
            return Ok(());
        }
        output.line("")?;
        output.line(&format!("{}: {}", described(id), said(issuer)))?;
        if issuer.is_outdated() {
            output.line("  The status describes an earlier version of the spec.")?;
        }
        if has_ended {
            output.line("  Its CA has ended although it is Ready: the service has not updated the status, or a clock is wrong.")?;
            output.field("  Next:", NOTE, "kubectl tcs doctor")?;
        }
        if details {
            output.field("  Signer name:", NOTE, &signer_name(id))?;
            self.write_ca(output)?;
        }
        if let Some(value) = pending_renewal(issuer) {
            output.field(
                "  Renewal:",
                NOTE,
                &format!("requested with the value {value:?}, not handled yet"),
            )?;
        }
        steps.iter().try_for_each(|step| output.step("  Next:", NOTE, step))
    }

    fn write_ca(&self, output: &mut Output<'_>) -> Result<(), Error> {
        let Some(ca) = &self.ca else { return Ok(()) };
        output.field("  CA fingerprint:", NOTE, &format!("{} (SHA-256)", ca.status.fingerprint))?;
        output.field("  CA key:", NOTE, &format!("{} ({})", ca.status.key_algorithm, ca.status.key_format))
    }

    /// The JSON document.
    pub fn document(&self) -> Value {
        let id = self.found.id();
        let mut document = json!({
            "kind": kind(id),
            "namespace": namespace(id),
            "name": name(id),
            "signerName": signer_name(id),
        });
        let rest = match &self.found {
            Found::Readable(issuer) => self.readable_document(issuer),
            Found::Unreadable { cause, .. } => json!({
                "ready": "Unknown", "reason": reasons::OBJECT_UNREADABLE, "message": cause, "since": null,
                "upToDate": false, "ca": null, "earlierCas": 0, "evidence": null, "assurance": null,
                "simulated": null, "quoteAttestation": null, "pendingRenewal": null, "next": [],
            }),
        };
        if let (Some(all), Value::Object(rest)) = (document.as_object_mut(), rest) {
            all.extend(rest);
        }
        document
    }

    fn readable_document(&self, issuer: &Issuer) -> Value {
        let offer = issuer.status.offer.as_ref();
        let offer =
            offer.map(|offer| Some(&offer.quote_attestation).filter(|name| !name.is_empty()).cloned());
        json!({
            "ready": ready(issuer),
            "reason": issuer.reason(),
            "message": issuer.message(),
            "since": issuer.ready().map(|ready| ready.last_transition_time.0.to_string()),
            "upToDate": !issuer.is_outdated(),
            "ca": self.ca.as_ref().map(Ca::document),
            "earlierCas": issuer.status.previous_cas.len(),
            "evidence": issuer.status.evidence,
            "assurance": issuer.status.assurance,
            "simulated": issuer.status.simulated,
            "quoteAttestation": offer.map(|name| name.unwrap_or_else(|| attestation_name(&issuer.id))),
            "pendingRenewal": pending_renewal(issuer),
            "next": next_steps(issuer),
        })
    }
}

fn ready(issuer: &Issuer) -> &str {
    issuer.ready().map_or("Unknown", |ready| ready.status.as_str())
}

fn said(issuer: &Issuer) -> String {
    match issuer.ready() {
        Some(ready) => ready.message.clone(),
        None => "The service has not looked at it yet.".to_owned(),
    }
}

/// The value of the annotation that requests a renewal, if it was not handled. The status keeps its first 63
/// characters.
#[must_use]
pub fn pending_renewal(issuer: &Issuer) -> Option<String> {
    let value: String = issuer.annotation(annotations::RENEW)?.chars().take(63).collect();
    (issuer.status.handled_renewal.as_ref() != Some(&value)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuers::tests_support::issuer;

    fn row(ready: &str, reason: &str) -> Row {
        let mut issuer = issuer(ready, reason, false);
        issuer.status.ca = Some(CaStatus {
            fingerprint: "ab".repeat(32),
            not_after: "2026-01-11T00:00:00Z".into(),
            ..CaStatus::default()
        });
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Row::of(&Found::Readable(Box::new(issuer)), now)
    }

    fn notes(row: &Row, details: bool) -> String {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let mut output = Output { json: false, out: &mut out, messages: &mut messages };
        row.write_notes(details, &mut output).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_row_shows_the_ca_and_its_end() {
        let cells = row("True", "Ready").cells();
        assert_eq!(
            cells.each_ref().map(String::as_str),
            [
                "sandbox",
                "tcsissuer/ca",
                "True",
                "Ready",
                "abababababababab",
                "2026-01-11T00:00:00Z",
                "10",
                "",
                ""
            ]
        );
    }

    #[test]
    fn what_is_in_order_needs_no_note() {
        assert_eq!(notes(&row("True", "Ready"), false), "");
        assert!(notes(&row("True", "Ready"), true).contains("CA fingerprint:  abab"));
    }

    #[test]
    fn a_ca_that_has_ended_is_told_although_the_status_says_ready() {
        let mut row = row("True", "Ready");
        row.ca.as_mut().unwrap().days_left = Some(-1);
        assert!(notes(&row, false).contains("Its CA has ended although it is Ready"));
        row.ca.as_mut().unwrap().days_left = Some(0);
        assert_eq!(notes(&row, false), "");
    }

    #[test]
    fn what_waits_says_for_what_and_what_to_do() {
        let shown = notes(&row("False", "AwaitingKey"), false);
        assert!(shown.contains("TCSIssuer sandbox/ca: about AwaitingKey"), "{shown}");
        assert!(shown.contains("Next:            kubectl get -n tcs-issuer quoteattestations"), "{shown}");
    }

    #[test]
    fn the_document_has_the_same_members_for_every_issuer() {
        let id = tcs_api::signer::SignerName::Cluster { name: "x".into() };
        let unreadable = Row::of(&Found::Unreadable { id, cause: "no".into() }, Timestamp::UNIX_EPOCH);
        let keys = |row: &Row| row.document().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&row("True", "Ready")), keys(&unreadable));
        assert_eq!(row("True", "Ready").document()["ca"]["daysLeft"], 10);
    }

    #[test]
    fn a_renewal_that_was_not_handled_is_shown() {
        let Found::Readable(mut issuer) = row("True", "Ready").found else { panic!("it can be read") };
        assert_eq!(pending_renewal(&issuer), None);
        let long = "x".repeat(100);
        issuer.metadata.annotations.get_or_insert_default().insert(annotations::RENEW.into(), long);
        assert_eq!(pending_renewal(&issuer), Some("x".repeat(63)));
        issuer.status.handled_renewal = Some("x".repeat(63));
        assert_eq!(pending_renewal(&issuer), None);
    }
}
