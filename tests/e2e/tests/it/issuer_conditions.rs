//! The Ready condition of an issuer through its life: statuses, times, generations and Events.

use crate::support::ca::Ca;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::shared;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde_json::json;

/// The Ready condition as soon as it has this reason and is about the generation that is in the object now.
fn ready_with(issuer: &Issuer<'_>, reason: &str) -> Condition {
    issuer.await_reason(reason);
    issuer.cluster.wait_for("the status to be about the present generation", || {
        let object = issuer.object()?;
        let generation = object.metadata.generation;
        let status = object.status?;
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == "Ready")?;
        (ready.reason == reason && ready.observed_generation == generation).then_some(ready)
    })
}

/// The types (Normal, Warning) of the Events with this reason.
fn event_types(issuer: &Issuer<'_>, reason: &str) -> Vec<String> {
    issuer.await_event(reason);
    let events = issuer.cluster.list::<Event>(&issuer.namespace).into_iter();
    let about = events.filter(|event| {
        event.involved_object.uid == issuer.object().and_then(|object| object.uid())
            && event.reason.as_deref() == Some(reason)
    });
    about.filter_map(|event| event.type_).collect()
}

fn assert_state(ready: &Condition, status: &str, generation: i64) {
    assert_eq!((ready.status.as_str(), ready.observed_generation), (status, Some(generation)), "{ready:?}");
    assert!(!ready.message.is_empty());
}

#[test]
fn a20_issuer_ready_life_cycle() {
    let issuer = Issuer::delivered(shared(), "life");
    let ca = Ca::p256(issuer.cluster);

    let awaiting = ready_with(&issuer, "AwaitingKey");
    assert_state(&awaiting, "False", 1);
    assert_eq!(event_types(&issuer, "AwaitingKey"), ["Normal"]);

    // A refusal is another reason of the same status, so the time of the transition stays.
    issuer.write_delivery(Some("km-wrap: error"), Some(&ca.certificate_text()));
    issuer.announce_delivery(crate::support::delivery::KMRA);
    let rejected = ready_with(&issuer, "KeyRejected");
    assert_state(&rejected, "False", 1);
    assert_eq!(rejected.last_transition_time, awaiting.last_transition_time);
    assert_eq!(event_types(&issuer, "KeyRejected"), ["Warning"]);

    issuer.write_delivery_of(&ca);
    let signing = ready_with(&issuer, "Ready");
    assert_state(&signing, "True", 1);
    assert!(signing.last_transition_time >= rejected.last_transition_time);
    assert_eq!(event_types(&issuer, "KeyAccepted"), ["Normal"]);

    // A change of the spec is observed, and is no transition.
    issuer.patch(&json!({"spec": {"policy": {"maxLifetimeSeconds": 7200}}}));
    let changed = ready_with(&issuer, "Ready");
    assert_state(&changed, "True", 2);
    assert_eq!(changed.last_transition_time, signing.last_transition_time);

    // While the next CA is awaited, the present one signs.
    issuer.renew("now");
    let renewing = ready_with(&issuer, "Renewing");
    assert_state(&renewing, "True", 2);
    assert_eq!(renewing.last_transition_time, signing.last_transition_time);
    assert_eq!(event_types(&issuer, "Renewing"), ["Normal"]);
    issuer.write_delivery_of(&Ca::p256(issuer.cluster));
    issuer.announce_delivery(crate::support::delivery::KMRA);
    assert_state(&ready_with(&issuer, "Ready"), "True", 2);
    assert_eq!(event_types(&issuer, "CAReplaced"), ["Normal"]);
}
