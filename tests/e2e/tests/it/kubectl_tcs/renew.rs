//! `kubectl tcs renew`.

use super::{Run, program_as, ready, tcs};
use crate::support::issuer::Issuer;
use crate::support::test_cluster::shared;
use crate::support::wait::unique;

#[test]
fn case_9_8_renew_requests_the_next_ca() {
    let issuer = ready(shared(), "renewed");
    let old = issuer.ca();
    let document = tcs(shared(), &["renew", "renewed", "-n", &issuer.namespace, "-o", "json"]).document();
    let value = document["value"].as_str().unwrap().to_owned();
    let next = issuer.await_ca_other_than(&old);
    shared()
        .wait_until("the value to be handled", || issuer.status().handled_renewal.as_ref() == Some(&value));
    // Each time a new value is used, also within one second.
    let run = tcs(shared(), &["renew", "tcsissuer/renewed", "-n", &issuer.namespace]);
    assert!(run.done().contains("The service makes the next CA itself"), "{run:?}");
    issuer.await_ca_other_than(&next);
}

#[test]
fn case_9_8_renew_of_cluster_issuers_and_of_ambiguous_names() {
    let cluster = shared();
    let name = unique("both");
    let of_cluster = Issuer::self_signed_of_cluster(cluster, &name);
    of_cluster.await_reason("Ready");
    let old = of_cluster.ca();
    let issuer = ready(cluster, &name);
    tcs(cluster, &["renew", &name, "-n", &issuer.namespace]).failed(2, "Ambiguous");
    tcs(cluster, &["renew", &format!("tcsclusterissuer/{name}")]).done();
    of_cluster.await_ca_other_than(&old);
    assert_eq!(issuer.status().handled_renewal, None);
}

#[test]
fn case_9_8_renew_changes_nothing_while_it_is_not_known_which_issuer_is_meant() {
    let cluster = shared();
    let issuer = ready(cluster, "meant");
    let namespace = issuer.namespace.as_str();
    cluster.kubectl(&["create", "serviceaccount", "editor", "-n", namespace]);
    let account = format!("--serviceaccount={namespace}:editor");
    cluster.kubectl(&["create", "rolebinding", "editor", "-n", namespace, "--clusterrole=edit", &account]);
    let editor = cluster.stack.cluster.service_account_kubeconfig(namespace, "editor").unwrap();
    let renew = |name: &str| Run::of(program_as(cluster, &editor).args(["renew", name, "-n", namespace]));
    assert!(renew("meant").failed(6, "Forbidden").contains("get TCSClusterIssuer meant: "));
    assert_eq!(issuer.status().handled_renewal, None);
    renew("tcsissuer/meant").done();
}

#[test]
fn case_9_8_renew_where_it_makes_no_sense() {
    let issuer = Issuer::delivered(shared(), "nothing-yet");
    issuer.await_reason("AwaitingKey");
    let refused = tcs(shared(), &["renew", "nothing-yet", "-n", &issuer.namespace]);
    assert!(refused.failed(3, "NoCa").contains("it has no CA yet (AwaitingKey)"), "{refused:?}");
    tcs(shared(), &["renew", "nobody", "-n", &issuer.namespace]).failed(5, "NotFound");
}
