use super::*;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tcs_api::v1alpha1::TCSIssuer;

const NOW: i64 = 1_800_000_000;

fn issuer(ready: Option<(&str, &str)>, ends: Option<&str>) -> Issuer {
    let conditions = ready.map(|(status, reason)| {
        json!([{"type": "Ready", "status": status, "reason": reason, "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    });
    let ca = ends.map(|end| json!({"fingerprint": "", "notAfter": end, "keyAlgorithm": "", "keyFormat": ""}));
    let mut status = json!({ "conditions": conditions.unwrap_or(json!([])) });
    if let Some(ca) = ca {
        status["ca"] = ca;
    }
    let object = json!({
        "metadata": {"name": "n", "namespace": "ns"}, "spec": {"secretName": "s"}, "status": status,
    });
    Issuer::from(Arc::new(serde_json::from_value::<TCSIssuer>(object).unwrap()))
}

/// A state that has every metric.
pub(in crate::runtime) fn complete_state() -> State {
    let enclave = Identity {
        boot_id: tcs_enclave_rpc::ByteVec::from(vec![]),
        version: "0".into(),
        platform: "p".into(),
        simulated: true,
        evidence_kind: String::new(),
        assurance: "simulated".into(),
        sealing: false,
    };
    let right = Right { verb: "watch", group: String::new(), resource: "secrets".into(), namespace: None };
    let issuer = issuer(Some(("True", "Ready")), Some("2027-01-01T00:00:00Z"));
    State { enclave: Some(enclave), rights: vec![(right, false)], ..state(vec![issuer]) }
}

fn text(state: &State) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &state.registry()).unwrap();
    text
}

fn state(issuers: Vec<Issuer>) -> State {
    let open = vec![(RequestApi::KubernetesCsr, OpenCounts::default())];
    State {
        leads: false,
        issuers,
        open,
        enclave: None,
        rights: Vec::new(),
        now: NOW,
        lifetimes: HashMap::new(),
    }
}

#[test]
fn w_d12_issuers_are_counted_by_known_reasons_only() {
    let issuers = vec![
        issuer(Some(("True", "Ready")), None),
        issuer(Some(("True", "Ready")), None),
        issuer(Some(("False", "KeyLost")), None),
        issuer(Some(("maybe", "chosen by a stranger")), None),
        issuer(None, None),
    ];
    let text = text(&state(issuers));
    for (ready, reason, count) in
        [("True", "Ready", 2), ("False", "KeyLost", 1), ("Unknown", "Other", 1), ("Unknown", "None", 1)]
    {
        let line =
            format!("tcs_issuers{{kind=\"TCSIssuer\",ready=\"{ready}\",reason=\"{reason}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("{kind=\"TCSClusterIssuer\",ready=\"True\",reason=\"Ready\"} 0\n"), "{text}");
    assert!(!text.contains("stranger"), "{text}");
}

#[test]
fn the_end_of_cas_is_shown_as_the_earliest_and_by_how_near_it_is() {
    let ready = Some(("True", "Ready"));
    let at = |seconds: i64| issuer(ready, Some(&time::rfc3339(NOW + seconds)));
    let unknown = issuer(ready, Some("no time"));
    let text = text(&state(vec![at(86_400), at(86_401), at(30 * 86_400 + 1), unknown]));
    let earliest = format!("tcs_ca_earliest_end_timestamp_seconds{{kind=\"TCSIssuer\"}} {}\n", NOW + 86_400);
    assert!(text.contains(&earliest), "{text}");
    for (within, count) in [("1d", 1), ("7d", 2), ("30d", 2)] {
        let line = format!("tcs_cas_ending{{kind=\"TCSIssuer\",within=\"{within}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[test]
fn a_controller_that_no_longer_leads_does_not_show_that_it_does() {
    let mut state = State { leads: true, ..state(Vec::new()) };
    assert!(text(&state).contains("tcs_leader 1\n"));
    state.leads = false;
    assert!(text(&state).contains("tcs_leader 0\n"));
}

#[test]
fn open_requests_and_what_they_wait_for_are_shown() {
    let mut state = state(Vec::new());
    let waiting = [(reasons::WAITING_FOR_ISSUER_EXIST, 2)].into();
    state.open = vec![(
        RequestApi::KubernetesCsr,
        OpenCounts { not_held: 1, oldest: Duration::from_secs(7), open: 5, waiting },
    )];
    let text = text(&state);
    assert!(text.contains("tcs_requests_open{api=\"CertificateSigningRequest\"} 5\n"), "{text}");
    assert!(text.contains("tcs_requests_not_held{api=\"CertificateSigningRequest\"} 1\n"), "{text}");
    assert!(
        text.contains("tcs_requests_oldest_age_seconds{api=\"CertificateSigningRequest\"} 7\n"),
        "{text}"
    );
    let waiting =
        "tcs_requests_waiting{api=\"CertificateSigningRequest\",reason=\"WaitingForIssuerExist\"} 2\n";
    assert!(text.contains(waiting), "{text}");
}

/// How many CAs of namespaces are overdue by stage, of one that lives and has left so many seconds.
fn overdue(lifetime: Option<i64>, left: i64) -> [bool; 2] {
    let end = time::rfc3339(NOW + left);
    let issuer = issuer(Some(("True", "Ready")), Some(&end));
    let lifetimes = lifetime.map(|lifetime| (issuer.uid(), lifetime)).into_iter().collect();
    let text = text(&State { lifetimes, ..state(vec![issuer]) });
    ["late", "last"].map(|stage| {
        assert!(
            text.contains(&format!("tcs_cas_overdue{{kind=\"TCSClusterIssuer\",stage=\"{stage}\"}} 0\n"))
        );
        text.contains(&format!("tcs_cas_overdue{{kind=\"TCSIssuer\",stage=\"{stage}\"}} 1\n"))
    })
}

#[test]
fn the_renewal_of_a_ca_is_overdue_by_its_own_lifetime() {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    let year = Some(365 * DAY);
    assert_eq!(overdue(year, 29 * DAY), [false, false], "it is just being renewed");
    assert_eq!(overdue(year, 7 * DAY), [true, false]);
    assert_eq!(overdue(year, DAY), [true, true]);
    // A CA of three hours is renewed when one is left.
    assert_eq!(overdue(Some(3 * HOUR), 2 * HOUR), [false, false]);
    assert_eq!(overdue(Some(3 * HOUR), HOUR / 4 + 1), [false, false]);
    assert_eq!(overdue(Some(3 * HOUR), HOUR / 4), [true, false]);
    assert_eq!(overdue(Some(3 * HOUR), 100), [true, true]);
    // Until the enclave was asked, only the end is known.
    assert_eq!(overdue(None, HOUR), [false, false]);
    assert_eq!(overdue(None, 0), [true, true]);
}

#[test]
fn ready_issuers_that_nobody_confirms_are_counted() {
    let confirmed = |ready: &str, ago: Option<i64>| {
        let mut object = json!({
            "metadata": {"name": "n", "namespace": "ns"}, "spec": {"secretName": "s"},
            "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "R", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        });
        if let Some(ago) = ago {
            object["status"]["lastConfirmed"] = json!(time::rfc3339(NOW - ago));
        }
        Issuer::from(Arc::new(serde_json::from_value::<TCSIssuer>(object).unwrap()))
    };
    let issuers = vec![
        confirmed("True", Some(45 * 60)),
        confirmed("True", Some(2 * 3600)),
        confirmed("True", None),
        confirmed("False", Some(2 * 3600)),
    ];
    let text = text(&state(issuers));
    assert!(text.contains("tcs_issuers_unconfirmed{kind=\"TCSIssuer\"} 2\n"), "{text}");
}
