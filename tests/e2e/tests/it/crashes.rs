//! Crashes of the enclave, the controller and both at every step. Each test has a cluster of its own.

use crate::support::ca::Ca;
use crate::support::csr::Csr;
use crate::support::issuer::Issuer;
use crate::support::objects::{issuer_object, new_key_at_renewal};
use crate::support::test_cluster::{CONTROLLER, CRASHES, ENCLAVE, TestCluster};
use crate::support::wait::{DEADLINE, unique};
use k8s_openapi::ByteString;
use kube::ResourceExt as _;
use std::path::PathBuf;
use tcs_api::labels::ISSUER_UID;
use tcs_testkit::process::wait_for;

/// A step of the making of a CA, and how it is seen that it was reached.
type Step = (&'static str, fn(&Issuer<'_>) -> bool);

const STEPS: [Step; 4] = [
    ("requested", |_| true),
    ("in the status", |issuer| issuer.fingerprint().is_some()),
    ("sealed", |issuer| issuer.cluster.service_secret(&issuer.sealed_secret_name()).is_some()),
    ("published", |issuer| issuer.ca_secret().is_some()),
];

/// Has a certificate issued, unless the key is lost. Every other state passes.
fn issue_unless_lost(issuer: &Issuer<'_>) -> Option<PathBuf> {
    let csr = Csr::approved(issuer);
    let certificate =
        issuer.cluster.wait_for("a certificate, or a key that is lost", || match csr.status().certificate {
            Some(ByteString(certificate)) => Some(Some(certificate)),
            None => (issuer.reason() == "KeyLost").then_some(None),
        });
    Some(issuer.cluster.new_file("leaf", certificate?))
}

#[test]
fn w_d2_no_crash_at_any_step_changes_a_ca_that_somebody_could_know() {
    let cluster = TestCluster::new();
    for (step, is_reached) in STEPS {
        for crash in CRASHES {
            let issuer = Issuer::self_signed(&cluster, &unique("crashed"), None);
            let what = format!("{step}, then {crash:?} ends");
            cluster.wait_until(&what, || is_reached(&issuer));
            let before = issuer.fingerprint();
            for container in crash {
                cluster.crash(container);
            }
            let leaf = issue_unless_lost(&issuer);
            let now = issuer.ca();
            assert!(before.is_none_or(|before| before == now), "{what}");
            let leaf = leaf.unwrap_or_else(|| {
                // The enclave ended before its key was sealed. The issuer says so, and a new CA can be
                // allowed.
                let is_sealed = ["sealed", "published"].contains(&step);
                assert!(crash.contains(&ENCLAVE) && !is_sealed, "{what}");
                issuer.allow_new_ca(&now);
                issuer.await_reason("Ready");
                assert_ne!(issuer.ca(), now, "{what}");
                issue_unless_lost(&issuer).unwrap()
            });
            issuer.accepts(&[&leaf]);
            issuer.delete();
        }
    }
}

#[test]
fn no_crash_in_a_renewal_takes_the_old_anchor_away_or_renews_twice() {
    let cluster = TestCluster::new();
    for waits_for_the_new_ca in [false, true] {
        for crash in CRASHES {
            let what = format!("after the new CA: {waits_for_the_new_ca}; then {crash:?} ends");
            crash_in_a_renewal(&cluster, waits_for_the_new_ca, crash, &what);
        }
    }
}

fn crash_in_a_renewal(cluster: &TestCluster, waits_for_the_new_ca: bool, crash: &[&str], what: &str) {
    let issuer = Issuer::self_signed(cluster, &unique("renewed"), Some(new_key_at_renewal()));
    issuer.await_reason("Ready");
    let (first, before) = (issuer.ca(), issue_unless_lost(&issuer).unwrap());
    issuer.renew("now");
    if waits_for_the_new_ca {
        issuer.await_ca_other_than(&first);
    }
    for container in crash {
        cluster.crash(container);
    }
    cluster.wait_until(&format!("the renewal, {what}"), || {
        issuer.status().handled_renewal.as_deref() == Some("now") && issuer.reason() == "Ready"
    });
    let second = issuer.ca();
    let after = issue_unless_lost(&issuer).expect(what);
    assert_ne!(first, second, "{what}");
    issuer.accepts(&[&before, &after]);
    for container in [ENCLAVE, CONTROLLER] {
        cluster.crash(container);
    }
    let last = issue_unless_lost(&issuer).expect(what);
    assert_eq!(issuer.ca(), second, "{what}: it is renewed once");
    issuer.accepts(&[&before, &after, &last]);
    issuer.delete();
}

/// The original stored its keys by namespace and name, and never noticed that the issuer was another one.
#[test]
fn w_r5_an_issuer_made_anew_while_the_service_is_down_inherits_no_key() {
    let cluster = TestCluster::new();
    let own = Issuer::self_signed(&cluster, "own", None);
    own.await_reason("Ready");
    let delivered = Issuer::delivered(&cluster, "delivered");
    delivered.deliver_until_ready(&Ca::p256(&cluster));
    let old = own.ca();
    let sealed = [&own, &delivered].map(|issuer| issuer.await_sealed_secret().name_any());
    cluster.stop_service();
    for issuer in [&own, &delivered] {
        issuer.delete();
        let mut object = issuer_object(&issuer.namespace, &issuer.name);
        object.spec.self_sign = issuer.name == "own";
        cluster.apply(&object);
    }
    cluster.start_service();
    // The garbage collector of a new cluster takes its time with the Secret of the old issuer, which the
    // service may not delete.
    wait_for(DEADLINE + DEADLINE, "the old certificate to go", || {
        let secret = own.ca_secret();
        Ok(secret.filter(|secret| secret.labels().get(ISSUER_UID) == Some(&own.uid())))
    })
    .unwrap();
    own.await_reason("Ready");
    assert_ne!(own.ca(), old);
    delivered.await_reason("AwaitingKey");
    assert_eq!(delivered.fingerprint(), None);
    for name in &sealed {
        cluster.wait_until("the old keys to go", || cluster.service_secret(name).is_none());
    }
    own.accepts(&[&issue_unless_lost(&own).unwrap()]);
}
