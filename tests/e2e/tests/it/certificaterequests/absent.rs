//! The kind comes and goes, and one malformed object harms itself only. The tests change the CRD, so they
//! have a cluster of their own.

use crate::support::certificate_request::{CRD, CertificateRequest, NewRequest, RESOURCE, install_crd};
use crate::support::csr::Csr;
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::{CONTROLLER, TestCluster};
use serde_json::json;
use tcs_testkit::http;

fn assert_ready(cluster: &TestCluster) {
    let answer = http::get(&cluster.node.address(":8081").unwrap(), "/readyz").unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{}", cluster.log(CONTROLLER));
}

fn await_metric(cluster: &TestCluster, line: &str) {
    cluster.wait_until(line, || cluster.metrics().is_some_and(|metrics| metrics.contains(line)));
}

/// Stores a request that fits no type, as an earlier CRD may have allowed.
fn store_malformed(healthy: &Issuer<'_>) {
    let cluster = healthy.cluster;
    let bad = NewRequest::new(healthy, "", b"x").named("bad").with("usages", json!(5)).object();
    let is_strict = || cluster.try_kubectl_with(&["create", "--dry-run=server"], &bad).is_err();
    assert!(is_strict());
    let lax = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/usages",
        "value": {"x-kubernetes-preserve-unknown-fields": true},
    }]);
    cluster.kubectl(&["patch", "crd", RESOURCE, "--type=json", "-p", &lax.to_string()]);
    cluster.wait_until("the CRD to take effect", || !is_strict());
    cluster.try_kubectl_with(&["create"], &bad).unwrap();
    let approved = json!({"status": {"conditions": [{"type": "Approved", "status": "True"}]}});
    let patch =
        ["patch", "-n", &healthy.namespace, RESOURCE, "bad", "--subresource=status", "--type=merge", "-p"];
    cluster.kubectl(&[&patch[..], &[&approved.to_string()]].concat());
    cluster.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", CRD]);
    cluster.wait_until("the CRD to take effect", is_strict);
}

#[test]
fn case_10_5_the_kind_comes_and_goes_and_a_malformed_certificaterequest_harms_itself_only() {
    let cluster = TestCluster::new();
    assert_ready(&cluster);
    let healthy = Issuer::self_signed(&cluster, "healthy", None);
    healthy.await_reason("Ready");
    let missing = Issuer { cluster: &cluster, namespace: cluster.new_namespace(), name: "missing".into() };
    for _ in 0..2 {
        install_crd(&cluster);
        healthy.accepts(&[&CertificateRequest::approved(&healthy).certificate_file()]);
        let waiting = CertificateRequest::approved(&missing);
        waiting.await_ready("Pending");
        await_metric(&cluster, "tcs_requests_open{api=\"CertificateRequest\"} 1\n");
        cluster.kubectl(&["delete", "crd", RESOURCE, "--wait=true"]);
        await_metric(&cluster, "tcs_requests_open{api=\"CertificateRequest\"} 0\n");
        assert_ready(&cluster);
        Csr::approved(&healthy).certificate();
    }
    // That the kind is missing is no problem and not told. While the API server begins or ends to serve
    // it, it can answer 429 or 503, which is told as any such answer is.
    let log = cluster.log(CONTROLLER);
    for line in log.lines().filter(|line| line.contains(&format!("{RESOURCE} in the whole cluster"))) {
        let passes = ["HTTP status 429", "HTTP status 503", "the service can "];
        assert!(passes.iter().any(|part| line.contains(part)), "{line}");
    }

    install_crd(&cluster);
    store_malformed(&healthy);
    await_metric(&cluster, "tcs_unreadable_objects{kind=\"CertificateRequest\"} 1\n");
    CertificateRequest::approved(&healthy).certificate();
    cluster.restart_controller();
    CertificateRequest::approved(&healthy).certificate();
    await_metric(&cluster, "tcs_unreadable_objects{kind=\"CertificateRequest\"} 1\n");
    let says = "CertificateRequest {}/bad cannot be read: spec.usages: found integer"
        .replace("{}", &healthy.namespace);
    assert!(cluster.log(CONTROLLER).contains(&says), "{}", cluster.log(CONTROLLER));
    assert_ready(&cluster);

    // One that fits the type and is nonsense fails with a reason.
    let nonsense = NewRequest::new(&healthy, "", b"x").create(&cluster).approve();
    assert_eq!(nonsense.invalid(), "RequestMalformed");
    let good = NewRequest::new(&healthy, "", &request(&cluster, &[])).create(&cluster).approve();
    good.certificate();
    cluster.kubectl(&["delete", "-n", &healthy.namespace, RESOURCE, "bad"]);
    await_metric(&cluster, "tcs_unreadable_objects{kind=\"CertificateRequest\"} 0\n");
}
