//! CA certificates below a CA: issued only if that was fixed when the CA was made, and never deeper.

use crate::self_signed::{self, Key};
use crate::{Ca, DAY, NOW, parameters, params, request};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use std::process::Command;
use tcs_x509::{
    CaChain, CertificateProfile, CertificateRequest, Error, IssuanceRequest, Policy, PolicyRules, Usage,
    issue,
};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix;

/// A self-signed CA with this path length.
fn root(path_length: Option<u8>) -> Ca {
    let pair = KeyPair::generate().unwrap();
    let mut parameters = parameters("Root");
    parameters.is_ca =
        IsCa::Ca(path_length.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    let certificate = parameters.self_signed(&pair).unwrap();
    Ca { der: certificate.der().to_vec(), pem: certificate.pem(), pair }
}

/// A request and its key.
fn asks(change: impl FnOnce(&mut CertificateParams)) -> (CertificateRequest, KeyPair) {
    let pair = KeyPair::generate().unwrap();
    let mut parameters = parameters("Below");
    (parameters.is_ca, parameters.key_usages) = (IsCa::NoCa, Vec::new());
    parameters.use_authority_key_identifier_extension = false;
    change(&mut parameters);
    let der = parameters.serialize_request(&pair).unwrap();
    (CertificateRequest::from_der(der.der()).unwrap(), pair)
}

/// What was fixed when the CA was made.
pub fn depth(ca_depth: u8) -> &'static Policy {
    let policy = policy(&PolicyRules { ca_depth: Some(ca_depth), ..PolicyRules::default() });
    // Lives longer than whatever the test lends it to.
    Box::leak(Box::new(policy))
}

pub fn ca_params(request: &CertificateRequest, ca_depth: u8) -> IssuanceRequest<'_> {
    const USAGES: &[Usage] = &[Usage::DigitalSignature, Usage::KeyEncipherment, Usage::CertSign];
    IssuanceRequest { is_ca: true, fixed: Some(depth(ca_depth)), ..params(request, USAGES, None) }
}

fn policy(rules: &PolicyRules<'_>) -> Policy {
    Policy::new(rules).unwrap()
}

/// The result of openssl for a chain, the leaf first, under its strict rules.
fn openssl_verifies(anchor: &Ca, chain: &[&[u8]]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, all: &[&[u8]]| {
        let pem = |der: &&[u8]| {
            pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, der).unwrap()
        };
        let path = dir.path().join(name);
        std::fs::write(&path, all.iter().map(pem).collect::<String>()).unwrap();
        path
    };
    let (root, between) = (write("root.pem", &[&anchor.der]), write("between.pem", &chain[1..]));
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-x509_strict", "-attime", &NOW.to_string(), "-CAfile"]).arg(root);
    let output = verify.arg("-untrusted").arg(between).arg(write("leaf.pem", &chain[..1])).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// The certificate's basicConstraints and key usage, read by another parser.
pub fn says(der: &[u8]) -> (bool, Option<u8>, Option<pkix::KeyUsage>) {
    let certificate = x509_cert::Certificate::from_der(der).unwrap();
    let tbs = certificate.tbs_certificate();
    let (critical, constraints) = tbs.get_extension::<pkix::BasicConstraints>().unwrap().unwrap();
    assert!(critical);
    let usage = tbs.get_extension::<pkix::KeyUsage>().unwrap().map(|(_, usage)| usage);
    (constraints.ca, constraints.path_len_constraint, usage)
}

#[test]
fn ca_depth_a_ca_below_signs_what_openssl_accepts_and_nothing_deeper() {
    let root = root(None);
    let (request, pair) = asks(|_| {});
    let made = issue(&ca_params(&request, 1), &root.chain(), &root).unwrap();
    assert_eq!(made.not_after - NOW, 90 * DAY - 300, "the lifetimes of the profile hold for CAs, too");
    let (ca, path_length, usage) = says(&made.der);
    let usage = usage.unwrap();
    assert_eq!((ca, path_length), (true, Some(0)));
    assert!(usage.key_cert_sign() && usage.digital_signature() && !usage.crl_sign());
    // It is a CA by our own rules, and what it signs verifies.
    let below = Ca { pair, der: made.der.clone(), pem: String::new() };
    let chain = CaChain::from_delivered(&[&below.der, &root.der], NOW).unwrap();
    let leaf = issue(&params(&crate::plain(), &[Usage::DigitalSignature], None), &chain, &below).unwrap();
    assert_eq!(openssl_verifies(&root, &[&leaf.der, &below.der]), Ok(()));
    let oracles = crate::cases::oracles_accept(Usage::ServerAuth, &leaf.der, &chain, NOW);
    assert_eq!(oracles, [true, true]);
    // Below path length 0 there can be no further CA, made here or anywhere else.
    let (deeper, _) =
        asks(|parameters| parameters.distinguished_name.push(rcgen::DnType::CommonName, "Deeper"));
    let refused = issue(&ca_params(&deeper, 6), &chain, &below).unwrap_err();
    assert_eq!(refused, Error::RequestForCa("the path length of the issuer's CA allows none below it"));
}

#[test]
fn ca_depth_is_cut_by_policies_and_path_lengths() {
    let (request, _) = asks(|_| {});
    let made = |root: &Ca, fixed, narrowing| {
        let params = IssuanceRequest { fixed, narrowing, ..ca_params(&request, 0) };
        issue(&params, &root.chain(), root).map(|made| says(&made.der).1.unwrap()).map_err(Error::code)
    };
    let (unlimited, three, none) = (root(None), root(Some(3)), root(Some(0)));
    assert_eq!(made(&unlimited, Some(depth(6)), None), Ok(5));
    assert_eq!(made(&three, Some(depth(6)), None), Ok(2));
    assert_eq!(made(&three, Some(depth(2)), None), Ok(1));
    assert_eq!(made(&none, Some(depth(6)), None), Err("RequestForCa"));
    let silent = policy(&PolicyRules::default());
    for fixed in [None, Some(&silent), Some(depth(0))] {
        for narrowing in [None, Some(&silent), Some(depth(6))] {
            assert_eq!(
                made(&unlimited, fixed, narrowing),
                Err("RequestForCa"),
                "what is sent widens nothing"
            );
        }
    }
    assert_eq!(made(&unlimited, Some(depth(3)), Some(depth(2))), Ok(1));
    assert_eq!(made(&unlimited, Some(depth(3)), Some(depth(6))), Ok(2));
    assert_eq!(made(&unlimited, Some(depth(3)), Some(&silent)), Ok(2));
    assert_eq!(made(&unlimited, Some(depth(3)), Some(depth(0))), Err("RequestForCa"));
    // The path length in the request is a maximum, too.
    let (shallow, _) = asks(|parameters| parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let asked = issue(&ca_params(&shallow, 6), &unlimited.chain(), &unlimited).unwrap();
    assert_eq!(says(&asked.der).1, Some(1));
}

#[test]
fn ca_depth_and_lists_of_names_exclude_each_other() {
    let names = vec!["**.example".to_owned()];
    let rules = PolicyRules { dns_names: Some(&names), ca_depth: Some(1), ..PolicyRules::default() };
    assert_eq!(Policy::new(&rules).unwrap_err().code(), "PolicyMalformed");
    assert!(Policy::new(&PolicyRules { ca_depth: Some(0), ..rules }).is_ok());
    assert_eq!(
        Policy::new(&PolicyRules { ca_depth: Some(7), ..PolicyRules::default() }).unwrap_err().code(),
        "PolicyMalformed"
    );
    // The policy that is sent with one request may restrict names, too. Then the certificate must be a leaf.
    let narrow = policy(&PolicyRules { dns_names: Some(&names), ..PolicyRules::default() });
    let (root, (request, _)) = (root(None), asks(|_| {}));
    let narrowed = IssuanceRequest { narrowing: Some(&narrow), ..ca_params(&request, 1) };
    assert_eq!(issue(&narrowed, &root.chain(), &root).unwrap_err().code(), "PolicyRefused");
}

#[test]
fn ca_certificates_obey_the_other_rules_of_a_policy() {
    let (root, (request, _)) = (root(None), asks(|_| {}));
    let usages = ["key encipherment", "digital signature", "client auth"].map(str::to_owned);
    let good = PolicyRules { usages: Some(&usages), max_lifetime: Some(3600), ..PolicyRules::default() };
    let under = |rules: &PolicyRules<'_>| {
        let policy = policy(rules);
        let asked = [Usage::CertSign, Usage::DigitalSignature, Usage::ClientAuth];
        let params = IssuanceRequest { usages: &asked, narrowing: Some(&policy), ..ca_params(&request, 1) };
        issue(&params, &root.chain(), &root).map(|made| made.not_after - NOW).map_err(Error::code)
    };
    assert_eq!(under(&good), Ok(3600), "cert sign comes with the CA bit");
    assert_eq!(under(&PolicyRules { usages: Some(&usages[..2]), ..good }), Err("PolicyRefused"));
    let keys = vec!["RSA".to_owned()];
    assert_eq!(under(&PolicyRules { key_algorithms: Some(&keys), ..good }), Err("PolicyRefused"));
    // Without any extended key usage the CA below could issue all of them.
    let unbound = IssuanceRequest { narrowing: Some(&policy(&good)), ..ca_params(&request, 1) };
    assert_eq!(issue(&unbound, &root.chain(), &root).unwrap_err().code(), "PolicyRefused");
}

#[test]
fn a16_b07_what_a_request_says_of_ca_and_signing_must_be_requested_beside_it() {
    let root = root(None);
    let ca_bit = |parameters: &mut CertificateParams| {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyCertSign,
        ];
    };
    let verdict = |request: &CertificateRequest, profile, is_ca, usages: &[Usage]| {
        let fixed = Some(depth(1));
        let params = IssuanceRequest { profile, is_ca, fixed, ..params(request, usages, None) };
        issue(&params, &root.chain(), &root).map(|made| says(&made.der).0).map_err(Error::code)
    };
    // As cert-manager writes requests for `isCA: true`.
    let (full, _) = asks(ca_bit);
    let (silent, _) = asks(|_| {});
    let (denies, _) = asks(|parameters| parameters.is_ca = IsCa::ExplicitNoCa);
    let (no_sign, _) = asks(|parameters| parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    for profile in [CertificateProfile::KubernetesCsr, CertificateProfile::CertManager] {
        let all = [Usage::DigitalSignature, Usage::KeyEncipherment, Usage::CertSign];
        assert_eq!(verdict(&full, profile, true, &all), Ok(true));
        assert_eq!(verdict(&silent, profile, true, &all), Ok(true));
        assert_eq!(verdict(&silent, profile, true, &[Usage::CertSign, Usage::CrlSign]), Ok(true));
        assert_eq!(verdict(&denies, profile, true, &all), Err("ExtensionMismatch"));
        assert_eq!(verdict(&full, profile, false, &[]), Err("RequestForCa"), "never by the request alone");
        assert_eq!(verdict(&silent, profile, false, &[Usage::CertSign]), Err("UsageForbidden"));
        assert_eq!(verdict(&silent, profile, false, &[]), Ok(false), "whoever asks for a leaf gets a leaf");
    }
    // cert-manager's spec says `isCA`, and the usage is added.
    assert_eq!(verdict(&full, CertificateProfile::CertManager, true, &[]), Ok(true));
    assert_eq!(verdict(&no_sign, CertificateProfile::CertManager, true, &[]), Err("ExtensionMismatch"));
    // Annotations of a CSR can change after the approval; its usages cannot.
    let usual = [Usage::DigitalSignature, Usage::KeyEncipherment];
    for usages in [&[][..], &usual] {
        assert_eq!(verdict(&silent, CertificateProfile::KubernetesCsr, true, usages), Err("RequestForCa"));
    }
    assert_eq!(
        verdict(&no_sign, CertificateProfile::KubernetesCsr, true, &[Usage::CertSign]),
        Ok(true),
        "key usages of the request are ignored there"
    );
    assert_eq!(
        verdict(&silent, CertificateProfile::PodCertificate, true, &[Usage::CertSign]),
        Err("RequestForCa")
    );
}

/// The extension would be dropped, as most others, and the CA would sign for every name.
#[test]
fn a_ca_that_asks_to_be_restricted_to_names_is_not_made_without_the_restriction() {
    let constrained = |parameters: &mut CertificateParams| {
        // permittedSubtrees: dNSName example.com
        let value = b"\x30\x11\xa0\x0f\x30\x0d\x82\x0bexample.com";
        let mut extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], value.to_vec());
        extension.set_criticality(true);
        parameters.custom_extensions.push(extension);
    };
    let root = root(Some(3));
    let (request, _) = asks(constrained);
    let refused = issue(&ca_params(&request, 2), &root.chain(), &root).unwrap_err();
    assert!(refused.to_string().contains("name constraints"), "{refused}");
    assert_eq!(refused.code(), "RequestForCa");
    // They say nothing about a certificate that is no CA's.
    issue(&params(&request, &[Usage::DigitalSignature], None), &root.chain(), &root).unwrap();
}

#[test]
fn a_ca_certificate_has_a_subject_that_is_not_the_issuers() {
    let root = root(None);
    let verdict = |request: &CertificateRequest| {
        issue(&ca_params(request, 1), &root.chain(), &root).map_err(Error::code).err()
    };
    let (same, _) = asks(|parameters| {
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "ROOT");
    });
    let named = CertificateRequest::from_der(&request(|parameters| {
        parameters.distinguished_name = rcgen::DistinguishedName::new();
    }));
    assert_eq!(verdict(&named.unwrap()), Some("IdentityForbidden"), "an alternative name is not enough");
    assert_eq!(verdict(&same), Some("IdentityForbidden"));
}

/// Every kind of key above and below, and a leaf below both.
#[test]
fn nothing_is_wrong_with_ca_certificates_below_a_ca_nor_with_leaves_below_them() {
    use crate::go::Made;
    let keys = crate::go::KINDS.map(|kind| Key(KeyPair::generate_for(kind).unwrap()));
    let leaf_request = crate::plain();
    let mut made = Vec::new();
    for above in crate::go::KINDS {
        let root = self_signed::root_with(above, Some(2));
        for key in &keys {
            let mut parameters = parameters("Below");
            (parameters.is_ca, parameters.key_usages) = (IsCa::NoCa, Vec::new());
            parameters.use_authority_key_identifier_extension = false;
            let der = parameters.serialize_request(&key.0).unwrap();
            let request = CertificateRequest::from_der(der.der()).unwrap();
            for usages in [&[Usage::CertSign][..], &[Usage::CertSign, Usage::CrlSign, Usage::ServerAuth]] {
                let params_ca = IssuanceRequest { usages, ..ca_params(&request, 2) };
                let below = issue(&params_ca, &root.chain(), &root).unwrap().der;
                let chain = CaChain::from_delivered(&[&below, &root.der], NOW).unwrap();
                let leaf_usages = [Usage::DigitalSignature, Usage::ServerAuth];
                let leaf = issue(&params(&leaf_request, &leaf_usages, None), &chain, key).unwrap().der;
                made.push(Made::new(format!("a CA: {usages:?}"), &below, &[], &root.der));
                made.push(Made::below(format!("a leaf below a CA: {usages:?}"), &leaf, &chain));
            }
        }
    }
    assert_eq!(made.len(), 100);
    crate::go::nothing_is_wrong_with(&made);
}
