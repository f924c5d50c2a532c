//! Several controllers that share one enclave (docs/ha.md).

use crate::support::controllers::{Controllers, LEASE_DURATION};
use crate::support::csr::{Csr, NewCsr, issue};
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::wait::DEADLINE;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tcs_testkit::process::Signal;

/// How long a request may take on a busy machine after somebody leads.
const SLACK: Duration = Duration::from_secs(6);

/// Makes requests of which each is approved as soon as it exists.
fn burst<'a>(issuer: &Issuer<'a>, count: usize) -> Vec<Csr<'a>> {
    let pem = openssl::request(issuer.cluster, &[]);
    (0..count).map(|_| NewCsr::new(&issuer.signer(), &pem).create(issuer.cluster).approve()).collect()
}

/// Resource versions and certificates of requests, all of which must have one.
fn certificates(requests: &[Csr<'_>]) -> BTreeMap<String, (Option<String>, String)> {
    let all = requests.iter().map(|request| {
        let certificate = request.certificate();
        let object = request.cluster.get::<CertificateSigningRequest>("", &request.name).unwrap();
        (request.name.clone(), (object.resource_version(), certificate))
    });
    all.collect()
}

#[test]
fn case_9_6_the_other_controller_takes_over_within_the_lease_time() {
    let controllers = Controllers::new();
    let (mut first, second) = controllers.pair();
    let issuer = controllers.ready_issuer("shared");
    issue(&issuer);
    assert_eq!((first.issued(), second.issued()), (1, 0), "one signs");
    let (ca, transitions) = (issuer.ca(), controllers.lease().lease_transitions);

    first.signal(Signal::KILL);
    first.await_end();
    let killed = Instant::now();
    let waiting = Csr::approved(&issuer);
    controllers.cluster.wait_until("the other controller to lead", || second.leads());
    let taken_over = killed.elapsed();
    assert!(taken_over < LEASE_DURATION + SLACK, "{taken_over:?}");
    assert!(second.is(&controllers.holder()));
    assert_eq!(controllers.lease().lease_transitions, transitions.map(|before| before + 1));
    waiting.certificate();
    assert_eq!((second.issued(), issuer.ca()), (1, ca), "the enclave has kept the CA");
}

#[test]
fn case_9_6_a_leader_that_was_paused_sends_nothing_more_when_it_wakes() {
    let controllers = Controllers::new();
    let (mut first, second) = controllers.pair();
    let issuer = controllers.ready_issuer("shared");
    let before = burst(&issuer, 4);
    controllers.cluster.wait_until("a certificate", || first.issued() > 0);
    first.signal(Signal::STOP);
    // What the watch of the stopped controller has received, and what it will find when it wakes.
    let during = burst(&issuer, 8);
    let new_issuer = Issuer::self_signed(&controllers.cluster, "new", None);
    controllers.cluster.wait_until("the other controller to lead", || second.leads());
    new_issuer.await_reason("Ready");
    let ca = new_issuer.ca();
    let requests: Vec<_> = before.into_iter().chain(during).collect();
    let signed = certificates(&requests);
    let sent = first.writes();
    assert!(sent.iter().any(|write| write.starts_with("PUT ") && write.contains("/status")), "{sent:?}");

    first.signal(Signal::CONT);
    let ended = first.await_end();
    assert!(!ended.success(), "{ended}");
    let log = first.log();
    assert!(log.contains("leadership lost: Lease tcs-issuer/tcs-issuer"), "{log}");
    assert_eq!(first.writes(), sent, "it sent nothing more");
    assert!(second.is(&controllers.holder()), "it did not release the Lease of the other one");
    assert_eq!(certificates(&requests), signed, "nothing was written again");
    assert_eq!((new_issuer.ca(), new_issuer.reason().as_str()), (ca, "Ready"));
    issue(&issuer);
    assert!(second.leads() && second.is_ready());
}

#[test]
fn a_candidate_that_ends_leaves_the_lease_to_its_holder_and_the_last_one_empties_it() {
    let controllers = Controllers::new();
    let (mut first, mut second) = controllers.pair();
    let holder = controllers.holder();
    second.signal(Signal::TERM);
    assert!(second.await_end().success());
    assert_eq!(controllers.holder(), holder);
    first.signal(Signal::TERM);
    assert!(first.await_end().success());
    assert_eq!(controllers.holder(), "");
    assert!(controllers.lease().holder_identity.is_some(), "it is empty, not gone");
}

/// Process 1 of a container receives only the signals for which it has a handler, and whoever is ended by a
/// signal has none.
#[test]
fn the_enclave_handles_sigterm_so_that_it_ends_as_process_1_too() {
    let mut controllers = Controllers::new();
    let (mut first, _second) = controllers.pair();
    issue(&controllers.ready_issuer("shared"));
    controllers.enclave.signal(Signal::TERM).unwrap();
    let ended = controllers.enclave.wait(DEADLINE).unwrap();
    assert_eq!(ended.code(), Some(0), "{ended}");
    controllers.cluster.wait_until("the leader to notice", || !first.is_ready());
    first.signal(Signal::TERM);
    assert!(first.await_end().success());
}

/// An issuer that is not listed yet may exist.
#[test]
fn no_request_is_told_that_its_issuer_is_missing_before_issuers_are_listed() {
    let controllers = Controllers::new();
    let cluster = &controllers.cluster;
    let issuer = Issuer::self_signed(cluster, "late", None);
    // The first rule of the role is about issuers.
    let without = r#"[{"op": "remove", "path": "/rules/0"}]"#;
    cluster.kubectl(&["patch", "clusterrole", "tcs-issuer", "--type=json", "-p", without]);
    let controller = controllers.launch("first");
    cluster.wait_until("the controller to lack nothing but the issuers", || {
        let readiness = controller.readiness();
        let reasons: Vec<_> = readiness.split("\r\n\r\n").skip(1).flat_map(str::lines).collect();
        let about_issuers = |reason: &&str| {
            let rights = ["may not watch tcsissuers.", "may not watch tcsclusterissuers."];
            *reason == "issuers are not listed yet" || rights.iter().any(|right| reason.contains(right))
        };
        controller.leads() && reasons.len() == 3 && reasons.iter().all(about_issuers)
    });
    let request = Csr::approved(&issuer);
    controllers.apply_manifest();
    request.certificate();
    let events = cluster.list::<Event>("default");
    let of_request = events.iter().filter(|event| event.involved_object.name.as_ref() == Some(&request.name));
    let reasons: Vec<_> = of_request.filter_map(|event| event.reason.as_deref()).collect();
    assert!(!reasons.contains(&"WaitingForIssuerExist"), "{reasons:?}");
}
