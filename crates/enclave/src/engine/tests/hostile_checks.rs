//! Checks what a hostile controller got signed, with another parser than the enclave's.

use crate::RELEASE_DATE;
use tcs_enclave_rpc::{Issue, Issued, Policy, RequestApi, Texts};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{self, KeyUsages};
use x509_cert::request::CertReq;
use x509_cert::{Certificate, TbsCertificate};

/// Reads a certificate with another parser than the enclave's, and compares it with what was fixed.
pub fn check_issued(issued: &Issued, ca: &[u8], fixed: Option<&Policy>, request: &Issue) {
    let leaf = Certificate::from_der(&issued.chain[0]).unwrap();
    let ca = Certificate::from_der(ca).unwrap();
    let tbs = leaf.tbs_certificate();
    assert_eq!(tbs.issuer(), ca.tbs_certificate().subject());
    let key = ca.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let key =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1, &key);
    key.verify(&tbs.to_der().unwrap(), leaf.signature().raw_bytes()).unwrap();

    let (_, constraints) = tbs.get_extension::<pkix::BasicConstraints>().unwrap().unwrap();
    // A CA only if that was fixed and requested, and less deep than both allow.
    let depths = fixed.into_iter().chain(&request.policy).filter_map(|policy| policy.ca_depth);
    let room = |ca: &Certificate| {
        ca.tbs_certificate().get_extension::<pkix::BasicConstraints>().unwrap().unwrap().1.path_len_constraint
    };
    if constraints.ca {
        assert!(request.is_ca && fixed.is_some_and(|fixed| fixed.ca_depth.is_some()));
        let below = constraints.path_len_constraint.unwrap();
        assert!(depths.chain(room(&ca)).all(|depth| below < depth));
    } else {
        assert!(!request.is_ca && constraints.path_len_constraint.is_none());
    }
    if let Some((_, usage)) = tbs.get_extension::<pkix::KeyUsage>().unwrap() {
        assert_eq!(usage.0.contains(KeyUsages::KeyCertSign), constraints.ca);
        assert!(constraints.ca || !usage.0.contains(KeyUsages::CRLSign));
    }
    assert!(!tbs.subject().to_string().contains("system:"));
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap();
    let (from, until) = (seconds(&tbs.validity().not_before), seconds(&tbs.validity().not_after));
    assert!(from >= RELEASE_DATE && until <= seconds(&ca.tbs_certificate().validity().not_after));
    assert!(until - from <= 365 * 86_400);
    let names =
        tbs.get_extension::<pkix::SubjectAltName>().unwrap().map(|(_, names)| names.0).unwrap_or_default();
    assert!(!names.is_empty() || !tbs.subject().is_empty());
    // Exactly those of the request.
    let csr = CertReq::from_der(&request.request).unwrap();
    assert_eq!(tbs.subject(), &csr.info.subject);
    assert_eq!(tbs.subject_public_key_info(), &csr.info.public_key);
    assert!(
        request.request_api != RequestApi::PodCertificate
            || until - from >= 3600 && until - from <= 91 * 86_400
    );
    check_usages(tbs, fixed.into_iter().chain(&request.policy), request);
    // What was fixed, and what was sent with this request.
    for policy in fixed.into_iter().chain(&request.policy) {
        if let Some(most) = policy.max_lifetime {
            assert!(until - request.now <= i64::try_from(most).unwrap());
        }
        check_names(tbs, &names, policy);
        // Every request here has a key on P-256.
        assert!(
            policy
                .key_algorithms
                .as_ref()
                .is_none_or(|Texts(all)| all.iter().any(|name| name == "ECDSA-P256"))
        );
    }
}

/// As soon as there is one list, every name and organization must be in one.
fn check_names(tbs: &TbsCertificate, names: &[GeneralName], policy: &Policy) {
    let lists = [
        &policy.dns_names,
        &policy.uris,
        &policy.ip_ranges,
        &policy.email_addresses,
        &policy.common_names,
        &policy.organizations,
        &policy.organizational_units,
    ];
    if lists.iter().all(|list| list.is_none()) {
        return;
    }
    let under = |list: &Option<Texts>, name: &str, mark: &str| {
        list.iter().flat_map(|Texts(all)| all).any(|pattern| name.ends_with(pattern.trim_start_matches(mark)))
    };
    for name in names {
        let good = match name {
            GeneralName::DnsName(name) => under(&policy.dns_names, name.as_str(), "**"),
            GeneralName::Rfc822Name(name) => under(&policy.email_addresses, name.as_str(), "*"),
            GeneralName::UniformResourceIdentifier(uri) => {
                policy.uris.is_some() && uri.as_str().starts_with("spiffe://td.example/")
            }
            GeneralName::IpAddress(address) => policy.ip_ranges.is_some() && address.as_bytes()[0] == 10,
            _ => false,
        };
        assert!(good, "{name:?} {policy:?}");
    }
    for pair in tbs.subject().iter() {
        let value = String::from_utf8_lossy(pair.value.value()).into_owned();
        let listed = |list: &Option<Texts>| {
            list.iter().flat_map(|Texts(all)| all).any(|text| text == "*" || *text == value)
        };
        let good = match pair.oid.to_string().as_str() {
            "2.5.4.3" if policy.common_names.is_none() => {
                names.iter().any(|name| matches!(name, GeneralName::DnsName(name) if name.as_str() == value))
            }
            "2.5.4.3" => listed(&policy.common_names),
            "2.5.4.10" => listed(&policy.organizations),
            "2.5.4.11" => listed(&policy.organizational_units),
            _ => true,
        };
        assert!(good, "{value} {policy:?}");
    }
}

/// The requested usages (by default two), no others, and only those that every policy lists.
fn check_usages<'a>(tbs: &TbsCertificate, policies: impl Iterator<Item = &'a Policy>, request: &Issue) {
    let bits = tbs.get_extension::<pkix::KeyUsage>().unwrap().map(|(_, usage)| usage.0);
    let extended = tbs.get_extension::<pkix::ExtendedKeyUsage>().unwrap().map(|(_, usages)| usages.0);
    let extended: Vec<String> = extended.unwrap_or_default().iter().map(ToString::to_string).collect();
    let asked = |name: &str| request.usages.iter().any(|usage| usage == name);
    let none = request.usages.is_empty();
    let found = |bit| bits.is_some_and(|bits| bits.contains(bit));
    assert_eq!(found(KeyUsages::DigitalSignature), none || asked("digital signature"));
    assert_eq!(found(KeyUsages::KeyEncipherment), none);
    assert_eq!(found(KeyUsages::CRLSign), asked("crl sign"));
    assert_eq!(extended.iter().any(|id| id == "1.3.6.1.5.5.7.3.1"), asked("server auth"));
    assert_eq!(extended.iter().any(|id| id == "2.5.29.37.0"), asked("any"));
    assert!(extended.len() <= 2);
    for Texts(listed) in policies.filter_map(|policy| policy.usages.as_ref()) {
        let known =
            |name: &String| listed.contains(name) || ["cert sign", "crl sign"].contains(&name.as_str());
        assert!(!none && request.usages.iter().all(known));
        assert!(!request.is_ca || !extended.is_empty(), "a CA without any could give all");
    }
}
