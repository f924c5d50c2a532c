use crate::{NOW, parameters};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::process::Command;
use tcs_x509::{CaChain, Error};

struct Made {
    pair: KeyPair,
    der: Vec<u8>,
    parameters: CertificateParams,
}

fn root(change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut parameters = parameters("root");
    change(&mut parameters);
    let pair = KeyPair::generate().unwrap();
    let der = parameters.self_signed(&pair).unwrap().der().to_vec();
    Made { pair, der, parameters }
}

fn below(above: &Made, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut parameters = parameters(name);
    change(&mut parameters);
    let pair = KeyPair::generate().unwrap();
    let issuer = Issuer::new(above.parameters.clone(), &above.pair);
    let der = parameters.signed_by(&pair, &issuer).unwrap().der().to_vec();
    Made { pair, der, parameters }
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
    // The right name over the wrong key.
    let impostor = root(|_| {});
    assert_eq!(code(&[&issuing.der, &impostor.der]), Some("ChainBroken"));
    let short = root(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let sub = below(&short, "sub", |_| {});
    assert_eq!(code(&[&sub.der, &short.der]), Some("ChainBroken"), "path length 0 allows no CA below");
    let mut damaged = top.der.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    assert_eq!(code(&[&damaged]), Some("ChainBroken"), "a self-signed certificate must verify");
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
        let permitted = vec![rcgen::GeneralSubtree::DnsName("example".into())];
        p.name_constraints =
            Some(rcgen::NameConstraints { permitted_subtrees: permitted, excluded_subtrees: vec![] });
    });
    assert_eq!(code(&[&constrained.der]), Some("CertificateUnsupported"), "not honoured, so not ignored");
    assert_eq!(code(&[&vec![0x30, 0x00]]), Some("CertificateMalformed"));
    assert_eq!(code(&[&vec![0; 70_000]]), Some("CertificateMalformed"));
}

#[test]
fn the_documents_openssl_certificate_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (key, file) = (dir.path().join("k"), dir.path().join("c"));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-sha256",
        "-days",
        "3650",
        "-subj",
        "/CN=SGX.intel.com",
    ]);
    let output =
        command.args(["-outform", "DER", "-keyout"]).arg(&key).arg("-out").arg(&file).output().unwrap();
    assert!(output.status.success());
    let der = std::fs::read(&file).unwrap();
    // openssl dates it by the machine's clock.
    let seconds = std::fs::metadata(&file).unwrap().modified().unwrap().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(seconds.unwrap().as_secs()).unwrap() + 60;
    let chain = CaChain::from_delivered(&[&der], now).unwrap();
    assert_eq!(chain.issuing().key_algorithm(), "RSA-2048");
    assert_eq!(chain.anchor().der(), der);
}
