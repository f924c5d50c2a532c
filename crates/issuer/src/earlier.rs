//! Sealed CA keys that were replaced: Secrets beside the present one's, until their CAs have ended.
//!
//! A CA can be replaced by mistake, or by a clock that was wrong. With what is kept here an administrator brings it back
//! (docs/renewal.md).

use crate::issuer::Issuer;
use crate::runtime::guarded::Guarded;
use crate::sealed::{Kept, apply};
use crate::time;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use std::collections::{BTreeMap, HashSet};
use tcs_api::sealed;
use tcs_api::v1alpha1::IssuerStatus;
use tcs_enclave_rpc::CaInfo;

/// Most of them for one issuer: as many as `status.previousCas` holds.
const MOST: usize = 16;

/// Keeps the sealed key of a CA in place of the one `before`, which is read with the status that it was read beside. What is replaced by
/// another CA's is kept under a second name first.
pub async fn replace(
    api: &Api<Guarded<Secret>>,
    issuer: &Issuer,
    before: Option<(&Kept, &IssuerStatus)>,
    ca: &CaInfo,
    blob: Vec<u8>,
) -> Result<(), kube::Error> {
    if let Some((kept, status)) = before
        && kept.key.fingerprint != hex::encode(ca.fingerprint.as_slice())
    {
        let fingerprint = &kept.key.fingerprint;
        let not_after = kept.not_after.clone().or_else(|| end_of(status, fingerprint));
        let name = sealed::earlier_name(&issuer.uid(), fingerprint);
        apply(api, name, Kept { not_after, ..kept.clone() }).await?;
    }
    crate::sealed::keep(api, issuer, ca, blob).await
}

/// The end of a CA that the status names.
fn end_of(status: &IssuerStatus, fingerprint: &str) -> Option<String> {
    let present = status.ca.iter().map(|ca| (&ca.fingerprint, &ca.not_after));
    let previous = status.previous_cas.iter().map(|ca| (&ca.fingerprint, &ca.not_after));
    present.chain(previous).find(|(name, _)| *name == fingerprint).map(|(_, end)| end.clone())
}

/// The names of those that are kept no longer: their CA has ended, or the issuer has too many, then the oldest. `trusted`: the time, Unix
/// seconds, while it is trusted; without it nothing has ended.
///
/// An end that cannot be read has not come. A key whose number cannot be read counts as the oldest.
pub fn outdated<'a>(secrets: impl Iterator<Item = &'a ObjectMeta>, trusted: Option<i64>) -> HashSet<String> {
    let mut outdated = HashSet::new();
    let mut lasting: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for secret in secrets {
        let Some(name) = secret.name.as_deref().filter(|name| sealed::is_earlier(name)) else { continue };
        let Some(issuer) = sealed::issuer_uid(name) else { continue };
        let annotation = |key: &str| secret.annotations.as_ref().and_then(|all| all.get(key));
        let end = annotation(sealed::NOT_AFTER).and_then(|end| time::read(end));
        if trusted.zip(end).is_some_and(|(now, end)| end < now) {
            outdated.insert(name.to_owned());
            continue;
        }
        let generation = annotation(sealed::GENERATION).and_then(|number| number.parse().ok()).unwrap_or(0);
        lasting.entry(issuer).or_default().push((generation, name));
    }
    for mut of_one in lasting.into_values() {
        of_one.sort_unstable_by(|one, other| other.cmp(one));
        outdated.extend(of_one.into_iter().skip(MOST).map(|(_, name)| name.to_owned()));
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
            name: Some(sealed::earlier_name(uid, &format!("{number:064x}"))),
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
    fn review_m4_a_replaced_key_is_kept_until_its_ca_has_ended_by_a_trusted_clock() {
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
    fn review_m4_the_oldest_go_when_an_issuer_has_too_many() {
        let mut all: Vec<_> = (1..=18).map(|number| secret("a", number, None)).collect();
        all.extend((1..=16).map(|number| secret("b", number, None)));
        all.reverse();
        assert_eq!(numbers(&outdated(all.iter(), None)), [1, 2]);
        assert!(outdated(all.iter(), None).iter().all(|name| sealed::issuer_uid(name) == Some("a")));
    }

    #[test]
    fn review_m4_the_end_of_a_key_that_an_earlier_version_sealed_is_the_statuss() {
        use tcs_api::v1alpha1::{CaStatus, PreviousCa};
        let ca =
            |name: &str| CaStatus { fingerprint: name.into(), not_after: "1".into(), ..CaStatus::default() };
        let old = PreviousCa { fingerprint: "old".into(), not_after: "2".into(), ..PreviousCa::default() };
        let status = IssuerStatus { ca: Some(ca("new")), previous_cas: vec![old], ..IssuerStatus::default() };
        let ends = ["new", "old", "other"].map(|name| end_of(&status, name));
        assert_eq!(ends, [Some("1".into()), Some("2".into()), None]);
    }
}
