//! `renew`: requests the next CA of an issuer, as `docs/renewal.md` says.

use crate::cli::RenewArgs;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::issuers::{Issuer, IssuerArgument, described, find, kind, name, namespace};
use crate::output::Output;
use crate::status::{pending_renewal, readable};
use jiff::Timestamp;
use serde_json::{Value, json};
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};
use tcs_api::{MAX_PREVIOUS_BY_ANNOTATION, annotations, reasons};

/// How often a change is tried that others change at the same time.
const ATTEMPTS: usize = 5;

/// Sets the annotation that requests the next CA.
pub async fn run(
    args: &RenewArgs,
    cluster: &Cluster,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let argument = IssuerArgument::parse(&args.name)?;
    for _ in 1..ATTEMPTS {
        match try_once(&argument, cluster, now).await {
            // The service just wrote the status: what was checked may have changed.
            Err(error) if error.has_reason("Conflict") => {}
            done => return done.and_then(|(issuer, value)| report(&issuer, &value, output)),
        }
    }
    let (issuer, value) = try_once(&argument, cluster, now).await?;
    report(&issuer, &value, output)
}

async fn try_once(
    argument: &IssuerArgument,
    cluster: &Cluster,
    now: Timestamp,
) -> Result<(Issuer, String), Error> {
    let (mut found, forbidden) = find(cluster, argument).await?;
    if let Some(error) = forbidden {
        // Which of the two is meant cannot be known.
        return Err(error);
    }
    let Some(only) = found.pop().filter(|_| found.is_empty()) else {
        return Err(Error::Ambiguous(argument.name.clone()));
    };
    let issuer = readable(only)?;
    check(&issuer)?;
    let value = new_value(&issuer, now);
    annotate(cluster, &issuer, &value).await?;
    Ok((issuer, value))
}

/// A value that the issuer does not have yet: each new value requests one renewal.
fn new_value(issuer: &Issuer, now: Timestamp) -> String {
    let used = [issuer.annotation(annotations::RENEW), issuer.status.handled_renewal.as_deref()];
    let mut second = now.as_second();
    while used.contains(&Some(second.to_string().as_str())) {
        second = second.saturating_add(1);
    }
    second.to_string()
}

/// Refuses a renewal that the service would ignore or that cannot help.
fn check(issuer: &Issuer) -> Result<(), Error> {
    let refuse = |reason: &'static str, why: String, advice: &str| {
        let (issuer, advice) = (described(&issuer.id), advice.to_owned());
        Err(Error::RenewalRefused { issuer, reason, why, advice })
    };
    if issuer.status.ca.is_none() {
        let why = format!("it has no CA yet ({})", issuer.reason());
        return refuse("NoCa", why, "wait for its first CA; kubectl tcs status shows what it waits for");
    }
    if issuer.reason() == reasons::KEY_LOST {
        let why = "its key is lost, so there is nothing to renew (KeyLost)".to_owned();
        return refuse("KeyLost", why, "kubectl tcs status shows how to get another CA");
    }
    if issuer.reason() == reasons::RENEWING {
        let why = "its next CA is awaited already (Renewing)".to_owned();
        return refuse("RenewalRunning", why, "kubectl tcs status shows how to deliver it");
    }
    if let Some(value) = pending_renewal(issuer).filter(|_| issuer.is_ready()) {
        let why = format!("a renewal was requested with the value {value:?} and is not handled yet");
        return refuse(
            "RenewalPending",
            why,
            "wait, or find out what holds it back with kubectl tcs status and kubectl tcs doctor",
        );
    }
    let earlier = issuer.status.previous_cas.len();
    if earlier >= MAX_PREVIOUS_BY_ANNOTATION {
        let why =
            format!("{earlier} earlier CA certificates are still valid, and the service renews no further");
        return refuse("TooManyEarlierCas", why, "wait until one of them expires (status.previousCas)");
    }
    Ok(())
}

async fn annotate(cluster: &Cluster, issuer: &Issuer, value: &str) -> Result<Value, Error> {
    // The resourceVersion makes sure that what was checked is what is changed.
    let patch = json!({"metadata": {
        "resourceVersion": issuer.metadata.resource_version,
        "annotations": {annotations::RENEW: value},
    }});
    match &issuer.id {
        SignerName::Namespaced { namespace, name } => {
            cluster.merge::<TCSIssuer>(Some(namespace), name, &patch).await
        }
        SignerName::Cluster { name } => cluster.merge::<TCSClusterIssuer>(None, name, &patch).await,
    }
}

fn report(issuer: &Issuer, value: &str, output: &mut Output<'_>) -> Result<(), Error> {
    let id = &issuer.id;
    if output.json {
        return output.document(&json!({
            "version": 1, "verb": "renew", "kind": kind(id), "namespace": namespace(id), "name": name(id),
            "value": value, "selfSigned": issuer.spec.self_sign,
        }));
    }
    let then = if issuer.spec.self_sign {
        "The service makes the next CA itself"
    } else {
        "A QuoteAttestation requests the next CA from the key owner (docs/integrate-key-server.md)"
    };
    output.line(&format!("{}: the next CA is requested ({}={value}).", described(id), annotations::RENEW))?;
    output.line(&format!("{then}; the current CA signs until then. kubectl tcs status shows the progress."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuers::tests_support::issuer;
    use tcs_api::v1alpha1::{CaStatus, PreviousCa};

    fn with_ca(ready: &str, reason: &str) -> Issuer {
        let mut issuer = issuer(ready, reason, true);
        issuer.status.ca = Some(CaStatus::default());
        issuer
    }

    fn code(issuer: &Issuer) -> &'static str {
        check(issuer).map_or_else(|error| error.code(), |()| "ok")
    }

    #[test]
    fn a_renewal_that_makes_no_sense_is_refused() {
        assert_eq!(code(&with_ca("True", "Ready")), "ok");
        assert_eq!(code(&with_ca("False", "CAExpired")), "ok");
        assert_eq!(code(&issuer("False", "AwaitingKey", false)), "NoCa");
        assert_eq!(code(&with_ca("False", "KeyLost")), "KeyLost");
        assert_eq!(code(&with_ca("True", "Renewing")), "RenewalRunning");
        let mut pending = with_ca("True", "Ready");
        pending.metadata.annotations.get_or_insert_default().insert(annotations::RENEW.into(), "1".into());
        assert_eq!(code(&pending), "RenewalPending");
        pending.status.handled_renewal = Some("1".into());
        assert_eq!(code(&pending), "ok");
        pending.status.previous_cas = vec![PreviousCa::default(); MAX_PREVIOUS_BY_ANNOTATION];
        assert_eq!(code(&pending), "TooManyEarlierCas");
    }

    #[test]
    fn every_value_is_new() {
        let mut issuer = with_ca("True", "Ready");
        let now = Timestamp::from_second(7).unwrap();
        assert_eq!(new_value(&issuer, now), "7");
        issuer.metadata.annotations.get_or_insert_default().insert(annotations::RENEW.into(), "7".into());
        issuer.status.handled_renewal = Some("8".into());
        assert_eq!(new_value(&issuer, now), "9");
    }
}
