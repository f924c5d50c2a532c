//! A platform whose quotes hang, and an enclave that does.

use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::{ENCLAVE, TestCluster};
use std::fs;
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

#[test]
fn an_enclave_that_answers_nothing_is_not_ready_until_it_answers() {
    let cluster = TestCluster::new();
    cluster.await_controller();
    let is_up = |up: u8| {
        let line = format!("tcs_enclave_up {up}\n");
        cluster.metrics().is_some_and(|metrics| metrics.contains(&line))
    };
    assert!(is_up(1));
    cluster.signal(ENCLAVE, Signal::STOP);
    cluster.wait_until("the readiness probe to fail", || {
        let answer = http::get(&cluster.node.address(":8081").unwrap(), "/readyz").unwrap_or_default();
        answer.starts_with("HTTP/1.1 503") && answer.contains("the enclave does not answer")
    });
    assert!(is_up(0));
    cluster.signal(ENCLAVE, Signal::CONT);
    cluster.await_controller();
    assert!(is_up(1));
}
