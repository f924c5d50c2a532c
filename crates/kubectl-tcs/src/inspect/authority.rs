//! Which issuer signed a certificate. Signatures decide, not names. Pure.

use crate::certificate::Certificate;
use crate::issuers::{Issuer, described};

/// The longest chain that is followed.
const LONGEST_CHAIN: usize = 8;

/// How a certificate belongs to an issuer. The closest relation comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// It is the certificate of its current CA or of one that was replaced.
    IsCa,
    /// The current CA signed it.
    CurrentCa,
    /// A CA that was replaced signed it.
    EarlierCa,
    /// Another CA, which is below the trust anchor of the issuer, signed it.
    BelowTrustAnchor,
}

impl Relation {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IsCa => "IsCa",
            Self::CurrentCa => "CurrentCa",
            Self::EarlierCa => "EarlierCa",
            Self::BelowTrustAnchor => "BelowTrustAnchor",
        }
    }

    /// Whether the issuer signed it.
    #[must_use]
    pub fn is_signature(self) -> bool {
        matches!(self, Self::CurrentCa | Self::EarlierCa)
    }
}

/// An issuer to which a certificate belongs.
pub struct Match {
    /// The issuer.
    pub issuer: Issuer,
    /// How.
    pub relation: Relation,
}

/// What the cluster knows about a certificate.
pub struct Search {
    /// The issuers to which it belongs, the closest first.
    pub matches: Vec<Match>,
    /// How many issuers were compared completely.
    pub compared: usize,
    /// What could not be compared, and why.
    pub unchecked: Vec<String>,
}

impl Search {
    /// Takes the result for one issuer. Only what is known decides that it did not sign.
    pub fn take(&mut self, issuer: Issuer, relation: Option<Relation>, missing: Vec<String>) {
        let is_settled = relation.is_some_and(|relation| relation != Relation::BelowTrustAnchor);
        if is_settled || missing.is_empty() {
            self.compared = self.compared.saturating_add(1);
        } else {
            self.unchecked.extend(missing);
        }
        self.matches.extend(relation.map(|relation| Match { issuer, relation }));
        self.matches.sort_by_key(|found| found.relation);
    }
}

/// The certificates that the status of an issuer contains: the trust anchors of its CAs.
#[must_use]
pub fn known_certificates(issuer: &Issuer) -> Vec<Certificate> {
    anchors(issuer).filter_map(|pem| Certificate::all(pem.as_bytes()).ok()).flatten().collect()
}

fn anchors(issuer: &Issuer) -> impl Iterator<Item = &str> {
    let current = issuer.status.ca.iter().map(|ca| ca.trust_anchor.as_str());
    let earlier = issuer.status.previous_cas.iter().map(|ca| ca.trust_anchor.as_str());
    current.chain(earlier).filter(|pem| !pem.is_empty())
}

fn fingerprints(issuer: &Issuer) -> impl Iterator<Item = &str> {
    let current = issuer.status.ca.iter().map(|ca| ca.fingerprint.as_str());
    current.chain(issuer.status.previous_cas.iter().map(|ca| ca.fingerprint.as_str()))
}

/// What of an issuer cannot be compared: each CA without a certificate among `known`, and each trust anchor
/// that cannot be read.
#[must_use]
pub fn missing(issuer: &Issuer, known: &[&Certificate]) -> Vec<String> {
    let name = described(&issuer.id);
    let is_missing = |wanted: &&str| known.iter().all(|found| found.fingerprint != **wanted);
    let without = fingerprints(issuer).filter(is_missing);
    let mut all: Vec<String> = without
        .map(|ca| format!("{name}: there is no certificate of its CA with the fingerprint {ca:?}"))
        .collect();
    let causes = anchors(issuer).filter_map(|pem| Certificate::all(pem.as_bytes()).err());
    all.extend(causes.map(|cause| format!("{name}: a trust anchor in its status cannot be read: {cause}")));
    all
}

/// How a certificate belongs to an issuer, if it does. `others` are the certificates that came with it,
/// `known` those of the issuer.
#[must_use]
pub fn relation(
    leaf: &Certificate,
    others: &[Certificate],
    known: &[Certificate],
    issuer: &Issuer,
) -> Option<Relation> {
    if fingerprints(issuer).any(|own| own == leaf.fingerprint) {
        return Some(Relation::IsCa);
    }
    let pool: Vec<&Certificate> = known.iter().chain(others).collect();
    let signers: Vec<&Certificate> =
        pool.iter().copied().filter(|candidate| leaf.is_signed_by(candidate)).collect();
    let current = issuer.status.ca.as_ref().map(|ca| ca.fingerprint.as_str());
    if signers.iter().any(|ca| Some(ca.fingerprint.as_str()) == current) {
        return Some(Relation::CurrentCa);
    }
    if signers.iter().any(|ca| fingerprints(issuer).any(|own| own == ca.fingerprint)) {
        return Some(Relation::EarlierCa);
    }
    let anchors = known_certificates(issuer);
    let path = chain(leaf, &pool);
    let is_below = path.iter().any(|link| anchors.iter().any(|anchor| link.is_signed_by(anchor)));
    is_below.then_some(Relation::BelowTrustAnchor)
}

/// The certificate and those above it, each signed by the next.
#[must_use]
pub fn chain<'a>(leaf: &'a Certificate, pool: &[&'a Certificate]) -> Vec<&'a Certificate> {
    let (mut path, mut current) = (vec![leaf], leaf);
    while path.len() < LONGEST_CHAIN {
        let above = pool.iter().copied().find(|candidate| {
            path.iter().all(|link| link.fingerprint != candidate.fingerprint)
                && current.is_signed_by(candidate)
        });
        let Some(above) = above else { break };
        path.push(above);
        current = above;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuers::tests_support::issuer;
    use tcs_api::v1alpha1::{CaStatus, PreviousCa};

    const CA: &str = include_str!("../../tests/data/ca.pem");
    /// Another CA of the same name.
    const IMPOSTOR: &str = include_str!("../../tests/data/impostor.pem");

    fn certificate(pem: &str) -> Certificate {
        Certificate::all(pem.as_bytes()).unwrap().remove(0)
    }

    fn leaf() -> Certificate {
        certificate(include_str!("../../tests/data/leaf.pem"))
    }

    fn with_ca(pem: &str) -> Issuer {
        let mut issuer = issuer("True", "Ready", true);
        issuer.status.ca = Some(CaStatus {
            fingerprint: certificate(pem).fingerprint,
            trust_anchor: pem.to_owned(),
            ..CaStatus::default()
        });
        issuer
    }

    fn found(issuer: &Issuer, others: &[Certificate]) -> Option<Relation> {
        relation(&leaf(), others, &known_certificates(issuer), issuer)
    }

    #[test]
    fn the_signature_decides_and_not_the_name() {
        assert_eq!(certificate(CA).subject(), certificate(IMPOSTOR).subject());
        assert_eq!(found(&with_ca(CA), &[]), Some(Relation::CurrentCa));
        assert_eq!(found(&with_ca(IMPOSTOR), &[]), None);
        assert_eq!(found(&with_ca(IMPOSTOR), &[certificate(CA)]), None, "the file vouches for nobody");
    }

    #[test]
    fn an_earlier_ca_is_told_from_the_current_one() {
        let mut issuer = with_ca(IMPOSTOR);
        issuer.status.previous_cas = vec![PreviousCa {
            fingerprint: certificate(CA).fingerprint,
            trust_anchor: CA.to_owned(),
            ..PreviousCa::default()
        }];
        assert_eq!(found(&issuer, &[]), Some(Relation::EarlierCa));
    }

    #[test]
    fn a_ca_that_is_not_known_is_below_its_anchor() {
        let mut issuer = with_ca(CA);
        issuer.status.ca.as_mut().unwrap().fingerprint = "ab".repeat(32);
        assert_eq!(found(&issuer, &[]), Some(Relation::BelowTrustAnchor));
    }

    #[test]
    fn the_certificate_of_a_ca_is_recognized_by_its_fingerprint() {
        let ca = certificate(CA);
        let of = |issuer: &Issuer| relation(&ca, &[], &known_certificates(issuer), issuer);
        assert_eq!(of(&with_ca(CA)), Some(Relation::IsCa));
        assert_eq!(of(&with_ca(IMPOSTOR)), None);
    }

    #[test]
    fn an_issuer_of_which_not_everything_is_known_was_not_compared() {
        let search = |issuer: Issuer, relation: Option<Relation>| {
            let known = known_certificates(&issuer);
            let missing = missing(&issuer, &known.iter().collect::<Vec<_>>());
            let mut search = Search { matches: Vec::new(), compared: 0, unchecked: Vec::new() };
            search.take(issuer, relation, missing);
            (search.compared, search.unchecked)
        };
        assert_eq!(search(with_ca(IMPOSTOR), None), (1, vec![]));
        let mut incomplete = with_ca(IMPOSTOR);
        let earlier =
            |fingerprint: &str| PreviousCa { fingerprint: fingerprint.into(), ..PreviousCa::default() };
        incomplete.status.previous_cas = vec![earlier("aa"), earlier("bb")];
        incomplete.status.ca.as_mut().unwrap().fingerprint = "cc".to_owned();
        let (compared, unchecked) = search(incomplete.clone(), None);
        assert_eq!((compared, unchecked.len()), (0, 3), "{unchecked:?}");
        assert!(
            unchecked[0].contains("TCSIssuer sandbox/ca") && unchecked[0].contains("\"cc\""),
            "{unchecked:?}"
        );
        assert_eq!(search(incomplete.clone(), Some(Relation::BelowTrustAnchor)).0, 0);
        assert_eq!(search(incomplete, Some(Relation::CurrentCa)), (1, vec![]), "this is known");
        let mut unreadable = with_ca(CA);
        unreadable.status.ca.as_mut().unwrap().trust_anchor = "nothing".to_owned();
        let (compared, unchecked) = search(unreadable, None);
        assert!(compared == 0 && unchecked.concat().contains("cannot be read"), "{unchecked:?}");
    }

    #[test]
    fn the_chain_ends_where_nothing_signed_the_last_link() {
        let (leaf, ca, other) = (leaf(), certificate(CA), certificate(IMPOSTOR));
        let fingerprints =
            |path: Vec<&Certificate>| path.iter().map(|link| link.fingerprint.clone()).collect::<Vec<_>>();
        assert_eq!(fingerprints(chain(&leaf, &[&other, &ca])), [leaf.fingerprint.as_str(), &ca.fingerprint]);
        assert_eq!(fingerprints(chain(&leaf, &[&other])), [leaf.fingerprint.as_str()]);
    }

    #[test]
    fn a_certificate_is_shown_with_all_that_it_says() {
        let leaf = leaf();
        assert_eq!((leaf.common_name.as_deref(), leaf.is_ca()), (Some("web"), false));
        assert_eq!(leaf.usages(), ["digital signature", "server auth", "client auth"]);
        let names = [
            "DNS:web.example",
            "IP:10.1.2.3",
            "IP:2001:db8::1",
            "URI:spiffe://example.org/web",
            "email:a@b.example",
        ];
        assert_eq!(leaf.names(), names);
        assert!(certificate(CA).is_ca() && certificate(CA).is_signed_by(&certificate(CA)));
        assert!(!leaf.is_signed_by(&leaf));
    }
}
