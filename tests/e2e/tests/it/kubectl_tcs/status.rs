//! `kubectl tcs status`.

use super::{Run, program_as, ready, tcs};
use crate::support::issuer::Issuer;
use crate::support::test_cluster::shared;
use crate::support::wait::unique;
use serde_json::{Value, json};

fn of<'a>(document: &'a Value, name: &str) -> &'a Value {
    let all = document["issuers"].as_array().unwrap();
    all.iter().find(|issuer| issuer["name"] == name).unwrap_or_else(|| panic!("{name}: {document}"))
}

#[test]
fn case_9_8_status_shows_a_ready_issuer_and_its_ca() {
    let issuer = ready(shared(), "shown");
    let namespace = issuer.namespace.as_str();
    let document = tcs(shared(), &["status", "-n", namespace, "-o", "json"]).document();
    let shown = of(&document, "shown");
    assert_eq!(shown["kind"], "TCSIssuer");
    assert_eq!((&shown["ready"], &shown["reason"]), (&json!("True"), &json!("Ready")));
    assert_eq!(shown["ca"]["fingerprint"], issuer.ca());
    assert_eq!(shown["ca"]["commonName"], "SGX self-signed root certificate authority");
    let days = shown["ca"]["daysLeft"].as_i64().unwrap();
    assert!((363..=365).contains(&days), "{days}");
    assert_eq!((&shown["simulated"], &shown["next"]), (&json!(true), &json!([])));
    let run = tcs(shared(), &["status", "-n", namespace]);
    let lines: Vec<&str> = run.done().lines().collect();
    let titles: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(titles[..5], ["NAMESPACE", "NAME", "READY", "REASON", "CA"], "{lines:?}");
    let line = lines.iter().find(|line| line.starts_with(namespace)).unwrap();
    assert!(
        line.contains("tcsissuer/shown") && line.contains("True") && line.contains("SGX self-signed"),
        "{line}"
    );
    let one = tcs(shared(), &["status", "tcsissuer/shown", "-n", namespace]);
    assert!(one.done().contains(&issuer.ca()), "{one:?}");
}

#[test]
fn case_9_8_status_says_what_an_issuer_waits_for_and_what_to_do() {
    let issuer = Issuer::delivered(shared(), "waits");
    issuer.await_reason("AwaitingKey");
    let run = tcs(shared(), &["status", "waits", "-n", &issuer.namespace]);
    let offer = issuer.attestation_name();
    assert!(run.done().contains(&format!("quoteattestations.tcs.intel.com {offer}")), "{run:?}");
    let document = tcs(shared(), &["status", "waits", "-n", &issuer.namespace, "-o", "json"]).document();
    let shown = of(&document, "waits");
    assert_eq!((&shown["ready"], &shown["quoteAttestation"]), (&json!("False"), &json!(offer)));
    assert!(shown["message"].as_str().unwrap().contains("km-attest"), "{shown}");
}

#[test]
fn case_9_8_status_shows_cluster_issuers_and_all_namespaces() {
    let name = unique("everywhere");
    let of_cluster = Issuer::self_signed_of_cluster(shared(), &name);
    of_cluster.await_reason("Ready");
    let issuer = ready(shared(), "elsewhere");
    let all = tcs(shared(), &["status", "-A", "-o", "json"]).document();
    assert_eq!(of(&all, &name)["kind"], "TCSClusterIssuer");
    assert_eq!(of(&all, &name)["namespace"], Value::Null);
    assert_eq!(of(&all, "elsewhere")["namespace"], issuer.namespace);
    let own = tcs(shared(), &["status", "-n", &shared().new_namespace(), "-o", "json"]).document();
    assert!(own["issuers"].as_array().unwrap().iter().all(|issuer| issuer["kind"] == "TCSClusterIssuer"));
}

#[test]
fn case_9_8_status_of_what_is_not_there_or_may_not_be_read() {
    let cluster = shared();
    let namespace = cluster.new_namespace();
    tcs(cluster, &["status", "nobody", "-n", &namespace]).failed(5, "NotFound");
    tcs(cluster, &["status", "secret/nobody"]).failed(2, "Usage");
    let account = cluster.stack.cluster.service_account_kubeconfig("default", "default").unwrap();
    let refused = Run::of(program_as(cluster, &account).args(["status", "-n", &namespace]));
    assert!(refused.failed(6, "Forbidden").contains("tcs-issuer-view"), "{refused:?}");
    // Without a kind the issuer of the namespace is meant first.
    let refused = Run::of(program_as(cluster, &account).args(["status", "one", "-n", &namespace]));
    let expected = format!("get TCSIssuer {namespace}/one: ");
    assert!(refused.failed(6, "Forbidden").contains(&expected), "{refused:?}");
}

#[test]
fn case_9_8_a_user_of_one_namespace_sees_its_issuers() {
    let cluster = shared();
    let issuer = ready(cluster, "mine");
    let namespace = issuer.namespace.as_str();
    cluster.kubectl(&["create", "serviceaccount", "viewer", "-n", namespace]);
    let account = format!("--serviceaccount={namespace}:viewer");
    cluster.kubectl(&["create", "rolebinding", "viewer", "-n", namespace, "--clusterrole=view", &account]);
    let viewer = cluster.stack.cluster.service_account_kubeconfig(namespace, "viewer").unwrap();
    let run = Run::of(program_as(cluster, &viewer).args(["status", "-n", namespace, "-o", "json"]));
    let document = run.document();
    assert_eq!(of(&document, "mine")["ready"], "True");
    assert!(document["clusterIssuersNotShown"].as_str().unwrap().contains("cannot list"), "{document}");
    assert!(run.err.contains("TCSClusterIssuers are not shown"), "{run:?}");
    assert_eq!(document["clusterIssuersNotShown"], document["notShown"]);
    let one = Run::of(program_as(cluster, &viewer).args(["status", "mine", "-n", namespace, "-o", "json"]));
    let document = one.document();
    assert_eq!(of(&document, "mine")["ready"], "True");
    assert!(document["notShown"].as_str().unwrap().contains("get TCSClusterIssuer mine: "), "{document}");
    assert!(one.err.contains("Issuers of the other kind are not shown"), "{one:?}");
}
