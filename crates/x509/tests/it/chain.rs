use crate::{Ca, NOW, parameters};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
};
use std::process::Command;
use tcs_x509::{CaChain, Error};

pub struct Delivered {
    pub pair: KeyPair,
    pub der: Vec<u8>,
    pub parameters: CertificateParams,
}

pub fn root(change: impl FnOnce(&mut CertificateParams)) -> Delivered {
    let mut parameters = parameters("root");
    change(&mut parameters);
    let pair = KeyPair::generate().unwrap();
    let der = parameters.self_signed(&pair).unwrap().der().to_vec();
    Delivered { pair, der, parameters }
}

fn root_of(kind: &'static rcgen::SignatureAlgorithm) -> Delivered {
    let (parameters, pair) = (parameters("root"), KeyPair::generate_for(kind).unwrap());
    let der = parameters.self_signed(&pair).unwrap().der().to_vec();
    Delivered { pair, der, parameters }
}

pub fn below(above: &Delivered, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Delivered {
    let mut parameters = parameters(name);
    change(&mut parameters);
    let pair = KeyPair::generate().unwrap();
    let issuer = Issuer::new(above.parameters.clone(), &above.pair);
    let der = parameters.signed_by(&pair, &issuer).unwrap().der().to_vec();
    Delivered { pair, der, parameters }
}

impl Delivered {
    pub fn signer(self) -> Ca {
        let pem = pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, &self.der).unwrap();
        Ca { pair: self.pair, der: self.der, pem }
    }
}

fn code(certificates: &[&Vec<u8>]) -> Option<&'static str> {
    CaChain::from_delivered(certificates, NOW).err().map(Error::code)
}

#[test]
fn a_chain_is_ordered_and_split_into_chain_and_anchor() {
    let top = root(|_| {});
    let middle = below(&top, "middle", |_| {});
    let issuing = below(&middle, "issuing", |_| {});
    let chain = CaChain::from_delivered(&[&issuing.der, &top.der, &middle.der, &top.der], NOW).unwrap();
    let listed: Vec<&[u8]> = chain.chain().map(tcs_x509::CaCertificate::der).collect();
    assert_eq!(listed, [issuing.der.as_slice(), middle.der.as_slice()]);
    assert_eq!(chain.anchor().der(), top.der);
    let without_root = CaChain::from_delivered(&[&issuing.der, &middle.der], NOW).unwrap();
    assert_eq!(without_root.anchor().der(), middle.der);
    let alone = CaChain::from_delivered(&[&top.der], NOW).unwrap();
    assert_eq!((alone.chain().count(), alone.anchor().der()), (1, top.der.as_slice()));
}

#[test]
fn what_is_no_chain_is_refused() {
    let (top, stranger) =
        (root(|_| {}), root(|p| p.distinguished_name.push(rcgen::DnType::OrganizationName, "x")));
    let issuing = below(&top, "issuing", |_| {});
    assert_eq!(code(&[]), Some("CertificateMalformed"));
    assert_eq!(code(&[&issuing.der, &stranger.der]), Some("ChainBroken"));
    assert_eq!(code(&[&top.der, &issuing.der]), Some("ChainBroken"), "the issuing CA comes first");
    // The right name, but the wrong key.
    let impostor = root(|_| {});
    assert_eq!(code(&[&issuing.der, &impostor.der]), Some("ChainBroken"));
    let short = root(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let sub = below(&short, "sub", |_| {});
    assert_eq!(code(&[&sub.der, &short.der]), Some("ChainBroken"), "path length 0 allows no CA below");
    let many: Vec<Vec<u8>> = (0..9).map(|_| root(|_| {}).der).collect();
    assert_eq!(code(&many.iter().collect::<Vec<_>>()), Some("ChainBroken"));
}

/// Everything about a chain that was accepted before is checked again, except the validity.
#[test]
fn review_m4_an_accepted_chain_is_read_at_any_clock_and_checked_all_the_same() {
    let past = root(|p| p.not_after = rcgen::date_time_ymd(2026, 2, 1));
    let future = root(|p| p.not_before = rcgen::date_time_ymd(2035, 2, 1));
    for root in [&past, &future] {
        assert!(CaChain::from_delivered(&[&root.der], NOW).is_err());
        assert_eq!(CaChain::from_accepted(&[&root.der]).unwrap().issuing().der(), root.der);
    }
    let code = |chain: &[&Vec<u8>]| CaChain::from_accepted(chain).err().map(Error::code);
    assert_eq!(code(&[&root(|p| p.is_ca = IsCa::ExplicitNoCa).der]), Some("CertificateNotCa"));
    assert_eq!(code(&[&past.der, &future.der]), Some("ChainBroken"));
    let many: Vec<Vec<u8>> = (0..9).map(|_| root(|_| {}).der).collect();
    assert_eq!(code(&many.iter().collect::<Vec<_>>()), Some("ChainBroken"));
}

#[test]
fn what_is_no_ca_is_refused() {
    assert_eq!(code(&[&root(|p| p.is_ca = IsCa::ExplicitNoCa).der]), Some("CertificateNotCa"));
    assert_eq!(code(&[&root(|p| p.is_ca = IsCa::NoCa).der]), Some("CertificateNotCa"));
    let no_sign = root(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(code(&[&no_sign.der]), Some("CertificateNotCa"));
    let past = root(|p| p.not_after = rcgen::date_time_ymd(2026, 2, 1));
    assert_eq!(code(&[&past.der]), Some("CertificateExpired"));
    let future = root(|p| p.not_before = rcgen::date_time_ymd(2035, 2, 1));
    assert_eq!(code(&[&future.der]), Some("CertificateNotYetValid"));
    let constrained = root(|p| {
        let empty = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], vec![0x30, 0x00]);
        p.custom_extensions = vec![empty];
    });
    assert_eq!(code(&[&constrained.der]), Some("CertificateUnsupported"), "not honoured, so not ignored");
    assert_eq!(code(&[&vec![0x30, 0x00]]), Some("CertificateMalformed"));
    assert_eq!(code(&[&vec![0; 70_000]]), Some("CertificateMalformed"));
}

/// A CA certificate as the walk-through makes it, with the time of the machine at which it was made.
pub struct OpensslCa {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
    pub now: i64,
}

pub fn openssl_ca(dir: &std::path::Path) -> OpensslCa {
    // The walk-through uses rsa:4096; making such a key takes seconds.
    openssl_ca_with(dir, &["-newkey", "rsa:2048", "-sha256"])
}

/// With this kind of key and hash.
pub fn openssl_ca_with(dir: &std::path::Path, options: &[&str]) -> OpensslCa {
    let (key, file) = (dir.join("k"), dir.join("c"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=SGX.intel.com"]).args(options);
    command.args(["-outform", "DER", "-keyout"]).arg(&key).arg("-out").arg(&file);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let der = std::fs::read(&file).unwrap();
    let (_, key) = pem_rfc7468::decode_vec(&std::fs::read(&key).unwrap()).unwrap();
    // openssl uses the clock of the machine.
    let seconds = std::fs::metadata(&file).unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH);
    OpensslCa { der, key, now: i64::try_from(seconds.unwrap().as_secs()).unwrap() + 60 }
}

#[test]
fn the_documents_openssl_certificate_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let made = openssl_ca(dir.path());
    let chain = CaChain::from_delivered(&[&made.der], made.now).unwrap();
    assert_eq!(chain.issuing().key_algorithm(), tcs_x509::KeyAlgorithm::Rsa { bits: 2048 });
    assert_eq!(chain.anchor().der(), made.der);
}

/// An intermediate above the issuing CA, as companies run it, with every kind of key above.
#[test]
fn nothing_is_wrong_with_leaves_below_intermediates() {
    use crate::go::Made;
    let server = [tcs_x509::Usage::DigitalSignature, tcs_x509::Usage::ServerAuth];
    let mut made = Vec::new();
    for kind in crate::go::KINDS {
        let top = root_of(kind);
        let middle = below(&top, "middle", |_| {});
        let issuing = below(&middle, "issuing", |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
        let chain = CaChain::from_delivered(&[&issuing.der, &middle.der, &top.der], NOW).unwrap();
        let issuing = issuing.signer();
        let leaf = tcs_x509::issue(&crate::params(&crate::plain(), &server, None), &chain, &issuing).unwrap();
        made.push(Made::new("below two", &leaf.der, &[&issuing.der, &middle.der], &top.der));
    }
    crate::go::nothing_is_wrong_with(&made);
}

#[test]
fn weak_keys_of_cas_are_refused() {
    let delivered = |options: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let made = openssl_ca_with(dir.path(), options);
        CaChain::from_delivered(&[&made.der], made.now).map(drop).map_err(Error::code)
    };
    let curve = |name: &'static str| ["-newkey", "ec", "-sha256", "-pkeyopt", name];
    assert_eq!(delivered(&["-newkey", "rsa:2048", "-sha512"]), Ok(()));
    assert_eq!(delivered(&["-newkey", "rsa:1024", "-sha256"]), Err("CertificateUnsupported"));
    assert_eq!(delivered(&curve("ec_paramgen_curve:P-256")), Ok(()));
    assert_eq!(delivered(&curve("ec_paramgen_curve:P-224")), Err("CertificateUnsupported"));
}

/// From then on nobody could verify it.
#[test]
fn a_leaf_ends_with_the_first_ca_above_it() {
    let early = |p: &mut CertificateParams| p.not_after = rcgen::date_time_ymd(2026, 12, 1);
    let leaf = |top: Delivered, middle: fn(&mut CertificateParams)| {
        let middle = below(&top, "middle", middle);
        let issuing = below(&middle, "issuing", |_| {});
        let chain = CaChain::from_delivered(&[&issuing.der, &middle.der, &top.der], NOW).unwrap();
        let issuing = issuing.signer();
        let leaf = tcs_x509::issue(&crate::params(&crate::plain(), &[], None), &chain, &issuing).unwrap();
        leaf.not_after
    };
    let december = rcgen::date_time_ymd(2026, 12, 1).unix_timestamp();
    assert!(NOW < december && december < NOW + 90 * crate::DAY);
    assert_eq!(leaf(root(early), |_| {}), december);
    assert_eq!(leaf(root(|_| {}), early), december);
}

#[test]
fn a_ca_without_a_key_identifier_gives_leaves_without_its_copy() {
    let pair = KeyPair::generate().unwrap();
    let der = crate::self_signed::without_key_id("CA", &pair);
    let ca = Delivered { der, pair, parameters: parameters("CA") }.signer();
    for (ca, copied) in [(&ca, false), (&crate::ca(&rcgen::PKCS_ECDSA_P256_SHA256), true)] {
        let leaf = crate::issued(ca, &crate::plain(), None).unwrap();
        // The strict rules do not apply, because they require the identifiers.
        let text = crate::issuance::openssl_verifies(&["-attime", &NOW.to_string()], ca, &leaf.der);
        assert_eq!(text.contains("Authority Key Identifier"), copied, "{text}");
    }
}

#[test]
fn basic_constraints_need_not_be_critical_and_the_subject_can_be_read() {
    // The extension, then its criticality, then the octets that contain SEQUENCE { TRUE }.
    let critical = b"\x06\x03\x55\x1d\x13\x01\x01\xff";
    let mut plain = root(|_| {}).der;
    let at = plain.windows(critical.len()).position(|window| window == critical).unwrap();
    plain[at + 7] = 0;
    assert_eq!(code(&[&plain]), None, "basicConstraints critical FALSE");
    let mut odd = root(|_| {}).der;
    // Both names of the self-signed certificate become INTEGERs.
    while let Some(at) = odd.windows(6).position(|window| window == b"\x0c\x04root") {
        odd[at] = 0x02;
    }
    assert_eq!(code(&[&odd]), Some("CertificateMalformed"), "the subject holds a number");
}

/// What is issued under these constraints is also inside them for openssl, Go and webpki.
#[test]
fn name_constraints_of_every_ca_are_honoured() {
    use rcgen::{CidrSubnet, DnType, GeneralSubtree, NameConstraints, SanType};
    let dns = |name: &str| GeneralSubtree::DnsName(name.into());
    let constrained = |permitted: Vec<GeneralSubtree>, excluded: Vec<GeneralSubtree>| {
        root(|parameters| {
            parameters.name_constraints =
                Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: excluded });
        })
    };
    let leaf = |ca: &Ca, names: &[SanType]| {
        let request = crate::request(|parameters| {
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(DnType::OrganizationName, "workloads");
            parameters.subject_alt_names = names.to_vec();
        });
        let request = tcs_x509::CertificateRequest::from_der(&request).unwrap();
        crate::issued(ca, &request, None).map(|leaf| leaf.der).map_err(Error::code)
    };
    let name = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let address = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let range = GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([10, 0, 0, 0], 8));
    let root = constrained(vec![dns("mesh.example"), range], vec![dns("admin.mesh.example")]);
    // A CA may have a common name that is a host elsewhere, because nobody connects to it.
    let intermediate = below(&root, "ca1.other.example", |_| {}).signer();
    let ca = root.signer();
    let accepted = [
        leaf(&ca, &[name("a.mesh.example"), address("10.1.2.3")]),
        leaf(&ca, &[name("mesh.example")]),
        leaf(&ca, &[name("*.mesh.example")]).or_else(|code| {
            // It would also stand for the excluded name.
            assert_eq!(code, "IdentityForbidden");
            leaf(&ca, &[name("b.mesh.example")])
        }),
    ];
    let made = accepted.map(|der| crate::go::Made::new("a constrained leaf", &der.unwrap(), &[], &ca.der));
    crate::go::nothing_is_wrong_with(&made);
    for names in [
        &[name("a.example")][..],
        &[name("a.mesh.example"), name("bank.example")],
        &[name("admin.mesh.example")],
        &[name("x.admin.mesh.example")],
        &[address("11.0.0.1")],
        &[address("2001:db8::1")],
    ] {
        assert_eq!(leaf(&ca, names), Err("IdentityForbidden"), "{names:?}");
    }
    // Constraints of the root also apply below an intermediate without any.
    let chain = CaChain::from_delivered(&[&intermediate.der, &ca.der], NOW).unwrap();
    let request = |text: &str| {
        let der = crate::request(|parameters| parameters.subject_alt_names = vec![name(text)]);
        tcs_x509::CertificateRequest::from_der(&der).unwrap()
    };
    let issue = |text: &str| {
        let request = request(text);
        tcs_x509::issue(&crate::params(&request, &[], None), &chain, &intermediate)
            .map_err(Error::code)
            .map(drop)
    };
    assert_eq!(issue("a.mesh.example"), Ok(()));
    assert_eq!(issue("bank.example"), Err("IdentityForbidden"));
}

#[test]
fn a_public_key_is_matched_against_the_certificate() {
    let (ours, other) = (root(|_| {}), root(|_| {}));
    let chain = CaChain::from_delivered(&[&ours.der], NOW).unwrap();
    assert!(chain.issuing().matches_public_key(&ours.pair.subject_public_key_info()));
    assert!(!chain.issuing().matches_public_key(&other.pair.subject_public_key_info()));
    assert!(!chain.issuing().matches_public_key(b""));
}
