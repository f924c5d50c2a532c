//! OpenSSL reads every certificate and CRL and verifies the chains.

use crate::appraisal::{NOW, collateral, platform};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tcs_sgx_sim::{CollateralOptions, Names, Options, PckCa, Platform, Revoked, Tee};

const PATHS: [(Names, PckCa); 4] = [
    (Names::Honest, PckCa::Platform),
    (Names::Honest, PckCa::Processor),
    (Names::IntelShaped, PckCa::Platform),
    (Names::IntelShaped, PckCa::Processor),
];

/// Standard output of an `openssl` command that succeeds.
#[track_caller]
pub fn run(arguments: &[&str], input: &[u8]) -> String {
    let (success, output) = attempt(arguments, input);
    assert!(success, "openssl {arguments:?}: {output}");
    output
}

fn attempt(arguments: &[&str], input: &[u8]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn certificates(chain: &str) -> Vec<&str> {
    chain.split_inclusive("-----END CERTIFICATE-----\n").collect()
}

/// Chains of the PCK and of the TCB signer under the root, at `NOW`, with both CRLs.
fn verify(platform: &Platform, options: &CollateralOptions) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (pck, collateral) = (platform.pck_chain(), platform.collateral(NOW, Tee::Sgx, options).unwrap());
    let pck = certificates(&pck);
    let root = write("root.pem", pck[2].as_bytes());
    let crls = [&collateral.root_ca_crl, &collateral.pck_crl]
        .map(|crl| run(&["crl", "-inform", "DER", "-outform", "PEM"], crl));
    let crls = write("crls.pem", crls.concat().as_bytes());
    let ca = write("ca.pem", pck[1].as_bytes());
    let leaf = write("leaf.pem", pck[0].as_bytes());
    let signer = write("signer.pem", certificates(&collateral.tcb_info_issuer_chain)[0].as_bytes());
    let now = NOW.to_string();
    let arguments = [
        "verify",
        "-x509_strict",
        "-attime",
        &now,
        "-crl_check_all",
        "-CRLfile",
        &crls,
        "-CAfile",
        &root,
        "-untrusted",
        &ca,
        &leaf,
        &signer,
    ];
    attempt(&arguments, &[])
}

#[test]
fn chains_and_crls_verify() {
    for (names, ca) in PATHS {
        let platform = platform(&Options { names, ca, ..Options::default() });
        let (good, output) = verify(&platform, &CollateralOptions::default());
        assert!(good, "{output}");
        assert_eq!(output.matches(": OK").count(), 2);
        for revoked in [Revoked::PckLeaf, Revoked::PckCa, Revoked::TcbSigner] {
            let options = CollateralOptions { revoked: vec![revoked], ..CollateralOptions::default() };
            let (good, output) = verify(&platform, &options);
            assert!(!good && output.contains("certificate revoked"), "{revoked:?}: {output}");
        }
    }
}

#[test]
fn an_expired_root_is_expired() {
    let options = Options { root_days: 0, ..Options::default() };
    let made = platform(&options);
    let root = certificates(&made.pck_chain())[2].to_owned();
    let text = run(&["x509", "-noout", "-startdate", "-enddate"], root.as_bytes());
    // NOW is 2026-11-18T11:06:40Z.
    assert_eq!(text, "notBefore=Nov 17 11:06:40 2026 GMT\nnotAfter=Nov 18 11:06:40 2026 GMT\n");
    let made = platform(&Options { root_days: -1, certificate_days: 5, ..Options::default() });
    let (good, output) = verify(&made, &CollateralOptions::default());
    assert!(!good && output.contains("certificate has expired"), "{output}");
}

#[test]
fn the_root_and_what_it_certifies_end_on_their_own() {
    let platform = platform(&Options { root_days: 20, certificate_days: 10, ..Options::default() });
    let chain = platform.pck_chain() + &collateral(&platform, Tee::Sgx).tcb_info_issuer_chain;
    for (certificate, day) in certificates(&chain).into_iter().zip(["Nov 28", "Nov 28", "Dec  8", "Nov 28"]) {
        let text = run(&["x509", "-noout", "-enddate"], certificate.as_bytes());
        assert_eq!(text, format!("notAfter={day} 11:06:40 2026 GMT\n"));
    }
}

#[test]
fn certificates_have_the_published_profile() {
    for (names, ca) in PATHS {
        let platform = platform(&Options { names, ca, ..Options::default() });
        let chain = platform.pck_chain() + &collateral(&platform, Tee::Sgx).tcb_info_issuer_chain;
        let text = |at: usize| run(&["x509", "-noout", "-text"], certificates(&chain)[at].as_bytes());
        for (at, constraints, usage) in [
            (0, "CA:FALSE", "Digital Signature, Non Repudiation"),
            (1, "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"),
            (2, "CA:TRUE, pathlen:1", "Certificate Sign, CRL Sign"),
            (3, "CA:FALSE", "Digital Signature, Non Repudiation"),
        ] {
            let text = text(at);
            for wanted in [
                constraints,
                usage,
                "Version: 3 (0x2)",
                "ecdsa-with-SHA256",
                "NIST CURVE: P-256",
                "X509v3 Subject Key Identifier",
                "X509v3 Authority Key Identifier",
            ] {
                assert!(text.contains(wanted), "{wanted} in {text}");
            }
            assert_eq!(text.contains("1.2.840.113741.1.13.1"), at == 0, "{text}");
            assert!(!text.contains("Extended Key Usage"));
        }
    }
}

#[test]
fn intel_shaped_names_are_exactly_intels() {
    for (ca, word) in [(PckCa::Platform, "Platform"), (PckCa::Processor, "Processor")] {
        let platform = platform(&Options { names: Names::IntelShaped, ca, ..Options::default() });
        let collateral = collateral(&platform, Tee::Sgx);
        let chain = platform.pck_chain() + &collateral.tcb_info_issuer_chain;
        let rest = "O = Intel Corporation, L = Santa Clara, ST = CA, C = US";
        let root = "URI:https://certificates.trustedservices.intel.com/IntelSGXRootCA.der".to_owned();
        let kind = word.to_lowercase();
        let pck = format!(
            "URI:https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca={kind}&encoding=der"
        );
        let issuer = format!("Intel SGX PCK {word} CA");
        for (at, subject, issuer, point) in [
            (0, "Intel SGX PCK Certificate", issuer.as_str(), &pck),
            (1, &issuer, "Intel SGX Root CA", &root),
            (2, "Intel SGX Root CA", "Intel SGX Root CA", &root),
            (3, "Intel SGX TCB Signing", "Intel SGX Root CA", &root),
        ] {
            let certificate = certificates(&chain)[at].as_bytes();
            let text = run(&["x509", "-noout", "-subject", "-issuer"], certificate);
            assert_eq!(text, format!("subject=CN = {subject}, {rest}\nissuer=CN = {issuer}, {rest}\n"));
            assert!(run(&["x509", "-noout", "-text"], certificate).contains(point));
        }
        let text = run(&["crl", "-inform", "DER", "-noout", "-issuer"], &collateral.pck_crl);
        assert_eq!(text, format!("issuer=CN = {issuer}, {rest}\n"));
        let text = run(&["crl", "-inform", "DER", "-noout", "-issuer"], &collateral.root_ca_crl);
        assert_eq!(text, format!("issuer=CN = Intel SGX Root CA, {rest}\n"));
    }
}

#[test]
fn crls_have_numbers_and_name_their_issuers_key() {
    let options = CollateralOptions { root_crl_number: 5, pck_crl_number: 6, ..CollateralOptions::default() };
    let collateral = platform(&Options::default()).collateral(NOW, Tee::Sgx, &options).unwrap();
    for (crl, number) in [(&collateral.root_ca_crl, "5"), (&collateral.pck_crl, "6")] {
        let text = run(&["crl", "-inform", "DER", "-noout", "-text"], crl);
        assert!(text.contains("X509v3 Authority Key Identifier"), "{text}");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines.iter().position(|line| line.starts_with("X509v3 CRL Number")).unwrap();
        assert_eq!(lines[at + 1], number);
        assert!(!text.contains("Issuing Distribution Point"));
    }
}
