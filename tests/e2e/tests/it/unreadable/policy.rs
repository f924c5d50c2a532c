//! A policy that an earlier CRD allowed and that the enclave cannot read.

use crate::support::csr::{Csr, issue};
use crate::support::issuer::Issuer;
use crate::support::test_cluster::TestCluster;
use crate::unreadable::stored::with_lax_crds;
use serde_json::json;

#[test]
fn case_p35_an_issuer_with_a_stored_policy_that_cannot_be_read_is_not_ready_and_others_are_served() {
    let cluster = TestCluster::new();
    let [bad, other] = ["bad", "other"].map(|name| Issuer::self_signed(&cluster, name, None));
    for issuer in [&bad, &other] {
        issuer.await_reason("Ready");
    }
    with_lax_crds(&cluster, || bad.patch(&json!({"spec": {"policy": {"ipRanges": ["10.0.0.1/8"]}}})));
    let message = bad.await_reason("PolicyMalformed");
    assert!(message.contains("nothing is signed until it is corrected"), "{message}");
    let waiting = Csr::approved(&bad);
    waiting.await_event("WaitingForIssuerReady");
    waiting.assert_untouched();
    issue(&other);
    // A policy of addresses alone would forbid the names of the request.
    bad.patch(&json!({"spec": {"policy": null}}));
    bad.await_reason("Ready");
    waiting.certificate();
}
