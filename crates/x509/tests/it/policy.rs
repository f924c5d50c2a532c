//! Each rule of a policy, as it narrows what the baseline policy allows.

use crate::{Ca, NOW, ca, params, request};
use rcgen::{DnType, KeyPair, SanType};
use tcs_x509::{CertificateRequest, Error, IssuedCertificate, Policy, PolicyRules, Usage, issue};

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The outcome of a request under one policy.
fn under(rules: &PolicyRules<'_>, request: &CertificateRequest) -> Result<IssuedCertificate, Error> {
    let (ca, policy) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), Policy::new(rules).unwrap());
    issue_under(&ca, &[&policy], request, &[Usage::DigitalSignature, Usage::ServerAuth], Some(3600))
}

fn issue_under(
    ca: &Ca,
    policies: &[&Policy],
    request: &CertificateRequest,
    usages: &[Usage],
    lifetime: Option<u64>,
) -> Result<IssuedCertificate, Error> {
    let mut params = params(request, usages, lifetime);
    (params.fixed, params.narrowing) = (policies.first().copied(), policies.get(1).copied());
    issue(&params, &ca.chain(), ca)
}

fn refused(rule: &'static str) -> Error {
    Error::PolicyRefused(rule)
}

/// A request with these names, and no common name.
fn named(names: &[SanType]) -> CertificateRequest {
    let der = request(|parameters| {
        parameters.distinguished_name.remove(DnType::CommonName);
        parameters.subject_alt_names = names.to_vec();
    });
    CertificateRequest::from_der(&der).unwrap()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[test]
fn names_are_of_the_kinds_and_patterns_listed() {
    let (dns_names, uris) = (texts(&["*.svc.example"]), texts(&["spiffe://td.example/ns/*/sa/*"]));
    let (ips, emails) = (texts(&["10.0.0.0/8"]), texts(&["*@a.example"]));
    let rules = PolicyRules {
        dns_names: Some(&dns_names),
        uris: Some(&uris),
        ip_ranges: Some(&ips),
        email_addresses: Some(&emails),
        ..PolicyRules::default()
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let email = |text: &str| SanType::Rfc822Name(text.try_into().unwrap());
    let ip = |text: &str| SanType::IpAddress(text.parse().unwrap());
    let good =
        [dns("web.svc.example"), uri("spiffe://td.example/ns/a/sa/b"), ip("10.1.2.3"), email("x@a.example")];
    assert!(under(&rules, &named(&good)).is_ok());
    for (bad, rule) in [
        (dns("web.other.example"), "DNS names"),
        (uri("spiffe://td.example/ns/a/sa/b/c"), "URIs"),
        (ip("11.1.2.3"), "IP ranges"),
        (email("x@b.example"), "e-mail addresses"),
    ] {
        let mut names = good.to_vec();
        names.push(bad);
        assert_eq!(under(&rules, &named(&names)).err(), Some(refused(rule)));
    }
    // A kind without a list is refused as soon as another kind has one.
    let only_dns = PolicyRules { dns_names: Some(&dns_names), ..PolicyRules::default() };
    assert!(under(&only_dns, &named(&good[..1])).is_ok());
    for (at, rule) in [(1, "URIs"), (2, "IP ranges"), (3, "e-mail addresses")] {
        assert_eq!(under(&only_dns, &named(&good[at..=at])).err(), Some(refused(rule)));
    }
    let other = SanType::OtherName((vec![1, 2, 3, 4], rcgen::OtherNameValue::Utf8String("x".into())));
    assert_eq!(
        under(&only_dns, &named(&[dns("web.svc.example"), other])).err(),
        Some(refused("kinds of alternative names"))
    );
    // Without a list of names there is no rule about them.
    let all = PolicyRules { max_lifetime: Some(3600), ..PolicyRules::default() };
    assert!(under(&all, &named(&good)).is_ok());
}

#[test]
fn a_common_name_says_what_an_alternative_name_says_or_stands_in_its_list() {
    let dns_names = texts(&["*.svc.example"]);
    let with = |common_name: &str| {
        let der = request(|parameters| {
            parameters.distinguished_name.push(DnType::CommonName, common_name);
            parameters.subject_alt_names = vec![dns("web.svc.example")];
        });
        CertificateRequest::from_der(&der).unwrap()
    };
    let rules = PolicyRules { dns_names: Some(&dns_names), ..PolicyRules::default() };
    assert!(under(&rules, &with("WEB.svc.example")).is_ok());
    assert_eq!(under(&rules, &with("bank.example")).err(), Some(refused("common names")));
    let listed = texts(&["bank.example"]);
    let rules = PolicyRules { common_names: Some(&listed), ..rules };
    assert!(under(&rules, &with("bank.example")).is_ok());
    assert_eq!(under(&rules, &with("web.svc.example")).err(), Some(refused("common names")));
    let any = texts(&["*"]);
    let rules = PolicyRules { common_names: Some(&any), ..rules };
    assert!(under(&rules, &with("anything")).is_ok());
}

/// For Kubernetes an organization in a certificate is a group.
#[test]
fn organizations_and_units_stand_in_their_lists_as_soon_as_names_are_limited() {
    let with = |kind: DnType, value: &str| {
        let der = request(|parameters| {
            parameters.distinguished_name.remove(DnType::CommonName);
            parameters.distinguished_name.push(kind, value);
            parameters.subject_alt_names = vec![dns("web.svc.example")];
        });
        CertificateRequest::from_der(&der).unwrap()
    };
    let (dns_names, listed, any) = (texts(&["*.svc.example"]), texts(&["mesh"]), texts(&["*"]));
    let none = PolicyRules { dns_names: Some(&dns_names), ..PolicyRules::default() };
    for (kind, rules, rule) in [
        (
            DnType::OrganizationName,
            [&listed, &any].map(|list| PolicyRules { organizations: Some(list), ..none }),
            "organizations",
        ),
        (
            DnType::OrganizationalUnitName,
            [&listed, &any].map(|list| PolicyRules { organizational_units: Some(list), ..none }),
            "organizational units",
        ),
    ] {
        let verdict = |rules: &PolicyRules<'_>, value| under(rules, &with(kind.clone(), value)).err();
        assert_eq!(verdict(&none, "mesh"), Some(refused(rule)));
        assert_eq!(verdict(&rules[0], "mesh"), None);
        assert_eq!(verdict(&rules[0], "admins"), Some(refused(rule)));
        assert_eq!(verdict(&rules[0], "Mesh"), Some(refused(rule)), "letter by letter");
        assert_eq!(verdict(&rules[1], "admins"), None);
        // Each list restricts its own kind, and is a list of names like the others.
        let alone = PolicyRules { dns_names: None, ..rules[0] };
        assert_eq!(verdict(&alone, "mesh"), Some(refused("DNS names")));
        let free = PolicyRules { max_lifetime: Some(3600), ..PolicyRules::default() };
        assert_eq!(verdict(&free, "admins"), None);
    }
}

/// Mail programs read it if there is no alternative name.
#[test]
fn e_mail_addresses_in_the_subject_are_checked_too() {
    let subject = |address: &str| {
        let der = request(|parameters| {
            parameters.distinguished_name.remove(DnType::CommonName);
            let kind = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            parameters.distinguished_name.push(kind, rcgen::DnValue::Ia5String(address.try_into().unwrap()));
        });
        CertificateRequest::from_der(&der).unwrap()
    };
    let (emails, dns_names) = (texts(&["*@a.example"]), texts(&["a.example"]));
    let rules =
        PolicyRules { email_addresses: Some(&emails), dns_names: Some(&dns_names), ..PolicyRules::default() };
    assert!(under(&rules, &subject("x@a.example")).is_ok());
    assert_eq!(under(&rules, &subject("ceo@bank.example")).err(), Some(refused("e-mail addresses")));
    let none = PolicyRules { email_addresses: None, ..rules };
    assert_eq!(under(&none, &subject("x@a.example")).err(), Some(refused("e-mail addresses")));
}

#[test]
fn usages_and_keys_are_those_listed() {
    let usages = texts(&["digital signature", "server auth"]);
    let rules = PolicyRules { usages: Some(&usages), ..PolicyRules::default() };
    let policy = Policy::new(&rules).unwrap();
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), named(&[dns("a.example")]));
    let with = |usages: &[Usage]| issue_under(&ca, &[&policy], &request, usages, None).err();
    assert_eq!(with(&[Usage::DigitalSignature, Usage::ServerAuth]), None);
    assert_eq!(with(&[Usage::ServerAuth, Usage::ClientAuth]), Some(refused("usages")));
    assert_eq!(with(&[]), Some(refused("usages")), "the default usages, too");

    let key = |algorithm: &[&str], pair: &KeyPair| {
        let algorithms = texts(algorithm);
        let der =
            rcgen::CertificateParams::new(texts(&["a.example"])).unwrap().serialize_request(pair).unwrap();
        let rules = PolicyRules { key_algorithms: Some(&algorithms), ..PolicyRules::default() };
        under(&rules, &CertificateRequest::from_der(der.der()).unwrap()).err()
    };
    let p256 = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    assert_eq!(key(&["ECDSA-P384", "ECDSA-P256"], &p256), None);
    assert_eq!(key(&["RSA", "Ed25519", "ECDSA-P384", "ECDSA-P521"], &p256), Some(refused("key algorithms")));
    assert_eq!(key(&["RSA"], &rsa), None);
    assert_eq!(key(&["RSA-2048"], &rsa), None);
    assert_eq!(key(&["RSA-3072"], &rsa), Some(refused("key algorithms")));
    assert_eq!(key(&[], &rsa), Some(refused("key algorithms")), "an empty list allows nothing");
}

#[test]
fn the_longest_lifetime_cuts_what_is_requested() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), named(&[dns("a.example")]));
    let policy =
        |most| Policy::new(&PolicyRules { max_lifetime: Some(most), ..PolicyRules::default() }).unwrap();
    let (hour, day) = (policy(3600), policy(86_400));
    let until = |policies: &[&Policy], lifetime| {
        let usages = [Usage::DigitalSignature];
        issue_under(&ca, policies, &request, &usages, lifetime).unwrap().not_after - NOW
    };
    assert_eq!(until(&[&hour], Some(600)), 600);
    assert_eq!(until(&[&hour], Some(7200)), 3600);
    assert_eq!(until(&[&day], None), 86_400 - 300);
    assert_eq!(until(&[&day, &hour], None), 3600, "each policy holds");
    assert_eq!(until(&[&hour, &day], None), 3600);
}

#[test]
fn every_policy_must_allow_a_certificate() {
    let (wide, narrow) = (texts(&["**.example"]), texts(&["*.a.example"]));
    let policy = |names: &[String]| {
        Policy::new(&PolicyRules { dns_names: Some(names), ..PolicyRules::default() }).unwrap()
    };
    let (wide, narrow) = (policy(&wide), policy(&narrow));
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    for policies in [[&wide, &narrow], [&narrow, &wide]] {
        let with = |name: &str| issue_under(&ca, &policies, &named(&[dns(name)]), &[], None).err();
        assert_eq!(with("x.a.example"), None);
        assert_eq!(with("x.b.example"), Some(refused("DNS names")));
    }
}
