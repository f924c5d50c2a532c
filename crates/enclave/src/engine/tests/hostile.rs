//! A controller that lies in every field, in any order: what it gets signed stays inside the floor and inside what was fixed for the
//! CA, as an independent parser reads it.

use super::fixture::{Ask, NOW, TestCa, csr, issue, sealing_engine, self_signed};
use crate::{Engine, RELEASE_DATE};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose, SanType};
use std::collections::HashMap;
use std::sync::LazyLock;
use tcs_enclave_rpc::{
    ByteVec, CompleteProvisioning, GenerateCa, Issue, Issued, Policy, RenewCa, Request, RequestApi, Response,
    Seal, Texts,
};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{self, KeyUsages};
use x509_cert::request::CertReq;
use x509_cert::{Certificate, TbsCertificate};

/// Requests from harmless to greedy. Made once: what counts is what the enclave makes of them.
static REQUESTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let named = |name: &'static str| {
        move |params: &mut CertificateParams| {
            params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
            params.distinguished_name = rcgen::DistinguishedName::new();
        }
    };
    vec![
        csr(named("a.mesh.example")),
        csr(named("b.a.mesh.example")),
        csr(named("bank.example")),
        csr(named("*.mesh.example")),
        // The one of them with a subject, as CAs need it.
        csr(|_| {}),
        csr(|params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        }),
        csr(|params| params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]),
        csr(|params| params.distinguished_name.push(DnType::OrganizationName, "system:masters")),
        csr(|params| params.distinguished_name.push(DnType::CommonName, "system:node:n1")),
        csr(|params| params.subject_alt_names = vec![SanType::IpAddress([10, 0, 0, 1].into())]),
        csr(|params| params.subject_alt_names = vec![SanType::IpAddress([11, 0, 0, 1].into())]),
        csr(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "mesh");
            params.subject_alt_names = vec![SanType::DnsName("workload.example".try_into().unwrap())];
        }),
        csr(|params| {
            params.distinguished_name.push(DnType::OrganizationalUnitName, "unit");
            params.subject_alt_names = vec![
                SanType::URI("spiffe://td.example/ns/a".try_into().unwrap()),
                SanType::Rfc822Name("x@a.example".try_into().unwrap()),
                SanType::IpAddress([10, 0, 0, 1].into()),
            ];
        }),
        csr(|params| {
            params.subject_alt_names = vec![
                SanType::URI("spiffe://other.example/ns/a".try_into().unwrap()),
                SanType::Rfc822Name("x@b.example".try_into().unwrap()),
            ];
        }),
        csr(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.subject_alt_names.clear();
        }),
        vec![0x30; 2000],
        Vec::new(),
    ]
});

/// Bits that decide, used up one after the other.
struct Bits(u64);

impl Bits {
    fn below(&mut self, bound: u64) -> u64 {
        let value = self.0 % bound;
        self.0 /= bound;
        value
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }

    fn uid(&mut self) -> String {
        self.one_of(&["one", "two"]).to_owned()
    }

    fn time(&mut self) -> i64 {
        if self.below(4) != 0 {
            return NOW;
        }
        self.one_of(&[
            NOW,
            NOW + 86_400,
            RELEASE_DATE,
            RELEASE_DATE - 1,
            0,
            i64::MIN,
            i64::MAX,
            NOW + 300 * 86_400,
        ])
    }

    fn policy(&mut self) -> Option<Policy> {
        let texts = |all: &[&str]| Some(Texts(all.iter().map(ToString::to_string).collect()));
        match self.below(13) {
            0 => Some(Policy {
                dns_names: texts(&["**.mesh.example"]),
                max_lifetime: Some(600),
                ..Policy::default()
            }),
            1 => Some(Policy {
                dns_names: texts(&["**.example"]),
                common_names: texts(&["*"]),
                ..Policy::default()
            }),
            2 => Some(Policy { dns_names: texts(&["junk*"]), ..Policy::default() }),
            3 => Some(Policy { usages: texts(&["server auth", "digital signature"]), ..Policy::default() }),
            4 | 5 => {
                Some(Policy { ca_depth: self.one_of(&[Some(1), Some(2), Some(9)]), ..Policy::default() })
            }
            8 => Some(Policy { key_algorithms: texts(&["RSA", "ECDSA-P384"]), ..Policy::default() }),
            9 => Some(Policy {
                organizations: texts(&["mesh"]),
                common_names: texts(&["workload"]),
                dns_names: texts(&["**.example"]),
                ..Policy::default()
            }),
            10 => Some(Policy {
                uris: texts(&["spiffe://td.example/**"]),
                ip_ranges: texts(&["10.0.0.0/8"]),
                email_addresses: texts(&["*@a.example"]),
                organizational_units: texts(&["*"]),
                common_names: texts(&["*"]),
                ..Policy::default()
            }),
            _ => None,
        }
    }
}

/// By fingerprint: the CA certificate, and what was fixed when it was made.
pub type Fixed = HashMap<Vec<u8>, (Vec<u8>, Option<Policy>)>;

/// The hostile side: what it has seen, and what was fixed for which CA.
struct Controller {
    engine: Engine,
    blobs: Vec<ByteVec>,
    offers: Vec<(String, tcs_enclave_rpc::Offer)>,
    fixed: Fixed,
    signed: usize,
    /// How many of them are CA certificates.
    cas: usize,
}

impl Controller {
    #[expect(clippy::too_many_lines, reason = "one arm for each thing that a controller can do")]
    fn act(&mut self, mut bits: Bits) {
        match bits.below(12) {
            0 => {
                let policy = bits.policy();
                let path_length = bits.one_of(&[None, Some(0), Some(2)]);
                let now = bits.time();
                let ask = GenerateCa { policy: policy.clone(), now, path_length, ..self_signed(&bits.uid()) };
                if let Ok(ca) = self.engine.generate(ask) {
                    self.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy));
                }
            }
            1 => {
                if let Ok(Response::Sealed(sealed)) =
                    self.engine.outcome(Request::Seal(Seal { issuer_uid: bits.uid() }))
                {
                    self.blobs.push(sealed.blob);
                }
            }
            2 => {
                if let Some(blob) = self.blobs.get(usize::try_from(bits.below(8)).unwrap()) {
                    let mut blob = blob.to_vec();
                    if bits.below(3) == 0 {
                        let at = usize::try_from(bits.below(blob.len() as u64)).unwrap();
                        blob[at] ^= 1;
                    }
                    let _ = self.engine.restore_at(&bits.uid(), &blob, bits.time());
                }
            }
            3 => {
                if bits.below(4) == 0 {
                    self.engine.destroy(&bits.uid());
                }
            }
            4 => {
                // The enclave forgets everything, as after a restart.
                if bits.below(16) == 0 {
                    self.engine = sealing_engine(1, 1);
                }
            }
            5 => {
                // Another issuer's offer, a wrap that was made for it, a chain that has nothing to do with it.
                if let Some((owner, offer)) = self.offers.first() {
                    let ca = TestCa::new();
                    let delivery =
                        CompleteProvisioning { issuer_uid: bits.uid(), ..ca.delivery(owner, offer) };
                    if let Ok(info) = self.engine.deliver(delivery) {
                        self.fixed.insert(info.fingerprint.to_vec(), (info.chain[0].to_vec(), None));
                    }
                }
            }
            6 => {
                // The next certificate of a CA is bound by what was fixed for the one before.
                let uid = bits.uid();
                let held = self.engine.health(Some(&uid)).issuers.pop().and_then(|held| held.ca_fingerprint);
                let ask = RenewCa {
                    issuer_uid: uid,
                    new_key: bits.one_of(&[None, Some("ECDSA-P256".into()), Some("junk".into())]),
                    lifetime: bits.one_of(&[3600, 86_400, 400 * 86_400, 0, u64::MAX]),
                    now: bits.time(),
                };
                if let Ok(ca) = self.engine.renew(ask) {
                    let (_, fixed) = self.fixed[&held.unwrap().to_vec()].clone();
                    self.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), fixed));
                }
            }
            7 => {
                let uid = bits.uid();
                if let Ok(offer) = self.engine.begin_renewal(&uid) {
                    self.offers.insert(0, (uid, offer));
                }
            }
            _ => {
                let uid = bits.uid();
                let usages: Vec<String> = (0..bits.below(3))
                    .map(|_| {
                        bits.one_of(&[
                            "server auth",
                            "cert sign",
                            "crl sign",
                            "any",
                            "digital signature",
                            "junk",
                        ])
                    })
                    .map(str::to_owned)
                    .collect();
                let requests = if bits.below(2) == 0 { &REQUESTS[..5] } else { &REQUESTS };
                let ask = Issue {
                    request: bits.one_of(requests).into(),
                    usages: match bits.below(4) {
                        0 => vec!["server auth".into()],
                        1 | 2 => vec!["cert sign".into(), "server auth".into()],
                        _ => usages,
                    },
                    lifetime: bits.one_of(&[
                        None,
                        None,
                        Some(0),
                        Some(600),
                        Some(u64::MAX),
                        Some(400 * 86_400),
                    ]),
                    now: bits.time(),
                    policy: bits.policy(),
                    is_ca: bits.below(2) == 0,
                    request_api: bits.one_of(&[
                        RequestApi::KubernetesCsr,
                        RequestApi::CertManager,
                        RequestApi::PodCertificate,
                    ]),
                    ..issue(&uid, Vec::new())
                };
                let held = self.engine.health(Some(&uid)).issuers.pop().and_then(|held| held.ca_fingerprint);
                if let Ok(issued) = self.engine.issue(ask.clone()) {
                    let (ca, fixed) = &self.fixed[&held.unwrap().to_vec()];
                    judge(&issued, ca, fixed.as_ref(), &ask);
                    self.signed += 1;
                    self.cas += usize::from(ask.is_ca);
                }
            }
        }
    }
}

/// Read by another parser than the enclave's, and compared with what was fixed.
pub fn judge(issued: &Issued, ca: &[u8], fixed: Option<&Policy>, ask: &Issue) {
    let leaf = Certificate::from_der(&issued.chain[0]).unwrap();
    let ca = Certificate::from_der(ca).unwrap();
    let tbs = leaf.tbs_certificate();
    assert_eq!(tbs.issuer(), ca.tbs_certificate().subject());
    let key = ca.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let key =
        aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1, &key);
    key.verify(&tbs.to_der().unwrap(), leaf.signature().raw_bytes()).unwrap();

    let (_, constraints) = tbs.get_extension::<pkix::BasicConstraints>().unwrap().unwrap();
    // A CA only where that was fixed, was asked for, and less deep than all of it.
    let depths = fixed.into_iter().chain(&ask.policy).filter_map(|policy| policy.ca_depth);
    let room = |ca: &Certificate| {
        ca.tbs_certificate().get_extension::<pkix::BasicConstraints>().unwrap().unwrap().1.path_len_constraint
    };
    if constraints.ca {
        assert!(ask.is_ca && fixed.is_some_and(|fixed| fixed.ca_depth.is_some()));
        let below = constraints.path_len_constraint.unwrap();
        assert!(depths.chain(room(&ca)).all(|depth| below < depth));
    } else {
        assert!(!ask.is_ca && constraints.path_len_constraint.is_none());
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
    // The request's own, and nothing else.
    let request = CertReq::from_der(&ask.request).unwrap();
    assert_eq!(tbs.subject(), &request.info.subject);
    assert_eq!(tbs.subject_public_key_info(), &request.info.public_key);
    assert!(
        ask.request_api != RequestApi::PodCertificate || until - from >= 3600 && until - from <= 91 * 86_400
    );
    judge_usages(tbs, fixed.into_iter().chain(&ask.policy), ask);
    // What was fixed, and what was sent with this request.
    for policy in fixed.into_iter().chain(&ask.policy) {
        if let Some(most) = policy.max_lifetime {
            assert!(until - ask.now <= i64::try_from(most).unwrap());
        }
        judge_names(tbs, &names, policy);
        // Every request here has a key on P-256.
        assert!(
            policy
                .key_algorithms
                .as_ref()
                .is_none_or(|Texts(all)| all.iter().any(|name| name == "ECDSA-P256"))
        );
    }
}

/// As soon as one list is there, every name and organization stands in one.
fn judge_names(tbs: &TbsCertificate, names: &[GeneralName], policy: &Policy) {
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

/// Those asked for (by default two), no others, and those that every policy lists.
fn judge_usages<'a>(tbs: &TbsCertificate, policies: impl Iterator<Item = &'a Policy>, ask: &Issue) {
    let bits = tbs.get_extension::<pkix::KeyUsage>().unwrap().map(|(_, usage)| usage.0);
    let extended = tbs.get_extension::<pkix::ExtendedKeyUsage>().unwrap().map(|(_, usages)| usages.0);
    let extended: Vec<String> = extended.unwrap_or_default().iter().map(ToString::to_string).collect();
    let asked = |name: &str| ask.usages.iter().any(|usage| usage == name);
    let none = ask.usages.is_empty();
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
        assert!(!none && ask.usages.iter().all(known));
        assert!(!ask.is_ca || !extended.is_empty(), "a CA without any could give all");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn x02_no_sequence_of_calls_yields_a_certificate_outside_the_policy(acts in proptest::collection::vec(any::<u64>(), 20..80)) {
        let mut controller = Controller {
            engine: sealing_engine(1, 1),
            blobs: Vec::new(),
            offers: Vec::new(),
            fixed: HashMap::new(),
            signed: 0,
            cas: 0,
        };
        // So that there is something to get signed at all.
        for (uid, policy) in [("one", Bits(0).policy()), ("two", None), ("two", Bits(4).policy())] {
            controller.engine.destroy(uid);
            let ask = GenerateCa { policy: policy.clone(), path_length: Some(2), ..self_signed(uid) };
            let ca = controller.engine.generate(ask).unwrap();
            controller.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy));
        }
        for act in acts {
            controller.act(Bits(act));
        }
    }
}

/// The sequences above do get certificates signed: else they would say nothing.
#[test]
fn a_hostile_controller_that_happens_to_ask_well_is_served() {
    let engine = sealing_engine(1, 1);
    let policy = Some(Policy { ca_depth: Some(2), ..Policy::default() });
    let ask = GenerateCa { policy: policy.clone(), path_length: Some(2), ..self_signed("one") };
    let ca = engine.generate(ask).unwrap();
    let fixed = HashMap::from([(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy))]);
    let mut controller =
        Controller { engine, blobs: Vec::new(), offers: Vec::new(), fixed, signed: 0, cas: 0 };
    let mut numbers = 1u64;
    for round in 0..3000 {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Nothing but requests first, while there is somebody to sign them.
        let act = numbers >> 8;
        controller.act(Bits(if round < 2500 { act - act % 12 + 8 } else { act }));
        if controller.offers.is_empty()
            && let Ok(offer) = controller.engine.begin("three")
        {
            controller.offers.push(("three".into(), offer));
        }
    }
    assert!(controller.signed >= 10 && controller.cas >= 3, "{}, {}", controller.signed, controller.cas);
}
