//! What was fixed when a CA was made holds, whatever the controller sends; what it sends only narrows.

use super::fixture::{Ask, NOW, TestCa, csr, engine, issue, sealing_engine, self_signed};
use rcgen::{DnType, SanType};
use tcs_enclave_rpc::{GenerateCa, Issue, Policy, RefusalCode, RenewCa, Texts};
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
            let ask = |name: &str| Issue { policy: policy.clone(), ..issue("uid", request(name)) };
            let issued = enclave.issue(ask("a.mesh.example")).unwrap();
            assert_eq!(issued.not_after - super::fixture::NOW, 1800);
            assert_eq!(enclave.issue(ask("a.other.example")), Err(RefusalCode::PolicyRefused));
            let usages = vec!["client auth".into()];
            let other = Issue { usages, ..ask("a.mesh.example") };
            assert_eq!(enclave.issue(other), Err(RefusalCode::PolicyRefused));
        }
    }
}

#[test]
fn what_the_controller_sends_narrows_one_certificate_and_is_not_kept() {
    let enclave = engine();
    enclave.generate(self_signed("uid")).unwrap();
    let narrow = Policy { dns_names: Some(texts(&["*.a.example"])), ..Policy::default() };
    let ask =
        |policy: Option<&Policy>| Issue { policy: policy.cloned(), ..issue("uid", request("x.b.example")) };
    assert!(enclave.issue(ask(None)).is_ok());
    assert_eq!(enclave.issue(ask(Some(&narrow))), Err(RefusalCode::PolicyRefused));
    assert!(enclave.issue(ask(None)).is_ok());
}

#[test]
fn rules_that_cannot_be_read_make_no_ca_and_no_certificate() {
    let enclave = engine();
    let bad = Policy { dns_names: Some(texts(&["a.*.example"])), ..Policy::default() };
    assert_eq!(enclave.generate(with_policy(bad.clone())), Err(RefusalCode::PolicyMalformed));
    assert!(enclave.health(None).issuers.is_empty());
    enclave.generate(self_signed("uid")).unwrap();
    let ask = Issue { policy: Some(bad), ..issue("uid", request("x.example")) };
    assert_eq!(enclave.issue(ask), Err(RefusalCode::PolicyMalformed));
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
        let ask = |is_ca| {
            let policy = policy.clone();
            Issue { is_ca, policy, usages: usages(is_ca), ..issue("uid", csr(|_| {})) }
        };
        let asked = policy.as_ref().and_then(|policy| policy.ca_depth);
        for enclave in [&fixed, &restarted] {
            let made = enclave.issue(ask(true)).map(|issued| certificate(&issued.chain));
            match asked {
                Some(0) => assert_eq!(made, Err(RefusalCode::RequestForCa)),
                Some(1) => assert_eq!(made, Ok((true, Some(0)))),
                _ => assert_eq!(made, Ok((true, Some(1)))),
            }
        }
        for enclave in [&plain, &delivered] {
            assert_eq!(enclave.issue(ask(true)), Err(RefusalCode::RequestForCa));
        }
        for enclave in [&fixed, &restarted, &plain, &delivered] {
            assert_eq!(certificate(&enclave.issue(ask(false)).unwrap().chain), (false, None));
        }
    }
    // The next certificate of the CA is bound by the same rules.
    fixed.renew(RenewCa { issuer_uid: "uid".into(), new_key: None, lifetime: 86_400, now: NOW }).unwrap();
    let usages = vec!["cert sign".into()];
    let again = Issue { is_ca: true, usages, ..issue("uid", csr(|_| {})) };
    assert_eq!(certificate(&fixed.issue(again).unwrap().chain), (true, Some(1)));
}

#[test]
fn a_ca_is_not_made_deeper_than_its_path_length() {
    let enclave = engine();
    let ask = |path_length, ca_depth| GenerateCa {
        path_length,
        ..with_policy(Policy { ca_depth: Some(ca_depth), ..Policy::default() })
    };
    for (path_length, ca_depth) in [(Some(0), 1), (Some(1), 2), (None, 7)] {
        assert_eq!(enclave.generate(ask(path_length, ca_depth)), Err(RefusalCode::PolicyMalformed));
    }
    assert!(enclave.health(None).issuers.is_empty());
    assert!(enclave.generate(ask(Some(1), 1)).is_ok());
}
