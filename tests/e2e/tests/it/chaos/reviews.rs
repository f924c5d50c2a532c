//! Reviews of access that fail or hang: a request waits for them, and others do not.

use crate::support::account::{Account, group_for};
use crate::support::burst::Burst;
use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::proxied::{Proxied, Shared};
use crate::support::test_cluster::TestCluster;
use crate::support::wait::unique;
use std::time::Duration;
use tcs_api::annotations::REQUEST_DURATION;
use tcs_testkit::fault_proxy::{Fault, FaultProxy, Injection, Rule};

/// Requests of as many users: many more than the controller reconciles at a time.
const USERS: usize = 80;
/// Reviews that the controller asks for at a time.
const REVIEWS: u64 = 16;
/// Requests for the cluster issuer, for which no review is needed.
const OTHERS: usize = 40;

fn reviews_meet(proxy: &FaultProxy, fault: Fault) -> Injection {
    proxy.inject(Rule::new(fault).method("POST").path("/subjectaccessreviews"))
}

/// Reviews that have ended without a decision.
fn failed_reviews(cluster: &TestCluster) -> u64 {
    let metrics = cluster.metrics().unwrap();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("tcs_access_reviews_total{code=\"Error\"} "));
    count.map_or(0, |count| count.parse().unwrap())
}

/// While reviews meet a fault, the requests that need one wait, and others are signed. Afterwards all are.
fn requests_wait(name: &str, fault: Fault) {
    let Shared { proxy, cluster } = &*Proxied::lock();
    let issuer = Issuer::self_signed_ready(cluster, name);
    let of_cluster = Issuer::self_signed_of_cluster(cluster, &unique(name));
    of_cluster.await_reason("Ready");
    let group = group_for(&issuer);
    let mut waiting = Burst::of_users(&issuer, USERS, &group);
    let mut others = Burst::new(&of_cluster, OTHERS);

    let injection = reviews_meet(proxy, fault);
    let failed_before = failed_reviews(cluster);
    waiting.approve_all();
    cluster.wait_until("reviews to be asked for", || injection.hits() > 0);
    others.approve_all();
    others.await_certified(1);
    let failed = failed_reviews(cluster) - failed_before;
    if fault == Fault::Hang {
        // If hanging reviews held the workers, more than these would have to fail before.
        assert!(failed <= REVIEWS, "{failed} reviews have failed before another request was signed");
    }
    others.check();
    cluster.wait_until("a review to fail", || failed_reviews(cluster) > failed_before);
    assert_eq!(waiting.certified(), 0);
    drop(injection);
    waiting.check();
}

#[test]
fn case_9_5_requests_wait_for_reviews_that_are_answered_500_and_others_are_signed() {
    requests_wait("reviews-broken", Fault::Status(500));
}

#[test]
fn case_9_5_requests_wait_for_reviews_that_are_answered_429_and_others_are_signed() {
    requests_wait("reviews-busy", Fault::Busy { seconds: 1 });
}

#[test]
fn case_9_5_requests_wait_for_reviews_that_hang_and_others_are_signed() {
    requests_wait("reviews-hanging", Fault::Hang);
}

/// A request that nobody could sign costs no review, and whoever may not use an issuer learns nothing else.
#[test]
fn b01_the_issuer_is_checked_before_access_and_access_before_the_content() {
    let Shared { proxy, cluster } = &*Proxied::lock();
    let ready = Issuer::self_signed_ready(cluster, "ordered");
    let not_ready = Issuer::delivered(cluster, "not-ready");
    not_ready.await_reason("AwaitingKey");
    let account = Account::new(cluster);
    let malformed = |signer: &str| -> Csr<'_> {
        let new = NewCsr::new(signer, &request(cluster, &[])).annotated(REQUEST_DURATION, "soon");
        account.approved_as_given(new)
    };
    // It only counts.
    let reviews = reviews_meet(proxy, Fault::Slow(Duration::ZERO));
    let without_issuer = malformed(&ready.signer().replace("ordered", "missing"));
    without_issuer.await_event("WaitingForIssuerExist");
    let early = malformed(&not_ready.signer());
    early.await_event("WaitingForIssuerReady");
    assert_eq!(reviews.hits(), 0, "nobody was asked about requests that nobody can sign");
    let refused = malformed(&ready.signer());
    assert_eq!(refused.failure(), "ReferenceNotAllowed");
    assert!(reviews.hits() > 0);
    without_issuer.assert_untouched();
    early.assert_untouched();
    let allowed = NewCsr::new(&ready.signer(), &request(cluster, &[])).annotated(REQUEST_DURATION, "soon");
    assert_eq!(allowed.create(cluster).approve().failure(), "LifetimeInvalid");
}
