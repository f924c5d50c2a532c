//! Faults of the network, and of an API server that is busy, in the middle of a burst.

use crate::support::burst::Burst;
use crate::support::issuer::Issuer;
use crate::support::proxied::Proxied;
use std::time::Duration;
use tcs_testkit::fault_proxy::{Fault, FaultProxy, Rule};

const REQUESTS: usize = 300;
/// A burst is in its middle when so many certificates were seen.
const SOME: usize = 30;
/// How many requests to the API server meet a fault.
const FAULTS: usize = 60;
/// In the path of all requests for certificates.
const PATH: &str = "/certificatesigningrequests";

/// Has `meet` make faults in the middle of a burst, and checks it.
fn in_a_burst(name: &str, meet: impl FnOnce(&FaultProxy, &Burst<'_>)) {
    let proxied = Proxied::lock();
    let issuer = Issuer::self_signed_ready(&proxied.cluster, name);
    let mut burst = Burst::new(&issuer, REQUESTS);
    burst.approve();
    burst.await_certified(SOME);
    let open = burst.open();
    assert!(open > REQUESTS / 4, "only {open} of {REQUESTS} requests are open");
    meet(&proxied.proxy, &burst);
    burst.check();
}

/// A burst in which writes of certificates meet a fault.
fn writes_meet(name: &str, fault: Fault) {
    in_a_burst(name, |proxy, burst| {
        let injection = proxy.inject(Rule::new(fault).method("PUT").path(PATH).times(FAULTS));
        burst.await_certified(REQUESTS);
        assert_eq!(injection.hits(), FAULTS, "there were enough writes for all faults");
    });
}

#[test]
fn case_9_5_connections_that_are_cut_lose_nothing() {
    in_a_burst("cut", |proxy, burst| {
        let injection = proxy.inject(Rule::new(Fault::Cut).times(FAULTS));
        let cut = proxy.cut_connections();
        assert!(cut > 2, "{cut} connections were cut");
        burst.await_certified(REQUESTS);
        assert_eq!(injection.hits(), FAULTS);
    });
}

/// The write was done, and nobody was told.
#[test]
fn case_9_5_answers_that_are_cut_lose_nothing_and_sign_nothing_twice() {
    writes_meet("answers-cut", Fault::CutAnswer);
}

#[test]
fn case_9_5_slow_answers_lose_nothing() {
    writes_meet("slow", Fault::Slow(Duration::from_millis(200)));
}

/// So few that they do not hold all workers.
#[test]
fn case_9_5_writes_that_hang_hold_no_others_and_are_done_in_the_end() {
    const HANGING: usize = 8;
    in_a_burst("hanging", |proxy, burst| {
        let injection = proxy.inject(Rule::new(Fault::Hang).method("PUT").path(PATH).times(HANGING));
        burst.await_certified(REQUESTS - HANGING);
        assert_eq!((injection.hits(), burst.open()), (HANGING, HANGING));
    });
}

#[test]
fn case_9_5_writes_that_are_answered_429_are_done_later() {
    writes_meet("busy", Fault::Busy { seconds: 1 });
}

#[test]
fn case_9_5_writes_that_are_answered_500_are_done_later() {
    writes_meet("broken", Fault::Status(500));
}

#[test]
fn case_9_5_writes_that_are_answered_503_are_done_later() {
    writes_meet("unavailable", Fault::Status(503));
}

/// The API server, or an admission webhook, refuses the write, and there is no change that a watch could
/// report.
#[test]
fn case_9_5_a_conflict_without_a_change_loses_nothing() {
    writes_meet("conflict", Fault::Status(409));
}

/// Watches end with the event that their state is forgotten, and are refused with 410 when they begin again.
#[test]
fn case_9_5_watches_that_expire_lose_nothing() {
    in_a_burst("expired", |proxy, burst| {
        let refused = proxy.inject(Rule::new(Fault::Status(410)).path(PATH).watches().times(2));
        assert_eq!(proxy.expire_watches(PATH), 1);
        burst.await_certified(REQUESTS);
        assert_eq!(refused.hits(), 2);
    });
}
