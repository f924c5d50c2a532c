//! Objects with times that we cannot represent. They are read as JSON, because our own types cannot hold
//! them.

use crate::support::ca::Ca;
use crate::support::csr::{Csr, NewCsr};
use crate::support::delivery::KMRA;
use crate::support::encoding::decode;
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::{TestCluster, shared};
use crate::unreadable::objects::{BEYOND, managed_field};
use serde_json::{Value, json};

#[test]
fn review_h1_what_a_pass_reads_may_have_times_beyond_ours() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "beyond");
    let patch = |resource: &str, name: &str, api_version: &str| {
        let get = [resource, "-n", "tcs-issuer", name, "--show-managed-fields"];
        let mut fields = cluster.get_json(&get)["metadata"]["managedFields"].clone();
        fields.as_array_mut().unwrap().push(managed_field(&json!(api_version), &json!({})));
        let patch = json!({"metadata": {"managedFields": fields}}).to_string();
        cluster.kubectl(&["patch", resource, "-n", "tcs-issuer", name, "--type=merge", "-p", &patch]);
        let patched = cluster.get_json(&get)["metadata"]["managedFields"].to_string();
        assert!(patched.contains(BEYOND), "{resource}");
    };
    issuer.await_attestation();
    patch("quoteattestations.tcs.intel.com", &issuer.attestation_name(), "tcs.intel.com/v1alpha1");
    issuer.write_delivery_of(&Ca::p256(cluster));
    patch("secret", &issuer.delivery_secret(), "v1");
    issuer.announce_delivery(KMRA);
    issuer.await_reason("Ready");
    issuer.await_no_attestation();
    Csr::approved(&issuer).certificate();
}

#[test]
fn review_l1_a_request_approved_at_the_end_of_time_is_served_and_keeps_its_times_objects() {
    let cluster = shared();
    let issuer = Issuer::self_signed(cluster, "far", None);
    issuer.await_reason("Ready");
    let plain = || NewCsr::new(&issuer.signer(), &request(cluster, &[]));
    let served = approve_at_the_end_of_time(&plain().create(cluster));
    let certificate =
        cluster.wait_for("a certificate", || status(cluster, &served)["certificate"].as_str().map(decode));
    assert!(String::from_utf8(certificate).unwrap().contains("BEGIN CERTIFICATE"));
    assert_keeps_its_times(cluster, &served);

    let refused = approve_at_the_end_of_time(&plain().usages(&["cert sign"]).create(cluster));
    let failed = cluster.wait_for("a failure", || condition(cluster, &refused, "Failed"));
    assert_eq!((&failed["status"], &failed["reason"]), (&json!("True"), &json!("UsageForbidden")));
    assert_keeps_its_times(cluster, &refused);
}

/// Approves a request with times that we cannot represent; its name.
fn approve_at_the_end_of_time(csr: &Csr<'_>) -> String {
    let mut object = csr.cluster.get_json(&["csr", &csr.name]);
    object["status"] = json!({"conditions": [{
        "type": "Approved", "status": "True", "reason": "Far", "message": "approved",
        "lastUpdateTime": BEYOND, "lastTransitionTime": BEYOND,
    }]});
    let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/approval", csr.name);
    csr.cluster.try_kubectl_with(&["replace", "--raw", &path], &object).unwrap();
    csr.name.clone()
}

fn status(cluster: &TestCluster, csr: &str) -> Value {
    cluster.get_json(&["csr", csr])["status"].clone()
}

fn condition(cluster: &TestCluster, csr: &str, type_: &str) -> Option<Value> {
    let status = status(cluster, csr);
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_).cloned()
}

fn assert_keeps_its_times(cluster: &TestCluster, csr: &str) {
    let approved = condition(cluster, csr, "Approved").unwrap();
    assert_eq!(
        (&approved["lastUpdateTime"], &approved["lastTransitionTime"]),
        (&json!(BEYOND), &json!(BEYOND))
    );
}
