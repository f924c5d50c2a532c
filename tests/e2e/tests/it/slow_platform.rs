//! A platform whose quotes hang, and an enclave that does.

use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::{ENCLAVE, TestCluster};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::fs;
use std::time::{Duration, Instant};
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::http;
use tcs_testkit::process::Signal;

#[test]
fn review_l8_a_hung_quote_shows_in_readiness_while_signing_goes_on() {
    let cluster = TestCluster::new();
    let delivered = Issuer::delivered(&cluster, "delivered");
    delivered.deliver_until_ready(&Ca::p256(&cluster));
    let readiness = || http::get(&cluster.node.address(":8081").unwrap(), "/readyz").unwrap_or_default();

    let hanging = cluster.stack.layout.platform().join("hanging-quotes");
    fs::write(&hanging, "").unwrap();
    let waiting = Issuer::delivered(&cluster, "waiting");
    let message = waiting.await_reason("NoEvidence");
    assert!(message.contains("TimedOut"), "{message}");
    let is_shown = || {
        let answer = readiness();
        answer.starts_with("HTTP/1.1 503") && answer.contains("overdue offers: 1;")
    };
    cluster.wait_until("the readiness probe to fail", is_shown);
    cluster.wait_until("the metric", || {
        cluster.metrics().is_some_and(|metrics| metrics.contains("tcs_enclave_overdue_offers 1"))
    });

    // What needs no quote goes on: signing, new self-signed CAs, and keys that are restored.
    issue(&delivered);
    let own = Issuer::self_signed(&cluster, "own", None);
    own.await_reason("Ready");
    issue(&own);
    assert!(is_shown());

    // An issuer that is deleted gives its place back. The one after it is served as soon as quotes are made.
    waiting.delete();
    let next = Issuer::delivered(&cluster, "next");
    next.await_reason("NoEvidence");
    fs::remove_file(&hanging).unwrap();
    next.await_reason("AwaitingKey");
    cluster.await_controller();
    next.deliver_until_ready(&Ca::p256(&cluster));
}

/// Where and with which path the kubelet asks whether the enclave's container is alive.
fn liveness_probe(cluster: &TestCluster) -> (String, String) {
    let deployment = cluster.get::<Deployment>(SERVICE_NAMESPACE, "tcs-issuer").unwrap();
    let containers = deployment.spec.template.spec.unwrap().containers;
    let enclave = containers.into_iter().find(|container| container.name == ENCLAVE).unwrap();
    let probe = enclave.liveness_probe.unwrap().http_get.unwrap();
    let IntOrString::Int(port) = probe.port else { panic!("a name is that of a port of the same container") };
    (cluster.node.address(&format!(":{port}")).unwrap(), probe.path.unwrap())
}

#[test]
fn case_9_7_an_enclave_that_hangs_fails_readiness_and_its_liveness_until_it_answers() {
    let cluster = TestCluster::new();
    cluster.await_controller();
    let (address, path) = liveness_probe(&cluster);
    let is_alive = || http::status(&address, &path) == Some(200);
    assert!(is_alive());
    let is_up = |up: u8| {
        let line = format!("tcs_enclave_up {up}\n");
        cluster.metrics().is_some_and(|metrics| metrics.contains(&line))
    };
    assert!(is_up(1));
    cluster.signal(ENCLAVE, Signal::STOP);
    let stopped = Instant::now();
    cluster.wait_until("the readiness probe to fail", || {
        let answer = http::get(&cluster.node.address(":8081").unwrap(), "/readyz").unwrap_or_default();
        answer.starts_with("HTTP/1.1 503") && answer.contains("the enclave does not answer")
    });
    let noticed = stopped.elapsed();
    assert!(noticed < Duration::from_secs(30), "{noticed:?}");
    assert!(is_up(0) && !is_alive());
    assert!(http::get(&address, &path).unwrap().contains("see the logs of container tcs-enclave"));
    cluster.signal(ENCLAVE, Signal::CONT);
    cluster.await_controller();
    assert!(is_up(1) && is_alive());
}
