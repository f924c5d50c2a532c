//! Programs that end in the middle of a burst.

use crate::support::burst::Burst;
use crate::support::controllers::{Controllers, LEASE_DURATION};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::ENCLAVE;
use std::time::Instant;
use tcs_testkit::process::Signal;

const REQUESTS: usize = 1_000;
/// A burst is in its middle when so many certificates were seen.
const SOME: usize = 100;

/// A burst of which some requests have a certificate, while others are being approved and signed.
fn begun<'a>(issuer: &'a Issuer<'a>) -> Burst<'a> {
    let mut burst = Burst::new(issuer, REQUESTS);
    burst.approve();
    burst.await_certified(SOME);
    burst
}

/// Requires that a fault came in the middle of the burst.
fn assert_in_the_middle(burst: &Burst<'_>) {
    let open = burst.open();
    eprintln!("{open} of {REQUESTS} requests had no certificate at the fault");
    assert!(open > REQUESTS / 4, "only {open} of {REQUESTS} requests are open");
}

#[test]
fn case_9_5_kill_9_of_the_leader_in_a_burst_loses_nothing_and_signs_nothing_twice() {
    let controllers = Controllers::new();
    let (mut first, second) = controllers.pair();
    let issuer = controllers.ready_issuer("shared");
    let burst = begun(&issuer);
    first.signal(Signal::KILL);
    first.await_end();
    assert_in_the_middle(&burst);
    burst.check();
    assert!(second.leads() && second.is(&controllers.holder()));
    assert!(second.issued() > 0, "the other controller went on");
}

#[test]
fn case_9_5_kill_9_of_the_enclave_in_a_burst_loses_nothing_and_signs_nothing_twice() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::self_signed_ready(&cluster, "enclave-killed");
    let ca = issuer.ca();
    let burst = begun(&issuer);
    let pid = cluster.signal(ENCLAVE, Signal::KILL);
    assert_in_the_middle(&burst);
    burst.check();
    assert_ne!(cluster.node.pid(ENCLAVE), Some(pid));
    // The enclave that was started again has the key from its sealed form.
    assert_eq!((issuer.ca(), issuer.reason().as_str()), (ca, "Ready"));
}

#[test]
fn case_9_5_kill_9_of_the_api_server_in_a_burst_loses_nothing_and_signs_nothing_twice() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::self_signed_ready(&cluster, "api-server-killed");
    let burst = begun(&issuer);
    cluster.stack.cluster.kill_api_server().unwrap();
    assert_in_the_middle(&burst);
    cluster.stack.cluster.start_api_server().unwrap();
    burst.check();
    assert_eq!(issuer.reason(), "Ready");
}

#[test]
fn case_9_5_sigterm_in_a_burst_loses_nothing_and_releases_the_lease() {
    let controllers = Controllers::new();
    let (mut first, second) = controllers.pair();
    let issuer = controllers.ready_issuer("shared");
    let burst = begun(&issuer);
    first.signal(Signal::TERM);
    let ended = first.await_end();
    assert!(ended.success(), "{ended}\n{}", first.log());
    assert_in_the_middle(&burst);
    let released = Instant::now();
    controllers.cluster.wait_until("the other controller to lead", || second.leads());
    assert!(released.elapsed() < LEASE_DURATION, "it need not wait until the Lease expires");
    let log = first.log();
    assert!(log.contains("the Lease tcs-issuer/tcs-issuer is released"), "{log}");
    assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
    burst.check();
    assert!(second.leads() && second.is(&controllers.holder()));
    assert!(second.issued() > 0, "the burst went on after the first one had ended");
}
