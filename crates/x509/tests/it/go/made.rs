//! Every kind of certificate that is made, checked by every oracle.

use super::{KINDS, Made, faults, nothing_is_wrong_with};
use crate::self_signed::{self, Key};
use crate::{DAY, NOW, ca, params, plain, vectors};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use std::collections::BTreeSet;
use tcs_x509::{CaChain, CertificateProfile, CertificateRequest, IssuanceRequest, Usage, issue};

const USAGES: [Usage; 2] = [Usage::DigitalSignature, Usage::ServerAuth];

/// Vectors whose subjects violate a rule of RFC 5280, with the rules as zlint names them. Subjects are copied
/// byte for byte, and all other oracles read them.
const ODD: &[(&str, &[&str])] = &[
    // An e-mail address in the subject only; a `BMPString`, in which zlint takes each byte for a character.
    ("45-subj-strings", &["e_subj_email_not_in_san", "e_subject_dn_not_printable_characters"]),
];

#[test]
fn nothing_is_wrong_with_what_is_made_of_the_vectors() {
    let (mut made, mut odd) = (Vec::new(), BTreeSet::new());
    for algorithm in KINDS {
        let ca = ca(algorithm);
        for (name, der, _) in vectors::requests() {
            let Ok(request) = CertificateRequest::from_der(&der) else { continue };
            let Ok(leaf) = issue(&params(&request, &USAGES, None), &ca.chain(), &ca) else { continue };
            let mut one = Made::new(&name, &leaf.der, &[], &ca.der);
            if let Some((name, breaks)) = ODD.iter().find(|(odd, _)| *odd == name) {
                one.breaks = breaks;
                odd.insert(name);
            }
            made.push(one);
        }
    }
    assert!(made.len() > 150 && odd.len() == ODD.len(), "{} {odd:?}", made.len());
    nothing_is_wrong_with(&made);
}

/// A request with names of several kinds.
fn request(pair: &KeyPair, with_subject: bool) -> CertificateRequest {
    let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let uri = SanType::URI("spiffe://a.example/ns/b".try_into().unwrap());
    parameters.subject_alt_names.push(uri);
    parameters.distinguished_name = DistinguishedName::new();
    if with_subject {
        parameters.distinguished_name.push(DnType::CommonName, "workload");
    }
    CertificateRequest::from_der(parameters.serialize_request(pair).unwrap().der()).unwrap()
}

/// Self-signed CAs with every kind of key, and leaves with every kind of key under them through every request
/// API.
#[test]
fn nothing_is_wrong_with_self_signed_cas_and_leaves_of_every_kind() {
    let pairs = KINDS.map(|kind| KeyPair::generate_for(kind).unwrap());
    let mut made = Vec::new();
    for algorithm in KINDS {
        let ca = self_signed::root(algorithm);
        made.push(Made::new("a self-signed CA", &ca.der, &[], &ca.der));
        for pair in &pairs {
            for with_subject in [true, false] {
                let request = request(pair, with_subject);
                for profile in [
                    CertificateProfile::KubernetesCsr,
                    CertificateProfile::CertManager,
                    CertificateProfile::PodCertificate,
                ] {
                    let params = IssuanceRequest { profile, ..params(&request, &USAGES, None) };
                    let leaf = issue(&params, &ca.chain(), &ca).unwrap();
                    made.push(Made::new(format!("{profile:?}"), &leaf.der, &[], &ca.der));
                }
            }
        }
    }
    assert_eq!(made.len(), 155);
    nothing_is_wrong_with(&made);
}

/// Leaves from before and after the renewal verify under either certificate of the CA.
#[test]
fn nothing_is_wrong_with_leaves_of_a_ca_renewed_with_its_key() {
    let (request, mut made) = (plain(), Vec::new());
    for kind in KINDS {
        let key = Key(KeyPair::generate_for(kind).unwrap());
        let [old, renewed] = [NOW - DAY, NOW].map(|now| self_signed::signed_at(now, &key, Some(0)));
        assert_ne!(old, renewed);
        made.push(Made::new("the renewed CA", &renewed, &[], &renewed));
        for by in [&old, &renewed] {
            let leaf = issue(&params(&request, &USAGES, None), &chain(by), &key).unwrap().der;
            made.extend([&old, &renewed].map(|anchor| Made::new("a leaf", &leaf, &[], anchor)));
        }
    }
    nothing_is_wrong_with(&made);
}

/// Otherwise they would prove nothing.
#[test]
fn each_oracle_finds_what_is_wrong() {
    let found_by = |made: Made| {
        let found = faults(&[made]).into_iter();
        found.map(|text| text.split(": ").nth(1).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [one, other] = [ca(KINDS[0]), ca(KINDS[0])];
    let leaf = crate::issued(&one, &plain(), None).unwrap().der;
    assert_eq!(found_by(Made::new("good", &leaf, &[], &one.der)), [""; 0]);
    let openssl = "openssl, of all below this anchor";
    assert_eq!(found_by(Made::new("another CA", &leaf, &[], &other.der)), ["Go", "webpki", openssl]);
    let pair = KeyPair::generate().unwrap();
    let der = self_signed::without_key_id("CA", &pair);
    let leaf = issue(&params(&plain(), &USAGES, None), &chain(&der), &Key(pair)).unwrap().der;
    assert_eq!(found_by(Made::new("no key identifiers", &leaf, &[], &der)), ["zlint", openssl]);
}

fn chain(der: &[u8]) -> CaChain {
    CaChain::from_delivered(&[der], NOW).unwrap()
}
