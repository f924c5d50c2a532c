//! A controller that lies in every field, in any order. Whatever it gets signed is inside the baseline policy
//! and inside what was fixed for the CA, as an independent parser reads it.

use super::fixture::{Controller, NOW, TestCa, csr, issue, sealing_engine, self_signed};
use super::hostile_checks::check_issued;
use crate::{Engine, RELEASE_DATE};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyUsagePurpose, SanType};
use std::collections::HashMap;
use std::sync::LazyLock;
use tcs_enclave_rpc::{
    ByteVec, CompleteProvisioning, GenerateCa, Issue, Policy, RenewCa, Request, RequestApi, Response, Seal,
    Texts,
};

/// Requests from harmless to greedy. They are made once, because only the enclave's decisions about them
/// matter.
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
        // The one with a subject, which CAs need.
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

/// Bits that make decisions, used one after the other.
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
struct HostileController {
    engine: Engine,
    blobs: Vec<ByteVec>,
    offers: Vec<(String, tcs_enclave_rpc::Offer)>,
    fixed: Fixed,
    signed: usize,
    /// How many of them are CA certificates.
    cas: usize,
}

impl HostileController {
    fn act(&mut self, mut bits: Bits) {
        match bits.below(12) {
            0 => self.generate(&mut bits),
            1 => self.seal(&mut bits),
            2 => self.restore(&mut bits),
            3 => self.destroy(&mut bits),
            4 => self.restart(&mut bits),
            5 => self.deliver(&mut bits),
            6 => self.renew(&mut bits),
            7 => self.begin_renewal(&mut bits),
            _ => self.issue(&mut bits),
        }
    }

    fn generate(&mut self, bits: &mut Bits) {
        let policy = bits.policy();
        let path_length = bits.one_of(&[None, Some(0), Some(2)]);
        let now = bits.time();
        let request = GenerateCa { policy: policy.clone(), now, path_length, ..self_signed(&bits.uid()) };
        if let Ok(ca) = self.engine.generate(request) {
            self.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy));
        }
    }

    fn seal(&mut self, bits: &mut Bits) {
        if let Ok(Response::Sealed(sealed)) =
            self.engine.outcome(Request::Seal(Seal { issuer_uid: bits.uid() }))
        {
            self.blobs.push(sealed.blob);
        }
    }

    fn restore(&mut self, bits: &mut Bits) {
        if let Some(blob) = self.blobs.get(usize::try_from(bits.below(8)).unwrap()) {
            let mut blob = blob.to_vec();
            if bits.below(3) == 0 {
                let at = usize::try_from(bits.below(blob.len() as u64)).unwrap();
                blob[at] ^= 1;
            }
            let _ = self.engine.restore_at(&bits.uid(), &blob, bits.time());
        }
    }

    fn destroy(&mut self, bits: &mut Bits) {
        if bits.below(4) == 0 {
            self.engine.destroy(&bits.uid());
        }
    }

    /// The enclave forgets everything, as after a restart.
    fn restart(&mut self, bits: &mut Bits) {
        if bits.below(16) == 0 {
            self.engine = sealing_engine(1, 1);
        }
    }

    /// Another issuer's offer, a key that was wrapped for it, and a chain that has nothing to do with either.
    fn deliver(&mut self, bits: &mut Bits) {
        if let Some((owner, offer)) = self.offers.first() {
            let ca = TestCa::new();
            let delivery = CompleteProvisioning { issuer_uid: bits.uid(), ..ca.delivery(owner, offer) };
            if let Ok(info) = self.engine.deliver(delivery) {
                self.fixed.insert(info.fingerprint.to_vec(), (info.chain[0].to_vec(), None));
            }
        }
    }

    /// What was fixed for a CA also applies to its next certificate.
    fn renew(&mut self, bits: &mut Bits) {
        let uid = bits.uid();
        let held = self.engine.health(Some(&uid)).issuers.pop().and_then(|held| held.ca_fingerprint);
        let request = RenewCa {
            issuer_uid: uid,
            new_key: bits.one_of(&[None, Some("ECDSA-P256".into()), Some("junk".into())]),
            lifetime: bits.one_of(&[3600, 86_400, 400 * 86_400, 0, u64::MAX]),
            now: bits.time(),
        };
        if let Ok(ca) = self.engine.renew(request) {
            let (_, fixed) = self.fixed[&held.unwrap().to_vec()].clone();
            self.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), fixed));
        }
    }

    fn begin_renewal(&mut self, bits: &mut Bits) {
        let uid = bits.uid();
        if let Ok(offer) = self.engine.begin_renewal(&uid) {
            self.offers.insert(0, (uid, offer));
        }
    }

    fn issue(&mut self, bits: &mut Bits) {
        let uid = bits.uid();
        let usages: Vec<String> = (0..bits.below(3))
            .map(|_| {
                bits.one_of(&["server auth", "cert sign", "crl sign", "any", "digital signature", "junk"])
            })
            .map(str::to_owned)
            .collect();
        let requests = if bits.below(2) == 0 { &REQUESTS[..5] } else { &REQUESTS };
        let request = Issue {
            request: bits.one_of(requests).into(),
            usages: match bits.below(4) {
                0 => vec!["server auth".into()],
                1 | 2 => vec!["cert sign".into(), "server auth".into()],
                _ => usages,
            },
            lifetime: bits.one_of(&[None, None, Some(0), Some(600), Some(u64::MAX), Some(400 * 86_400)]),
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
        if let Ok(issued) = self.engine.issue(request.clone()) {
            let (ca, fixed) = &self.fixed[&held.unwrap().to_vec()];
            check_issued(&issued, ca, fixed.as_ref(), &request);
            self.signed += 1;
            self.cas += usize::from(request.is_ca);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn x02_no_sequence_of_calls_yields_a_certificate_outside_the_policy(acts in proptest::collection::vec(any::<u64>(), 20..80)) {
        let mut controller = HostileController {
            engine: sealing_engine(1, 1),
            blobs: Vec::new(),
            offers: Vec::new(),
            fixed: HashMap::new(),
            signed: 0,
            cas: 0,
        };
        // Without a CA, nothing would be signed at all.
        for (uid, policy) in [("one", Bits(0).policy()), ("two", None), ("two", Bits(4).policy())] {
            controller.engine.destroy(uid);
            let request = GenerateCa { policy: policy.clone(), path_length: Some(2), ..self_signed(uid) };
            let ca = controller.engine.generate(request).unwrap();
            controller.fixed.insert(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy));
        }
        for act in acts {
            controller.act(Bits(act));
        }
    }
}

/// The sequences above do get certificates signed; otherwise they would prove nothing.
#[test]
fn a_hostile_controller_whose_request_is_good_is_served() {
    let engine = sealing_engine(1, 1);
    let policy = Some(Policy { ca_depth: Some(2), ..Policy::default() });
    let request = GenerateCa { policy: policy.clone(), path_length: Some(2), ..self_signed("one") };
    let ca = engine.generate(request).unwrap();
    let fixed = HashMap::from([(ca.fingerprint.to_vec(), (ca.chain[0].to_vec(), policy))]);
    let mut controller =
        HostileController { engine, blobs: Vec::new(), offers: Vec::new(), fixed, signed: 0, cas: 0 };
    let mut numbers = 1u64;
    for round in 0..3000 {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Only requests at first, while there is a CA that signs them.
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
