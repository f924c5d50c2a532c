//! No request becomes a certificate outside the rules, whatever its form, the policy and the profile, as
//! another parser reads it.

use crate::go::mutate::{Mutator, Random, Resigned};
use crate::{Ca, NOW, params, request, vectors};
use rcgen::{DnType, DnValue, IsCa, KeyUsagePurpose, SanType};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use tcs_x509::{
    CertificateProfile, CertificateRequest, IssuanceRequest, IssuedCertificate, Policy, PolicyRules, Usage,
    issue,
};
use x509_cert::der::Decode as _;
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{self, KeyUsages};
use x509_cert::{Certificate, TbsCertificate};

/// Number of mutated requests.
const COUNT: usize = 12_000;
const DAY: i64 = 86_400;

/// A policy, and its meaning for a certificate as a second implementation states it.
struct Rule {
    policy: Policy,
    allows: fn(&TbsCertificate) -> bool,
}

/// The first part of DER, with and without its header, and what follows it.
fn first(bytes: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (length, header) = match bytes[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            (bytes[2..2 + count].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), 2 + count)
        }
    };
    let (one, rest) = bytes.split_at(header + length);
    (one, &one[header..], rest)
}

/// The parts of DER, one after the other: their bytes with and without the header.
pub fn parts(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (one, contents, rest) = first(bytes);
        all.push((one, contents));
        bytes = rest;
    }
    all
}

/// The parts that are copied from a request to a certificate, as they are in either.
#[derive(Debug, PartialEq, Eq)]
pub struct Carried<'a> {
    pub subject: &'a [u8],
    pub key: &'a [u8],
    /// The contents of the extension's value.
    pub names: Option<&'a [u8]>,
}

/// The fields of subjectAltName in a sequence of extensions.
fn names_of(extensions: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut all = parts(extensions).into_iter().map(|extension| parts(extension.1));
    all.find(|fields| fields[0].1 == [0x55, 0x1d, 0x11])
}

/// Read from a request.
pub fn asked(request: &[u8]) -> Carried<'_> {
    const EXTENSION_REQUEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e";
    let info = parts(parts(parts(request)[0].1)[0].1);
    let attributes = parts(info[3].1).into_iter().map(|attribute| parts(attribute.1));
    let mut extensions =
        attributes.filter(|fields| fields[0].1 == EXTENSION_REQUEST).map(|fields| first(fields[1].1).1);
    let names = extensions.find_map(names_of).map(|fields| fields.last().unwrap().1);
    Carried { subject: info[1].0, key: info[2].0, names }
}

/// Read from a certificate.
pub fn given(certificate: &[u8]) -> Carried<'_> {
    let tbs = parts(parts(parts(certificate)[0].1)[0].1);
    let names = names_of(parts(tbs[7].1)[0].1).map(|fields| fields.last().unwrap().1);
    Carried { subject: tbs[5].0, key: tbs[6].0, names }
}

/// Whether the alternative names of a certificate are critical.
pub fn names_are_critical(certificate: &[u8]) -> Option<bool> {
    let certificate = Certificate::from_der(certificate).unwrap();
    let mut extensions = certificate.tbs_certificate().extensions()?.iter();
    extensions.find(|extension| extension.extn_id == pkix::SubjectAltName::OID).map(|names| names.critical)
}

fn extension<'a, T: x509_cert::der::Decode<'a> + AssociatedOid>(tbs: &'a TbsCertificate) -> Option<T>
where
    T::Error: std::fmt::Debug,
{
    let found = tbs.extensions()?.iter().find(|extension| extension.extn_id == T::OID)?;
    Some(T::from_der(found.extn_value.as_bytes()).unwrap())
}

fn names(tbs: &TbsCertificate) -> Vec<GeneralName> {
    extension::<pkix::SubjectAltName>(tbs).map(|names| names.0).unwrap_or_default()
}

/// The values of an attribute of the subject.
fn attribute(tbs: &TbsCertificate, id: &str) -> Vec<String> {
    let id = ObjectIdentifier::new_unwrap(id);
    let pairs = tbs.subject().iter().filter(|pair| pair.oid == id);
    pairs.map(|pair| String::from_utf8_lossy(pair.value.value()).into_owned()).collect()
}

fn seconds(time: &x509_cert::time::Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap()
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let texts = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (usages, keys) = (texts(&["digital signature", "server auth"]), texts(&["RSA-3072", "ECDSA-P256"]));
    let (dns, uris, ips, emails) = (
        texts(&["**.example", "a.b"]),
        texts(&["spiffe://td.example/**"]),
        texts(&["10.0.0.0/8"]),
        texts(&["*@a.example"]),
    );
    let (any, mesh) = (texts(&["*"]), texts(&["mesh"]));
    let rule = |rules: PolicyRules<'_>, allows| Rule { policy: Policy::new(&rules).unwrap(), allows };
    let none = PolicyRules::default();
    vec![
        rule(none, |_| true),
        rule(PolicyRules { usages: Some(&usages), ..none }, |tbs| {
            let ca = extension::<pkix::BasicConstraints>(tbs).unwrap().ca;
            let bits = extension::<pkix::KeyUsage>(tbs).map_or(0, |usage| usage.0.into_iter().count());
            let known = extension::<pkix::KeyUsage>(tbs).is_none_or(|usage| {
                usage.0.into_iter().all(|bit| {
                    bit == KeyUsages::DigitalSignature
                        || ca && [KeyUsages::KeyCertSign, KeyUsages::CRLSign].contains(&bit)
                })
            });
            let extended =
                extension::<pkix::ExtendedKeyUsage>(tbs).map(|usages| usages.0).unwrap_or_default();
            let server = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
            known && extended.iter().all(|id| *id == server) && (!ca || !extended.is_empty()) && bits < 4
        }),
        rule(PolicyRules { key_algorithms: Some(&keys), ..none }, |tbs| {
            let key = tbs.subject_public_key_info();
            let curve = key.algorithm.parameters.as_ref().and_then(|value| value.decode_as().ok());
            match key.algorithm.oid.to_string().as_str() {
                "1.2.840.113549.1.1.1" => key.subject_public_key.raw_bytes().len() >= 384,
                _ => curve == Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
            }
        }),
        rule(PolicyRules { max_lifetime: Some(5000), ..none }, |tbs| {
            seconds(&tbs.validity().not_after) - NOW <= 5000
        }),
        rule(
            PolicyRules {
                dns_names: Some(&dns),
                uris: Some(&uris),
                ip_ranges: Some(&ips),
                email_addresses: Some(&emails),
                common_names: Some(&any),
                organizations: Some(&mesh),
                ..none
            },
            |tbs| {
                let inside = |name: &GeneralName| match name {
                    GeneralName::DnsName(name) => {
                        name.as_str().to_ascii_lowercase().ends_with(".example")
                            || name.as_str().eq_ignore_ascii_case("a.b")
                    }
                    GeneralName::UniformResourceIdentifier(uri) => {
                        let uri = uri.as_str();
                        uri.to_ascii_lowercase().starts_with("spiffe://td.example/")
                            && !uri.contains("..")
                            && !uri.contains(['%', '?', '#'])
                    }
                    GeneralName::IpAddress(address) => {
                        address.as_bytes()[0] == 10 && address.as_bytes().len() == 4
                            || address.as_bytes().starts_with(b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a")
                    }
                    GeneralName::Rfc822Name(address) => {
                        address.as_str().to_ascii_lowercase().ends_with("@a.example")
                    }
                    _ => false,
                };
                let of_subject = attribute(tbs, "1.2.840.113549.1.9.1");
                names(tbs).iter().all(inside)
                    && of_subject.iter().all(|address| address.to_ascii_lowercase().ends_with("@a.example"))
                    && attribute(tbs, "2.5.4.10").iter().all(|name| name.is_empty() || name == "mesh")
                    && attribute(tbs, "2.5.4.11").iter().all(String::is_empty)
            },
        ),
        // Names of one kind only, and a common name that is one of them.
        rule(PolicyRules { dns_names: Some(&dns), organizational_units: Some(&any), ..none }, |tbs| {
            let names = names(tbs);
            let is_name = |text: &String| {
                names.iter().any(
                    |name| matches!(name, GeneralName::DnsName(name) if name.as_str().eq_ignore_ascii_case(text)),
                )
            };
            names.iter().all(|name| matches!(name, GeneralName::DnsName(_)))
                && attribute(tbs, "2.5.4.3").iter().all(is_name)
                && attribute(tbs, "2.5.4.10").iter().all(String::is_empty)
        }),
        rule(PolicyRules { ca_depth: Some(1), ..none }, |tbs| {
            extension::<pkix::BasicConstraints>(tbs)
                .unwrap()
                .path_len_constraint
                .is_none_or(|length| length == 0)
        }),
    ]
});

/// Requests that some of the rules allow, in addition to those of the vectors.
fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        vectors::requests().map(|(_, der, _)| der).filter(|der| der.len() < 4096).collect();
    let text = |text: &str| text.try_into().unwrap();
    for _ in 0..20 {
        all.push(request(|parameters| {
            parameters.distinguished_name.push(DnType::CommonName, "a.b");
            parameters.distinguished_name.push(DnType::OrganizationName, "mesh");
            parameters.subject_alt_names = vec![
                SanType::DnsName(text("a.b")),
                SanType::DnsName(text("web.a.example")),
                SanType::URI(text("spiffe://td.example/ns/a/sa/b")),
                SanType::IpAddress([10, 0, 0, 1].into()),
                SanType::Rfc822Name(text("x@a.example")),
            ];
        }));
        all.push(request(|parameters| {
            parameters.distinguished_name.push(DnType::CommonName, "a.b");
            parameters.distinguished_name.push(DnType::OrganizationalUnitName, "unit");
            parameters.subject_alt_names = vec![SanType::DnsName(text("a.b"))];
        }));
        all.push(request(|parameters| {
            let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            parameters.distinguished_name.push(email, DnValue::Ia5String(text("x@a.example")));
            parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
            parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        }));
    }
    all
}

/// Everything that holds whatever was requested, and that what was requested is what was issued.
fn check(issued: &IssuedCertificate, der: &[u8], params: &IssuanceRequest<'_>, rules: &[&Rule], ca: &Ca) {
    assert_eq!(asked(der), given(&issued.der));
    let leaf = Certificate::from_der(&issued.der).unwrap();
    let tbs = leaf.tbs_certificate();
    assert_eq!(tbs.issuer(), Certificate::from_der(&ca.der).unwrap().tbs_certificate().subject());
    let constraints = extension::<pkix::BasicConstraints>(tbs).unwrap();
    let depths: Vec<u8> = rules.iter().filter_map(|rule| rule.policy.ca_depth()).collect();
    assert_eq!(constraints.ca, params.is_ca);
    if constraints.ca {
        assert!(params.fixed.and_then(Policy::ca_depth).is_some());
        assert!(depths.iter().all(|depth| constraints.path_len_constraint.unwrap() < *depth));
        assert!(params.profile != CertificateProfile::PodCertificate);
    }
    let bits = extension::<pkix::KeyUsage>(tbs).map(|usage| usage.0);
    let has = |bit| bits.is_some_and(|bits| bits.contains(bit));
    assert_eq!(has(KeyUsages::KeyCertSign), params.is_ca);
    assert!(params.is_ca || !has(KeyUsages::CRLSign));
    for id in ["2.5.4.3", "2.5.4.10", "2.5.4.11"] {
        for text in attribute(tbs, id) {
            let text = text.trim_start().to_lowercase();
            assert!(!text.starts_with("system:") && !text.starts_with("kubeadm:"), "{text}");
        }
    }
    assert!(!tbs.subject().is_empty() || !names(tbs).is_empty());
    assert!(names(tbs).len() <= 1000);
    let (from, until) = (seconds(&tbs.validity().not_before), seconds(&tbs.validity().not_after));
    assert_eq!((from, until), (issued.not_before, issued.not_after));
    let longest = if params.profile == CertificateProfile::PodCertificate { 91 } else { 365 };
    assert!(from < until && until - from <= longest * DAY && (NOW - 300..=NOW).contains(&from));
    let once: BTreeSet<_> = tbs.extensions().unwrap().iter().map(|extension| extension.extn_id).collect();
    assert_eq!(once.len(), tbs.extensions().unwrap().len());
    for rule in rules {
        assert!((rule.allows)(tbs), "{:?}\n{leaf:?}", rule.policy);
    }
}

#[test]
fn x02_no_request_yields_a_certificate_outside_the_policy() {
    let ca = crate::self_signed::root_with(&rcgen::PKCS_ECDSA_P256_SHA256, Some(4));
    let chain = ca.chain();
    let (seeds, resigned) = (seeds(), Resigned::new());
    let mut random = Random::new(11);
    let all_usages: Vec<Usage> = Usage::names().map(|(_, usage)| usage).collect();
    let (mut issued, mut cas, mut by_rule) = (0, 0, vec![0; RULES.len()]);
    for _ in 0..COUNT {
        let seed = &seeds[random.below(seeds.len())];
        let mut mutator = Mutator::new(&mut random);
        let der = if mutator.one_in(3) { seed.clone() } else { resigned.mutated(seed, &mut mutator) };
        let Ok(request) = CertificateRequest::from_der(&der) else { continue };
        let mut usages = match random.below(4) {
            0 => Vec::new(),
            1 => vec![Usage::ServerAuth, Usage::DigitalSignature],
            2 => vec![Usage::CertSign, Usage::ServerAuth],
            _ => (0..3).map(|_| all_usages[random.below(all_usages.len())]).collect(),
        };
        usages.truncate(random.below(5));
        let (fixed, sent) = (random.below(RULES.len()), random.below(RULES.len()));
        let profile = [
            CertificateProfile::KubernetesCsr,
            CertificateProfile::CertManager,
            CertificateProfile::PodCertificate,
        ][random.below(3)];
        let lifetime = [None, Some(600), Some(3600), Some(86_400), Some(u64::MAX)][random.below(5)];
        let params = IssuanceRequest {
            profile,
            is_ca: random.below(3) == 0,
            fixed: (random.below(3) > 0).then(|| &RULES[fixed].policy),
            narrowing: (random.below(3) > 0).then(|| &RULES[sent].policy),
            ..params(&request, &usages, lifetime)
        };
        let Ok(made) = issue(&params, &chain, &ca) else { continue };
        let rules: Vec<&Rule> = [params.fixed.map(|_| fixed), params.narrowing.map(|_| sent)]
            .into_iter()
            .flatten()
            .inspect(|at| by_rule[*at] += 1)
            .map(|at| &RULES[at])
            .collect();
        check(&made, &der, &params, &rules, &ca);
        issued += 1;
        cas += usize::from(params.is_ca);
    }
    // Otherwise it would prove nothing.
    assert!(
        issued > 500 && cas > 10 && by_rule.iter().all(|count| *count > 10),
        "{issued} {cas} {by_rule:?}"
    );
}
