//! The controller's memory under loads that strangers can make: a tenth of what `cargo xtask bench memory`
//! measures.

use tcs_testkit::load::{Load, Peak, measure};
use tcs_testkit::{Programs, repository};

/// A tenth of the objects of the benchmark.
const OBJECTS: usize = 200;
/// What two runs of the same program may differ by, in KiB.
const NOISE: u64 = 2 << 10;

fn peak(load: Load, objects: usize) -> Peak {
    let dir = tempfile::tempdir_in(repository().join("target")).unwrap();
    let controller = Programs::build().unwrap().path("tcs-issuer");
    measure(load, objects, &controller, dir.path(), |line| eprintln!("{line}")).unwrap()
}

fn is_bounded(load: Load) {
    let peak = peak(load, OBJECTS);
    let limit = peak.base + (load.limit() * 1024).saturating_sub(peak.base) / 10 + NOISE;
    assert!(peak.start.max(peak.steady) <= limit, "{load:?}: {peak:?}, limit {limit} KiB");
}

#[test]
fn review_m2_large_annotations_of_issuers_are_not_kept() {
    is_bounded(Load::AnnotatedIssuers);
}

#[test]
fn review_m2_the_largest_policies_are_bounded() {
    is_bounded(Load::LargestPolicies);
}

#[test]
fn review_m2_nothing_of_foreign_requests_is_kept() {
    is_bounded(Load::ForeignRequests);
}

#[test]
fn review_m2_nothing_of_unapproved_requests_is_kept() {
    is_bounded(Load::UnapprovedRequests);
}

/// What is held of them does not depend on their number, so this is the limit for any number of them. If all
/// were held, half as many objects would exceed it.
#[test]
fn review_m2_approved_requests_are_held_up_to_a_limit() {
    let load = Load::ApprovedRequests;
    let peak = peak(load, OBJECTS / 2);
    assert!(peak.start.max(peak.steady) <= load.limit() * 1024, "{peak:?}");
}
