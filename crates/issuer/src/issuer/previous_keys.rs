//! Sealed keys of replaced CAs. Their Secrets are kept until the CA certificates have expired.
//!
//! A CA can be replaced by mistake, or because a clock was wrong. With these Secrets an administrator can
//! restore it (docs/renewal.md).

use super::decide::fingerprint;
use super::sealed_secret::{self, SealedSecret};
use crate::issuer::Issuer;
use crate::runtime::guarded::Guarded;
use crate::time;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use std::collections::{BTreeMap, HashSet};
use tcs_api::sealed;
use tcs_api::v1alpha1::IssuerStatus;
use tcs_enclave_rpc::CaInfo;

/// Maximum number of them for one issuer: as many as `status.previousCas` holds.
const MAX_PER_ISSUER: usize = 16;

/// Stores the sealed key of a CA, which replaces the one in `before`. The status in `before` was read
/// together with it. If the previous key is another CA's, it is stored under a second name first.
pub async fn replace(
    api: &Api<Guarded<Secret>>,
    issuer: &Issuer,
    before: Option<(&SealedSecret, &IssuerStatus)>,
    ca: &CaInfo,
    blob: Vec<u8>,
) -> Result<(), kube::Error> {
    if let Some((previous, status)) = before
        && previous.key.fingerprint != fingerprint(ca)
    {
        let fingerprint = &previous.key.fingerprint;
        let not_after = previous.not_after.clone().or_else(|| not_after_of(status, fingerprint));
        let name = sealed::previous_name(&issuer.uid(), fingerprint);
        let kept = SealedSecret { not_after, version: None, ..previous.clone() };
        sealed_secret::write(api, name, kept).await?;
    }
    let version = before.and_then(|(previous, _)| previous.version.clone());
    sealed_secret::store(api, issuer, ca, blob, version).await
}

/// notAfter of a CA in the status.
fn not_after_of(status: &IssuerStatus, fingerprint: &str) -> Option<String> {
    let present = status.ca.iter().map(|ca| (&ca.fingerprint, &ca.not_after));
    let previous = status.previous_cas.iter().map(|ca| (&ca.fingerprint, &ca.not_after));
    present.chain(previous).find(|(name, _)| *name == fingerprint).map(|(_, end)| end.clone())
}

/// The names of the Secrets that can be deleted: the CA has expired, or the issuer has too many such Secrets
/// and this one is among the oldest. `trusted` is the time in Unix seconds, if it is trusted; otherwise no CA
/// counts as expired.
///
/// A CA whose end cannot be read is not taken for expired. A key whose generation cannot be read counts as
/// the oldest.
pub fn outdated<'a>(secrets: impl Iterator<Item = &'a ObjectMeta>, trusted: Option<i64>) -> HashSet<String> {
    let mut outdated = HashSet::new();
    let mut kept: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for secret in secrets {
        let Some(name) = secret.name.as_deref().filter(|name| sealed::is_previous(name)) else { continue };
        let Some(issuer) = sealed::issuer_uid(name) else { continue };
        let annotation = |key: &str| secret.annotations.as_ref().and_then(|all| all.get(key));
        let end = annotation(sealed::NOT_AFTER).and_then(|end| time::parse(end));
        if trusted.zip(end).is_some_and(|(now, end)| end < now) {
            outdated.insert(name.to_owned());
            continue;
        }
        let generation = annotation(sealed::GENERATION).and_then(|number| number.parse().ok()).unwrap_or(0);
        kept.entry(issuer).or_default().push((generation, name));
    }
    for mut of_one in kept.into_values() {
        of_one.sort_unstable_by(|one, other| other.cmp(one));
        outdated.extend(of_one.into_iter().skip(MAX_PER_ISSUER).map(|(_, name)| name.to_owned()));
    }
    outdated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(uid: &str, number: u64, end: Option<&str>) -> ObjectMeta {
        let annotations =
            [(sealed::GENERATION, Some(number.to_string())), (sealed::NOT_AFTER, end.map(Into::into))];
        let annotations = annotations.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        ObjectMeta {
            name: Some(sealed::previous_name(uid, &format!("{number:064x}"))),
            annotations: Some(annotations.collect()),
            ..ObjectMeta::default()
        }
    }

    fn numbers(outdated: &HashSet<String>) -> Vec<u64> {
        let number = |name: &String| u64::from_str_radix(name.split_once('.').unwrap().1, 16).unwrap();
        let mut all: Vec<_> = outdated.iter().map(number).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn review_m4_a_replaced_key_is_kept_until_its_ca_has_expired_by_a_trusted_clock() {
        let all = [
            secret("a", 1, Some("1970-01-01T00:16:39Z")),
            secret("a", 2, Some("1970-01-01T00:16:40Z")),
            secret("a", 3, Some("9999-12-31T23:59:59Z")),
            secret("a", 4, Some("some day")),
            secret("a", 5, None),
            ObjectMeta { name: Some(sealed::name("a")), ..secret("a", 6, Some("1970-01-01T00:00:00Z")) },
            ObjectMeta { name: Some("wrapped-key.x".into()), ..secret("a", 7, Some("1970-01-01T00:00:00Z")) },
        ];
        let at = |trusted| numbers(&outdated(all.iter(), trusted));
        assert_eq!(at(Some(1000)), [1]);
        assert_eq!(at(Some(i64::MAX)), [1, 2, 3]);
        assert_eq!(at(None), [0; 0]);
    }

    #[test]
    fn review_m4_the_oldest_are_deleted_when_an_issuer_has_too_many() {
        let mut all: Vec<_> = (1..=18).map(|number| secret("a", number, None)).collect();
        all.extend((1..=16).map(|number| secret("b", number, None)));
        all.reverse();
        assert_eq!(numbers(&outdated(all.iter(), None)), [1, 2]);
        assert!(outdated(all.iter(), None).iter().all(|name| sealed::issuer_uid(name) == Some("a")));
    }

    #[test]
    fn review_m4_the_end_of_a_key_that_an_earlier_version_sealed_is_taken_from_the_status() {
        use tcs_api::v1alpha1::{CaStatus, PreviousCa};
        let ca =
            |name: &str| CaStatus { fingerprint: name.into(), not_after: "1".into(), ..CaStatus::default() };
        let old = PreviousCa { fingerprint: "old".into(), not_after: "2".into(), ..PreviousCa::default() };
        let status = IssuerStatus { ca: Some(ca("new")), previous_cas: vec![old], ..IssuerStatus::default() };
        let ends = ["new", "old", "other"].map(|name| not_after_of(&status, name));
        assert_eq!(ends, [Some("1".into()), Some("2".into()), None]);
    }
}
