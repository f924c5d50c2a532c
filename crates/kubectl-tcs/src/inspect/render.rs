//! A certificate as text and as JSON.

use super::authority::{Match, Search};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::issuers::{described, kind, name, namespace};
use crate::output::Output;
use crate::time::{days_until, shown_seconds};
use jiff::Timestamp;
use serde_json::{Value, json};
use tcs_api::v1alpha1::PolicySpec;

/// Whether a certificate is valid at a time.
fn validity(certificate: &Certificate, now: Timestamp) -> &'static str {
    let (from, until) = certificate.validity();
    match now.as_second() {
        second if second < from => "NotYetValid",
        second if second > until => "Expired",
        _ => "Valid",
    }
}

fn days_left(certificate: &Certificate, now: Timestamp) -> Option<i64> {
    let (_, until) = certificate.validity();
    Timestamp::from_second(until).ok().map(|end| days_until(end, now))
}

/// Writes everything as text.
pub fn write(
    certificates: &[Certificate],
    search: Option<&Search>,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    for (number, certificate) in (1..).zip(certificates) {
        output.line(&format!("Certificate {number} of {}", certificates.len()))?;
        write_one(certificate, now, output)?;
    }
    output.line("")?;
    match search {
        Some(search) => write_search(search, output),
        None => output.line("Signed by:     not looked up (--offline)"),
    }
}

fn write_one(certificate: &Certificate, now: Timestamp, output: &mut Output<'_>) -> Result<(), Error> {
    let mut field = |title: &str, text: &str| {
        let text = if text.is_empty() { "<none>" } else { text };
        output.line(&format!("  {:<14}{text}", format!("{title}:")))
    };
    let (from, until) = certificate.validity();
    let days = days_left(certificate, now).map(|days| format!(", {days} days left"));
    field("Subject", &certificate.subject())?;
    field("Names", &certificate.names().join(", "))?;
    field("Usages", &certificate.usages().join(", "))?;
    field("CA", if certificate.is_ca() { "yes" } else { "no" })?;
    field(
        "Validity",
        &format!(
            "{} ({} to {}{})",
            validity(certificate, now),
            shown_seconds(from),
            shown_seconds(until),
            days.unwrap_or_default()
        ),
    )?;
    field("Serial", &certificate.serial())?;
    field("Issuer name", &certificate.issuer())?;
    field("Fingerprint", &format!("{} (SHA-256)", certificate.fingerprint))
}

fn write_search(search: &Search, output: &mut Output<'_>) -> Result<(), Error> {
    if search.matches.is_empty() {
        output.line(&format!(
            "Signed by:     none of the {} issuers of the cluster that were compared",
            search.compared
        ))?;
    }
    for found in &search.matches {
        output.line(&format!("Signed by:     {}, {}", described(&found.issuer.id), found.relation.text()))?;
        output.line("Policies:      the baseline policy of the service (docs/signers.md)")?;
        let spec = &found.issuer.spec;
        write_policy("spec.ca.policy", spec.ca.as_ref().and_then(|ca| ca.policy.as_ref()), output)?;
        write_policy("spec.policy", spec.policy.as_ref(), output)?;
    }
    search.unchecked.iter().try_for_each(|what| output.line(&format!("Not compared:  {what}")))
}

fn write_policy(field: &str, policy: Option<&PolicySpec>, output: &mut Output<'_>) -> Result<(), Error> {
    match policy {
        Some(policy) => output.line(&format!("               {field} as it is now: {}", json!(policy))),
        None => Ok(()),
    }
}

/// Everything as JSON.
#[must_use]
pub fn document(certificates: &[Certificate], search: Option<&Search>, now: Timestamp) -> Value {
    let shown = |certificate: &Certificate| {
        let mut document = certificate.document();
        if let Some(members) = document.as_object_mut() {
            members.insert("validity".into(), validity(certificate, now).into());
            members.insert("daysLeft".into(), days_left(certificate, now).into());
        }
        document
    };
    let signers = search.map(|search| {
        let signer = |found: &Match| {
            let (id, spec) = (&found.issuer.id, &found.issuer.spec);
            json!({
                "kind": kind(id), "namespace": namespace(id), "name": name(id),
                "relation": found.relation.name(),
                "caPolicy": spec.ca.as_ref().and_then(|ca| ca.policy.as_ref()),
                "policy": spec.policy,
            })
        };
        search.matches.iter().map(signer).collect::<Vec<_>>()
    });
    json!({
        "version": 1,
        "verb": "inspect",
        "certificates": certificates.iter().map(shown).collect::<Vec<_>>(),
        "signedBy": signers,
        "compared": search.map(|search| search.compared),
        "unchecked": search.map(|search| &search.unchecked),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf() -> Vec<Certificate> {
        Certificate::all(include_bytes!("../../tests/data/leaf.pem")).unwrap()
    }

    #[test]
    fn a_clock_before_and_after_the_certificate_is_named() {
        let leaf = leaf();
        let (from, until) = leaf[0].validity();
        for (second, expected) in
            [(from - 1, "NotYetValid"), (from, "Valid"), (until, "Valid"), (until + 1, "Expired")]
        {
            let now = Timestamp::from_second(second).unwrap();
            assert_eq!(document(&leaf, None, now)["certificates"][0]["validity"], expected);
        }
    }

    #[test]
    fn offline_nothing_is_said_about_issuers() {
        let document = document(&leaf(), None, Timestamp::UNIX_EPOCH);
        assert_eq!((&document["signedBy"], &document["compared"]), (&Value::Null, &Value::Null));
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let mut output = Output { json: false, out: &mut out, messages: &mut messages };
        write(&leaf(), None, Timestamp::UNIX_EPOCH, &mut output).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("not looked up (--offline)") && text.contains("DNS:web.example"), "{text}");
    }
}
