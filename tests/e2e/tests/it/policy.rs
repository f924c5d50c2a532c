//! The policy of an issuer: a refused request says which rule it breaks.

use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::shared;
use serde_json::json;
use tcs_api::v1alpha1::{CaSpec, PolicySpec};

/// A policy that allows these DNS names and every common name.
fn dns_names(patterns: &[&str]) -> PolicySpec {
    PolicySpec {
        dns_names: Some(patterns.iter().copied().map(str::to_owned).collect()),
        common_names: Some(["*"].into()),
        ..PolicySpec::default()
    }
}

#[test]
fn a_request_outside_the_policy_fails_with_the_rule_and_a_changed_policy_holds_at_once() {
    let cluster = shared();
    let mut object = issuer_object(&cluster.new_namespace(), "strict");
    object.spec.self_sign = true;
    object.spec.ca = Some(CaSpec { policy: Some(dns_names(&["**.svc"])), ..CaSpec::default() });
    object.spec.policy =
        Some(PolicySpec { max_lifetime_seconds: Some(3600), ..dns_names(&["*.sandbox.svc"]) });
    let issuer = Issuer::create(cluster, &object);
    issuer.await_reason("Ready");
    let request_for = |name: &str| -> Csr<'_> {
        let pem = request(cluster, &["-addext", &format!("subjectAltName=DNS:{name}")]);
        NewCsr::new(&issuer.signer(), &pem).create(cluster).approve()
    };
    request_for("web.sandbox.svc").certificate();
    let refused = request_for("web.other.svc");
    assert_eq!(refused.failure(), "PolicyRefused");
    let message = refused.condition("Failed").unwrap().message.unwrap();
    assert!(message.contains("DNS names"), "{message}");

    // The issuer's policy is widened, but it cannot be wider than what was fixed when the CA was made.
    issuer.patch(&json!({"spec": {"policy": {"dnsNames": ["**.svc", "**.example"]}}}));
    request_for("web.other.svc").certificate();
    assert_eq!(request_for("web.example").failure(), "PolicyRefused");
}
