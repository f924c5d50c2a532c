//! How the issuer's status records CAs.

use crate::issuer::Issuer;
use crate::{pem, time};
use jiff::Timestamp;
use tcs_api::annotations;
use tcs_api::v1alpha1::{CaStatus, IssuerStatus, PreviousCa};
use tcs_enclave_rpc::CaInfo;

/// Maximum number of replaced CAs in the status. If more new CAs are made within the lifetime of one, the
/// trust anchors of the oldest leave the bundle early.
const MAX_PREVIOUS: usize = 16;
/// How long a replaced CA stays in the bundle after the notBefore of the next one, in seconds: 7 days. The
/// clock by which the replaced CA expired may have been wrong, and the API server's too.
const MIN_OVERLAP: i64 = 7 * 86_400;
/// Number of characters of the annotation's value that the status keeps.
const MAX_ANNOTATION: usize = 63;

/// SHA-256 fingerprint of a CA certificate, lower-case hex.
#[must_use]
pub fn fingerprint(ca: &CaInfo) -> String {
    hex::encode(ca.fingerprint.as_slice())
}

/// The status once this CA is the current one of the issuer. The CA that it replaces is recorded, and CAs
/// that have expired are dropped. `trusted` is the time, if it is trusted; otherwise no CA counts as expired.
#[must_use]
pub fn record_ca(
    status: &IssuerStatus,
    issuer: &Issuer,
    ca: &CaInfo,
    trusted: Option<Timestamp>,
) -> IssuerStatus {
    let mut status = status.clone();
    let present = ca_status(ca);
    let before = status.ca.take();
    if before.as_ref().is_none_or(|old| old.fingerprint != present.fingerprint) {
        // A new CA answers whatever the annotation requests, and closes the offer to the key owner.
        status.handled_renewal = requested_renewal(issuer);
        status.offer = None;
    }
    if let Some(old) = before.filter(|old| old.fingerprint != present.fingerprint) {
        let CaStatus { fingerprint, not_after, trust_anchor, .. } = old;
        status.previous_cas.insert(0, PreviousCa { fingerprint, not_after, trust_anchor });
    }
    // A CA whose end cannot be read is not taken for expired.
    let stays_until = ca.not_before.saturating_add(MIN_OVERLAP);
    let expired = |old: &PreviousCa| {
        let ends = time::parse(&old.not_after).map(|end| end.max(stays_until));
        trusted.zip(ends).is_some_and(|(now, end)| end < now.as_second())
    };
    let mut anchors = vec![present.trust_anchor.clone()];
    status.previous_cas.retain(|ca| {
        let new = !expired(ca) && !ca.trust_anchor.is_empty() && !anchors.contains(&ca.trust_anchor);
        anchors.push(ca.trust_anchor.clone());
        new
    });
    status.previous_cas.truncate(MAX_PREVIOUS);
    status.ca = Some(present);
    status
}

/// Whether the CA with this fingerprint (SHA-256, 32 bytes) is or was published according to the status, so
/// that certificates under it may be published.
#[must_use]
pub fn was_published(status: &IssuerStatus, fingerprint: &[u8]) -> bool {
    let fingerprint = hex::encode(fingerprint);
    status.ca.as_ref().is_some_and(|ca| ca.fingerprint == fingerprint)
        || status.previous_cas.iter().any(|ca| ca.fingerprint == fingerprint)
}

/// The trust anchor of a CA that was published, PEM. An earlier version of the service may not have recorded
/// it.
#[must_use]
pub fn trust_anchor<'a>(status: &'a IssuerStatus, fingerprint: &[u8]) -> Option<&'a str> {
    let fingerprint = hex::encode(fingerprint);
    let present = status.ca.as_ref().map(|ca| (&ca.fingerprint, &ca.trust_anchor));
    let previous = status.previous_cas.iter().map(|ca| (&ca.fingerprint, &ca.trust_anchor));
    let mut all = present.into_iter().chain(previous).filter(|(_, anchor)| !anchor.is_empty());
    all.find(|(of, _)| **of == fingerprint).map(|(_, anchor)| anchor.as_str())
}

/// Whether the CA that the enclave holds must be in the status before anything of it is published: the first
/// one of an issuer, and one that was made in place of a lost one. Whatever is lost afterwards, no other CA
/// is made silently (`docs/conformance.md`, W-D2).
#[must_use]
pub fn must_be_recorded(issuer: &Issuer, status: &IssuerStatus, ca: &CaInfo) -> bool {
    let Some(recorded) = &status.ca else { return true };
    recorded.fingerprint != fingerprint(ca) && allows_new_ca(issuer, &recorded.fingerprint)
}

/// Whether the annotation names the lost CA. An annotation that remains from an earlier loss allows nothing.
pub fn allows_new_ca(issuer: &Issuer, old: &str) -> bool {
    issuer.annotation(annotations::NEW_CA) == Some(old)
}

/// The value of the annotation that requests a renewal, cut to what the status keeps.
pub fn requested_renewal(issuer: &Issuer) -> Option<String> {
    issuer.annotation(annotations::RENEW).map(|value| value.chars().take(MAX_ANNOTATION).collect())
}

/// The CA as the status shows it.
fn ca_status(ca: &CaInfo) -> CaStatus {
    CaStatus {
        fingerprint: fingerprint(ca),
        not_after: time::rfc3339(ca.not_after),
        key_algorithm: ca.key_algorithm.clone(),
        key_format: ca.key_format.clone(),
        trust_anchor: pem::certificates(&ca.anchors),
    }
}
