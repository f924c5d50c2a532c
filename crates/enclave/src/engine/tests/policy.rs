//! What was fixed when a CA was made holds, whatever the controller sends; what it sends only narrows.

use super::fixture::{Ask, csr, engine, issue, sealing_engine, self_signed};
use rcgen::{DnType, SanType};
use tcs_enclave_rpc::{GenerateCa, Issue, Policy, RefusalCode, Texts};

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
