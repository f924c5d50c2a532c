//! An issuer's policy: refused requests say the rule.

use crate::bed::{issuer_object, shared, unique};
use crate::signing::{Csr, request};
use serde_json::json;

#[test]
fn a_request_outside_the_policy_fails_with_the_rule_and_a_changed_policy_holds_at_once() {
    let bed = shared();
    let namespace = unique("ns");
    bed.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
    let mut object = issuer_object(&namespace, "strict");
    object["spec"]["selfSign"] = json!(true);
    object["spec"]["ca"] = json!({"policy": {"dnsNames": ["**.svc"], "commonNames": ["*"]}});
    object["spec"]["policy"] =
        json!({"dnsNames": ["*.sandbox.svc"], "commonNames": ["*"], "maxLifetimeSeconds": 3600});
    bed.apply(&object);
    let issuer = crate::bed::Issuer { bed, namespace, name: "strict".into() };
    issuer.wait_reason("Ready");
    let ask = |name: &str| {
        let name = format!("subjectAltName=DNS:{name}");
        Csr::create(bed, &issuer.signer(), &request(bed, &["-addext", &name]), &json!({})).approve()
    };
    ask("web.sandbox.svc").certificate();
    let refused = ask("web.other.svc");
    assert_eq!(refused.failure(), "PolicyRefused");
    let message = refused.condition("Failed").unwrap()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("DNS names"), "{message}");

    // Wider for the issuer, but never wider than what was fixed when the CA was made.
    let patch = json!({"spec": {"policy": {"dnsNames": ["**.svc", "**.example"]}}}).to_string();
    issuer.kubectl(&["patch"], &["--type=merge", "-p", &patch]);
    ask("web.other.svc").certificate();
    assert_eq!(ask("web.example").failure(), "PolicyRefused");
}
