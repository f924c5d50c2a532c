//! Renewal on a real API server, requested by annotation. `by_clock` simulates years.

use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::delivery::KMRA;
use crate::support::issuer::Issuer;
use crate::support::objects::new_key_at_renewal;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, TestCluster, shared};
use kube::ResourceExt as _;
use tcs_api::conditions::{KEY_ACCEPTED, last};
use tcs_api::v1alpha1::CaSpec;

#[test]
fn a_self_signed_ca_is_renewed_by_annotation_and_only_once() {
    let issuer = Issuer::self_signed(shared(), "renewed", None);
    issuer.await_reason("Ready");
    let (first, before) = (issuer.ca(), issue(&issuer));
    issuer.renew("2026-11-25");
    let second = issuer.await_ca_other_than(&first);
    let after = issue(&issuer);
    assert_eq!(issuer.anchors(), 2);
    issuer.accepts(&[&before, &after]);
    let status = issuer.status();
    assert_eq!(status.previous_cas[0].fingerprint, first);
    assert_eq!(status.handled_renewal.as_deref(), Some("2026-11-25"));
    assert!(issuer.await_event("CAReplaced").contains(&second));
    // Another change of the issuer does not cause a further renewal.
    issuer.annotate("other", "value");
    issue(&issuer);
    assert_eq!(issuer.ca(), second);
    issuer.renew("again");
    issuer.await_ca_other_than(&second);
    assert_eq!(issuer.anchors(), 3);
    issuer.accepts(&[&before, &after, &issue(&issuer)]);
}

/// Requests arrive all the time, and every certificate verifies with what is published when it is there.
#[test]
fn a_new_key_is_published_before_it_signs_and_issuing_never_stops() {
    let ca = CaSpec { key_algorithm: Some("RSA-3072".into()), ..new_key_at_renewal() };
    let issuer = Issuer::self_signed(shared(), "rotated", Some(ca));
    issuer.await_reason("Ready");
    let first = issuer.ca();
    let mut leaves = vec![issue(&issuer)];
    std::thread::scope(|scope| {
        let requests = scope.spawn(|| {
            let mut leaves = Vec::new();
            while issuer.ca() == first || leaves.len() < 8 {
                let leaf = issue(&issuer);
                issuer.accepts(&[&leaf]);
                leaves.push(leaf);
            }
            leaves.push(issue(&issuer));
            leaves
        });
        issuer.renew("now");
        leaves.extend(requests.join().unwrap());
    });
    assert_ne!(issuer.ca(), first);
    assert_eq!(issuer.anchors(), 2);
    issuer.accepts(&leaves.iter().collect::<Vec<_>>());
}

/// Both programs restart at every step, so this test has a cluster of its own.
#[test]
fn the_next_delivered_ca_replaces_the_present_one_without_a_pause() {
    let cluster = TestCluster::new();
    let issuer = Issuer::delivered(&cluster, "delivered");
    let (one, two) = (Ca::p256(&cluster), Ca::p256(&cluster));
    issuer.deliver_until_ready(&one);
    let (first, before) = (issuer.ca(), issue(&issuer));
    issuer.await_sealed_secret();
    issuer.renew("now");
    let message = issuer.await_reason("Renewing");
    assert!(message.contains("SIMULATED") && message.contains("waiting for the next CA"), "{message}");
    restart_while_the_next_ca_is_awaited(&issuer);
    assert_eq!((issuer.reason().as_str(), issuer.ca()), ("Renewing", first.clone()));
    refuse_a_wrong_next_ca(&issuer, &one, &two);

    issuer.write_delivery_of(&two);
    let second = issuer.await_ca_other_than(&first);
    issuer.await_reason("Ready");
    issuer.await_no_attestation();
    let event = issuer.await_event("CAReplaced");
    assert!(event.contains(&first) && event.contains(&second), "{event}");
    let after = issue(&issuer);
    assert_eq!(issuer.anchors(), 2);
    issuer.accepts(&[&before, &after]);

    // The new key is the one that was sealed, and the key owner is not asked again.
    for container in [ENCLAVE, CONTROLLER] {
        cluster.crash(container);
        issuer.accepts(&[&before, &after, &issue(&issuer)]);
        assert_eq!(issuer.ca(), second);
    }
    assert!(issuer.attestation().is_none());
}

/// A restart of the controller keeps the offer of the next CA, a restart of the enclave makes another one.
/// Issuing goes on.
fn restart_while_the_next_ca_is_awaited(issuer: &Issuer<'_>) {
    let offered = issuer.await_attestation();
    issue(issuer);
    issuer.cluster.restart_controller();
    assert_eq!(issuer.await_attestation().uid(), offered.uid());
    issue(issuer);
    issuer.cluster.crash(ENCLAVE);
    issuer.await_offer_other_than(&offered);
    issue(issuer);
}

/// A wrong delivery is refused in the `QuoteAttestation`, where the key owner reads it, and the issuer signs
/// on.
fn refuse_a_wrong_next_ca(issuer: &Issuer<'_>, key: &Ca, certificate: &Ca) {
    issuer.write_delivery(Some(&issuer.wrap(&key.key)), Some(&certificate.certificate_text()));
    issuer.announce_delivery(KMRA);
    let refused = issuer
        .cluster
        .wait_for("a refusal", || last(&issuer.attestation()?.status?.conditions, KEY_ACCEPTED).cloned());
    assert_eq!((refused.status.as_deref(), refused.reason.as_deref()), (Some("False"), Some("KeyMismatch")));
    issuer.cluster.wait_until("the issuer to show the refusal", || issuer.message().contains("KeyMismatch"));
    assert_eq!((issuer.is_ready(), issuer.reason().as_str()), (true, "Renewing"));
    issue(issuer);
}
