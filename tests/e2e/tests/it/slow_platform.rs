//! A platform whose quotes hang.

use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::http;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::TestCluster;
use std::fs;

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
        answer.starts_with("HTTP/1.1 503") && answer.contains("offers of the enclave are overdue")
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
