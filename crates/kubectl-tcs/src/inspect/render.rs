//! A certificate as text and as JSON.

use super::authority::{Match, Relation, Search, chain};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::issuers::{described, kind, name, namespace};
use crate::output::{Output, listed};
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
    for (number, (certificate, is_in_chain)) in (1..).zip(certificates.iter().zip(in_chain(certificates))) {
        output.line(&format!("Certificate {number} of {}", certificates.len()))?;
        write_one(certificate, now, output)?;
        if number > 1 {
            let text = if is_in_chain { "above certificate 1" } else { "not in the chain of certificate 1" };
            output.field("  Chain:", 16, text)?;
        }
    }
    output.line("")?;
    match search {
        Some(search) => write_search(search, output),
        None => output.field("Signed by:", 15, "not looked up (--offline)"),
    }
}

/// Which certificates are the first one or above it.
fn in_chain(certificates: &[Certificate]) -> Vec<bool> {
    let Some((first, others)) = certificates.split_first() else { return Vec::new() };
    let chain = chain(first, &others.iter().collect::<Vec<_>>());
    let is_in = |one: &Certificate| chain.iter().any(|link| link.fingerprint == one.fingerprint);
    certificates.iter().map(is_in).collect()
}

fn write_one(certificate: &Certificate, now: Timestamp, output: &mut Output<'_>) -> Result<(), Error> {
    let mut field = |title: &str, text: &str| {
        let text = if text.is_empty() { "<none>" } else { text };
        output.field(&format!("  {title}:"), 16, text)
    };
    let (from, until) = certificate.validity();
    let days = days_left(certificate, now).map(|days| format!(", {days} days left"));
    field("Subject", &certificate.subject())?;
    field("Names", &listed(&certificate.names()))?;
    field("Usages", &listed(&certificate.usages()))?;
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
    output.line("Certificate 1 was compared with the issuers of the cluster.")?;
    if !search.matches.iter().any(|found| found.relation.is_signature()) {
        let text = format!("none of the {} issuers that were compared completely", search.compared);
        output.field("Signed by:", 15, &text)?;
    }
    for found in &search.matches {
        let issuer = described(&found.issuer.id);
        let (title, text) = match found.relation {
            Relation::IsCa => ("CA of:", issuer),
            Relation::CurrentCa => ("Signed by:", format!("{issuer}, with its current CA")),
            Relation::EarlierCa => ("Signed by:", format!("{issuer}, with a CA that was replaced since")),
            Relation::BelowTrustAnchor => (
                "Below:",
                format!("the trust anchor of {issuer}; another CA than those of this issuer signed it"),
            ),
        };
        output.field(title, 15, &text)?;
        if found.relation.is_signature() {
            output.field("Policies:", 15, "the baseline policy of the service (docs/signers.md)")?;
            let spec = &found.issuer.spec;
            write_policy("spec.ca.policy", spec.ca.as_ref().and_then(|ca| ca.policy.as_ref()), output)?;
            write_policy("spec.policy", spec.policy.as_ref(), output)?;
        }
    }
    search.unchecked.iter().try_for_each(|what| output.field("Not compared:", 15, what))
}

fn write_policy(field: &str, policy: Option<&PolicySpec>, output: &mut Output<'_>) -> Result<(), Error> {
    match policy {
        Some(policy) => output.field("", 15, &format!("{field} as it is now: {}", json!(policy))),
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
    let mut shown: Vec<Value> = certificates.iter().map(shown).collect();
    for (document, is_in_chain) in shown.iter_mut().zip(in_chain(certificates)) {
        if let Some(members) = document.as_object_mut() {
            members.insert("inChain".into(), is_in_chain.into());
        }
    }
    let of = |wanted: fn(Relation) -> bool| {
        let found = |search: &Search| {
            let matches = search.matches.iter().filter(|found| wanted(found.relation));
            matches.map(match_document).collect::<Vec<_>>()
        };
        search.map(found)
    };
    json!({
        "version": 1,
        "verb": "inspect",
        "certificates": shown,
        "comparedFingerprint": certificates.first().filter(|_| search.is_some()).map(|first| &first.fingerprint),
        "signedBy": of(Relation::is_signature),
        "caOf": of(|relation| relation == Relation::IsCa),
        "belowTrustAnchorOf": of(|relation| relation == Relation::BelowTrustAnchor),
        "compared": search.map(|search| search.compared),
        "unchecked": search.map(|search| &search.unchecked),
    })
}

fn match_document(found: &Match) -> Value {
    let (id, spec) = (&found.issuer.id, &found.issuer.spec);
    json!({
        "kind": kind(id), "namespace": namespace(id), "name": name(id),
        "relation": found.relation.name(),
        "caPolicy": spec.ca.as_ref().and_then(|ca| ca.policy.as_ref()),
        "policy": spec.policy,
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
    fn what_another_ca_signed_is_not_shown_as_signed_by_the_issuer() {
        let pem = [
            &include_bytes!("../../tests/data/leaf.pem")[..],
            include_bytes!("../../tests/data/impostor.pem"),
        ];
        let certificates = Certificate::all(&pem.concat()).unwrap();
        let search = |relation| {
            let mut search = Search { matches: Vec::new(), compared: 0, unchecked: Vec::new() };
            search.take(
                crate::issuers::tests_support::issuer("True", "Ready", true),
                Some(relation),
                Vec::new(),
            );
            search
        };
        for (relation, member, title) in [
            (Relation::CurrentCa, "signedBy", "Signed by:     TCSIssuer sandbox/ca, with its current CA"),
            (
                Relation::BelowTrustAnchor,
                "belowTrustAnchorOf",
                "Below:         the trust anchor of TCSIssuer sandbox/ca;",
            ),
            (Relation::IsCa, "caOf", "CA of:         TCSIssuer sandbox/ca"),
        ] {
            let search = search(relation);
            let document = document(&certificates, Some(&search), Timestamp::UNIX_EPOCH);
            for each in ["signedBy", "belowTrustAnchorOf", "caOf"] {
                let expected = usize::from(each == member);
                assert_eq!(document[each].as_array().unwrap().len(), expected, "{each} {relation:?}");
            }
            assert_eq!(document["comparedFingerprint"], certificates[0].fingerprint);
            assert_eq!(document["certificates"][1]["inChain"], false);
            let (mut out, mut messages) = (Vec::new(), Vec::new());
            let mut output = Output { json: false, out: &mut out, messages: &mut messages };
            write(&certificates, Some(&search), Timestamp::UNIX_EPOCH, &mut output).unwrap();
            let text = String::from_utf8(out).unwrap();
            for part in
                [title, "Certificate 1 was compared", "  Chain:        not in the chain of certificate 1"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
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
