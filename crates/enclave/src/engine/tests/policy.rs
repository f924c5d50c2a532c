//! What was fixed when a CA was made applies, whatever the controller sends. What the controller sends only
//! narrows it.

use super::fixture::{Controller, NOW, TestCa, csr, engine, issue, sealing_engine, self_signed};
use crate::Engine;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    SanType, SignatureAlgorithm,
};
use tcs_enclave_rpc::{
    GenerateCa, Handler as _, Issue, Policy, RefusalCode, RenewCa, Request, Response, Texts,
};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

fn texts(all: &[&str]) -> Texts {
    Texts(all.iter().map(ToString::to_string).collect())
}

fn request(name: &str) -> Vec<u8> {
    csr(|params| {
        params.distinguished_name.remove(DnType::CommonName);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
    })
}

fn with_policy(policy: Policy) -> GenerateCa {
    GenerateCa { policy: Some(policy), ..self_signed("uid") }
}

#[test]
fn a_fixed_policy_holds_also_after_a_restart_and_cannot_be_widened() {
    let fixed = Policy {
        dns_names: Some(texts(&["**.mesh.example"])),
        max_lifetime: Some(1800),
        usages: Some(texts(&["digital signature", "server auth"])),
        ..Policy::default()
    };
    let enclave = sealing_engine(1, 1);
    enclave.generate(with_policy(fixed)).unwrap();
    let restarted = sealing_engine(1, 1);
    restarted.restore("uid", &enclave.seal("uid").unwrap().blob).unwrap();
    let wide =
        Policy { dns_names: Some(texts(&["**.example"])), max_lifetime: Some(86_400), ..Policy::default() };
    for enclave in [&enclave, &restarted] {
        for policy in [None, Some(Policy::default()), Some(wide.clone())] {
            let params = |name: &str| Issue { policy: policy.clone(), ..issue("uid", request(name)) };
            let issued = enclave.issue(params("a.mesh.example")).unwrap();
            assert_eq!(issued.not_after - super::fixture::NOW, 1800);
            assert_eq!(enclave.issue(params("a.other.example")), Err(RefusalCode::PolicyRefused));
            let usages = vec!["client auth".into()];
            let other = Issue { usages, ..params("a.mesh.example") };
            assert_eq!(enclave.issue(other), Err(RefusalCode::PolicyRefused));
        }
    }
}

#[test]
fn what_the_controller_sends_narrows_one_certificate_and_is_not_kept() {
    let enclave = engine();
    enclave.generate(self_signed("uid")).unwrap();
    let narrow = Policy { dns_names: Some(texts(&["*.a.example"])), ..Policy::default() };
    let params =
        |policy: Option<&Policy>| Issue { policy: policy.cloned(), ..issue("uid", request("x.b.example")) };
    assert!(enclave.issue(params(None)).is_ok());
    assert_eq!(enclave.issue(params(Some(&narrow))), Err(RefusalCode::PolicyRefused));
    assert!(enclave.issue(params(None)).is_ok());
}

#[test]
fn rules_that_cannot_be_read_make_no_ca_and_no_certificate() {
    let enclave = engine();
    let bad = Policy { dns_names: Some(texts(&["a.*.example"])), ..Policy::default() };
    assert_eq!(enclave.generate(with_policy(bad.clone())), Err(RefusalCode::PolicyMalformed));
    assert!(enclave.health(None).issuers.is_empty());
    enclave.generate(self_signed("uid")).unwrap();
    let params = Issue { policy: Some(bad), ..issue("uid", request("x.example")) };
    assert_eq!(enclave.issue(params), Err(RefusalCode::PolicyMalformed));
}

#[test]
fn case_p35_a_policy_can_be_checked_without_a_ca() {
    let enclave = engine();
    let check = |policy: Policy| match enclave.handle(Request::CheckPolicy(policy)) {
        Response::Refused(refusal) => Some((refusal.code, refusal.message)),
        answer => {
            assert_eq!(answer, Response::PolicyReadable);
            None
        }
    };
    let ranges = |range: &str| Policy { ip_ranges: Some(texts(&[range])), ..Policy::default() };
    assert_eq!(check(Policy::default()), None);
    assert_eq!(check(ranges("10.0.0.0/32")), None);
    for wrong in ["10.0.0.0/33", "10.0.0.1/8", "2001:db8::/129", "10.0.0", "", "10.0.0.0/-1"] {
        let (code, message) = check(ranges(wrong)).unwrap_or_else(|| panic!("{wrong}"));
        assert_eq!(code, RefusalCode::PolicyMalformed, "{wrong}");
        assert!(message.contains("IP ranges"), "{message}");
    }
    assert!(enclave.health(None).issuers.is_empty());
}

#[test]
fn ca_depth_is_fixed_with_the_ca_and_never_raised_by_what_is_sent() {
    let deep = |ca_depth| Policy { ca_depth: Some(ca_depth), ..Policy::default() };
    let certificate = |chain: &[tcs_enclave_rpc::ByteVec]| {
        let certificate = x509_cert::Certificate::from_der(&chain[0]).unwrap();
        let found = certificate.tbs_certificate().get_extension::<BasicConstraints>();
        let (_, constraints) = found.unwrap().unwrap();
        (constraints.ca, constraints.path_len_constraint)
    };
    let fixed = sealing_engine(1, 1);
    fixed.generate(GenerateCa { path_length: Some(3), ..with_policy(deep(2)) }).unwrap();
    let restarted = sealing_engine(1, 1);
    restarted.restore("uid", &fixed.seal("uid").unwrap().blob).unwrap();
    let plain = engine();
    plain.generate(GenerateCa { path_length: None, ..self_signed("uid") }).unwrap();
    let delivered = engine();
    let offer = delivered.begin("uid").unwrap();
    delivered.deliver(TestCa::new().delivery("uid", &offer)).unwrap();
    for policy in [None, Some(deep(6)), Some(deep(1)), Some(deep(0))] {
        let usages = |is_ca| vec![if is_ca { "cert sign" } else { "server auth" }.to_owned()];
        let params = |is_ca| {
            let policy = policy.clone();
            Issue { is_ca, policy, usages: usages(is_ca), ..issue("uid", csr(|_| {})) }
        };
        let asked = policy.as_ref().and_then(|policy| policy.ca_depth);
        for enclave in [&fixed, &restarted] {
            let made = enclave.issue(params(true)).map(|issued| certificate(&issued.chain));
            match asked {
                Some(0) => assert_eq!(made, Err(RefusalCode::RequestForCa)),
                Some(1) => assert_eq!(made, Ok((true, Some(0)))),
                _ => assert_eq!(made, Ok((true, Some(1)))),
            }
        }
        for enclave in [&plain, &delivered] {
            assert_eq!(enclave.issue(params(true)), Err(RefusalCode::RequestForCa));
        }
        for enclave in [&fixed, &restarted, &plain, &delivered] {
            assert_eq!(certificate(&enclave.issue(params(false)).unwrap().chain), (false, None));
        }
    }
    // The same rules apply to the next certificate of the CA.
    fixed.renew(RenewCa { issuer_uid: "uid".into(), new_key: None, lifetime: 86_400, now: NOW }).unwrap();
    let usages = vec!["cert sign".into()];
    let again = Issue { is_ca: true, usages, ..issue("uid", csr(|_| {})) };
    assert_eq!(certificate(&fixed.issue(again).unwrap().chain), (true, Some(1)));
}

#[test]
fn a_ca_is_not_made_deeper_than_its_path_length() {
    let enclave = engine();
    let params = |path_length, ca_depth| GenerateCa {
        path_length,
        ..with_policy(Policy { ca_depth: Some(ca_depth), ..Policy::default() })
    };
    for (path_length, ca_depth) in [(Some(0), 1), (Some(1), 2), (None, 7)] {
        assert_eq!(enclave.generate(params(path_length, ca_depth)), Err(RefusalCode::PolicyMalformed));
    }
    assert!(enclave.health(None).issuers.is_empty());
    assert!(enclave.generate(params(Some(1), 1)).is_ok());
}

/// A request with only this name.
fn naming(name: impl FnOnce(&mut CertificateParams)) -> Issue {
    let request = csr(|params| {
        params.subject_alt_names.clear();
        params.distinguished_name = DistinguishedName::new();
        name(params);
    });
    issue("uid", request)
}

fn alternative(name: SanType) -> Issue {
    naming(|params| params.subject_alt_names = vec![name])
}

fn subject(kind: DnType, value: &str) -> Issue {
    naming(|params| params.distinguished_name.push(kind, value))
}

fn with_key(algorithm: &'static SignatureAlgorithm) -> Issue {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let params = CertificateParams::new(["workload.example".to_owned()]).unwrap();
    issue("uid", params.serialize_request(&key).unwrap().der().to_vec())
}

fn with_usage(usage: &str) -> Issue {
    Issue { usages: vec![usage.to_owned()], ..issue("uid", csr(|_| {})) }
}

/// A CA with these rules fixed, and the name of the call that fixed them; and another CA without rules, to
/// which they are sent.
fn both_ways(policy: &Policy) -> [(&'static str, Engine, Option<Policy>); 2] {
    let (fixed, sent) = (engine(), engine());
    fixed.generate(GenerateCa { path_length: Some(3), ..with_policy(policy.clone()) }).unwrap();
    sent.generate(self_signed("uid")).unwrap();
    [("fixed", fixed, None), ("sent", sent, Some(policy.clone()))]
}

/// Each rule is alone, and only this rule allows the first request: if it were read as another rule, it would
/// not.
#[test]
fn each_rule_reaches_what_it_is_about() {
    let dns = |name: &str| alternative(SanType::DnsName(name.try_into().unwrap()));
    let uri = |name: &str| alternative(SanType::URI(name.try_into().unwrap()));
    let email = |name: &str| alternative(SanType::Rfc822Name(name.try_into().unwrap()));
    let ip = |last| alternative(SanType::IpAddress([10, 0, 0, last].into()));
    let only = |set: fn(&mut Policy, Option<Texts>), value: &str| {
        let mut policy = Policy::default();
        set(&mut policy, Some(texts(&[value])));
        policy
    };
    let table = [
        ("DNS names", only(|p, t| p.dns_names = t, "a.example"), dns("a.example"), dns("b.example")),
        ("URIs", only(|p, t| p.uris = t, "spiffe://td/a"), uri("spiffe://td/a"), uri("spiffe://td/b")),
        ("IP ranges", only(|p, t| p.ip_ranges = t, "10.0.0.1"), ip(1), ip(2)),
        (
            "e-mail addresses",
            only(|p, t| p.email_addresses = t, "a@m.example"),
            email("a@m.example"),
            email("b@m.example"),
        ),
        (
            "common names",
            only(|p, t| p.common_names = t, "a"),
            subject(DnType::CommonName, "a"),
            subject(DnType::CommonName, "b"),
        ),
        (
            "organizations",
            only(|p, t| p.organizations = t, "a"),
            subject(DnType::OrganizationName, "a"),
            subject(DnType::OrganizationName, "b"),
        ),
        (
            "organizational units",
            only(|p, t| p.organizational_units = t, "a"),
            subject(DnType::OrganizationalUnitName, "a"),
            subject(DnType::OrganizationalUnitName, "b"),
        ),
        (
            "usages",
            only(|p, t| p.usages = t, "client auth"),
            with_usage("client auth"),
            with_usage("server auth"),
        ),
        (
            "key algorithms",
            only(|p, t| p.key_algorithms = t, "ECDSA-P384"),
            with_key(&PKCS_ECDSA_P384_SHA384),
            with_key(&PKCS_ECDSA_P256_SHA256),
        ),
    ];
    for (rule, policy, good, bad) in table {
        for (way, enclave, policy) in both_ways(&policy) {
            let params = |params: &Issue| {
                enclave.outcome(Request::Issue(Issue { policy: policy.clone(), ..params.clone() }))
            };
            assert!(params(&good).is_ok(), "{rule}, {way}: {:?}", params(&good));
            let refusal = params(&bad).unwrap_err();
            assert_eq!(refusal.code, RefusalCode::PolicyRefused, "{rule}, {way}");
            assert!(refusal.message.contains(rule), "{rule}, {way}: {refusal}");
        }
    }
}

/// The two rules that are numbers: one shortens the lifetime; the other widens the policy only if it was
/// fixed.
#[test]
fn the_longest_lifetime_and_the_depth_reach_what_they_are_about() {
    let lifetime = Policy { max_lifetime: Some(1800), ..Policy::default() };
    for (way, enclave, policy) in both_ways(&lifetime) {
        let params = |lifetime| {
            let params =
                Issue { lifetime: Some(lifetime), policy: policy.clone(), ..issue("uid", csr(|_| {})) };
            enclave.issue(params).unwrap().not_after - NOW
        };
        assert_eq!((params(1799), params(1800), params(1801)), (1799, 1800, 1800), "{way}");
        let ca = Issue { policy, ..for_ca() };
        assert_eq!(enclave.issue(ca), Err(RefusalCode::RequestForCa), "{way}");
    }
    let deep = |ca_depth| Policy { ca_depth: Some(ca_depth), ..Policy::default() };
    let [(_, fixed, _), (_, sent, policy)] = both_ways(&deep(1));
    assert_eq!(fixed.issue(for_ca()).unwrap().not_after - NOW, 3600);
    assert_eq!(
        fixed.issue(Issue { policy: Some(deep(0)), ..for_ca() }),
        Err(RefusalCode::RequestForCa),
        "lowered"
    );
    assert_eq!(sent.issue(Issue { policy, ..for_ca() }), Err(RefusalCode::RequestForCa), "never raised");
}

fn for_ca() -> Issue {
    Issue { is_ca: true, ..with_usage("cert sign") }
}
