//! Which issuer signed a certificate. Signatures decide, not names. Pure.

use crate::certificate::Certificate;
use crate::issuers::Issuer;

/// The longest chain that is followed.
const LONGEST_CHAIN: usize = 8;

/// How a certificate belongs to an issuer. The closest relation comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The current CA signed it.
    CurrentCa,
    /// A CA that was replaced signed it.
    EarlierCa,
    /// It is below the trust anchor of the issuer, and another CA signed it.
    BelowTrustAnchor,
}

impl Relation {
    /// The stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CurrentCa => "CurrentCa",
            Self::EarlierCa => "EarlierCa",
            Self::BelowTrustAnchor => "BelowTrustAnchor",
        }
    }

    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::CurrentCa => "with its current CA",
            Self::EarlierCa => "with a CA that was replaced since",
            Self::BelowTrustAnchor => {
                "or another CA below its trust anchor; the issuing CA is in none of the files and Secrets that were read"
            }
        }
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
    /// The issuers below whose CAs it is, the closest first.
    pub matches: Vec<Match>,
    /// How many issuers were compared.
    pub compared: usize,
    /// What could not be compared, and why.
    pub unchecked: Vec<String>,
}

/// Sorts the closest relation first.
pub fn best_first(matches: &mut [Match]) {
    matches.sort_by_key(|found| found.relation);
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

/// How a certificate belongs to an issuer, if it does. `others` are the certificates that came with it,
/// `known` those of the issuer.
#[must_use]
pub fn relation(
    leaf: &Certificate,
    others: &[Certificate],
    known: &[Certificate],
    issuer: &Issuer,
) -> Option<Relation> {
    let pool: Vec<&Certificate> = known.iter().chain(others).collect();
    let signers: Vec<&Certificate> =
        pool.iter().copied().filter(|candidate| leaf.is_signed_by(candidate)).collect();
    let current = issuer.status.ca.as_ref().map(|ca| ca.fingerprint.as_str());
    let is_current = |ca: &&&Certificate| Some(ca.fingerprint.as_str()) == current;
    let is_earlier =
        |ca: &&&Certificate| issuer.status.previous_cas.iter().any(|old| old.fingerprint == ca.fingerprint);
    if signers.iter().any(|ca| is_current(&ca)) {
        return Some(Relation::CurrentCa);
    }
    if signers.iter().any(|ca| is_earlier(&ca)) {
        return Some(Relation::EarlierCa);
    }
    let anchors = known_certificates(issuer);
    reaches(leaf, &pool, &anchors).then_some(Relation::BelowTrustAnchor)
}

/// Whether a path of signatures leads from a certificate to one of the anchors.
fn reaches(leaf: &Certificate, pool: &[&Certificate], anchors: &[Certificate]) -> bool {
    let mut current = leaf;
    for _ in 0..LONGEST_CHAIN {
        if anchors.iter().any(|anchor| current.is_signed_by(anchor)) {
            return true;
        }
        let above = pool.iter().copied().find(|candidate| {
            candidate.fingerprint != current.fingerprint && current.is_signed_by(candidate)
        });
        match above {
            Some(above) => current = above,
            None => return false,
        }
    }
    false
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
