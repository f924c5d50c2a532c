//! The dashboard and the alert rules in `deployment/monitoring` name metrics that the program serves.

use crate::support::csr::issue;
use crate::support::issuer::Issuer;
use crate::support::test_cluster::shared;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tcs_testkit::repository;

/// The names of series and of their labels.
type Series<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// What follows a `{` up to its `}`: the names of labels. Values in these files contain no comma or brace.
fn labels(selector: &str) -> impl Iterator<Item = &str> {
    let inside = selector.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
    let pairs = inside.split(',').filter_map(|pair| pair.split(['=', '!']).next());
    pairs.map(str::trim).filter(|name| !name.is_empty())
}

fn served(metrics: &str) -> Series<'_> {
    let mut series = Series::new();
    for line in metrics.lines().filter(|line| line.starts_with("tcs_")) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        series.entry(&line[..end]).or_default().extend(labels(&line[end..]));
    }
    series
}

/// The series that an expression of `PromQL` names.
fn named(expression: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == ':';
    let starts = expression.match_indices("tcs_").map(|(start, _)| start);
    let starts = starts.filter(|start| !expression[..*start].ends_with(is_word));
    let parts = starts.map(|start| {
        let rest = &expression[start..];
        let (name, after) = rest.split_at(rest.find(|one| !is_word(one)).unwrap_or(rest.len()));
        (name, labels(after).collect())
    });
    parts.collect()
}

/// All strings below a key `expr`.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| expressions(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(repository().join("deployment/monitoring").join(name)).unwrap();
    // YAML contains JSON.
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn case_9_7_dashboard_and_alerts_name_only_metrics_that_are_served() {
    let cluster = shared();
    let issuer = Issuer::self_signed(cluster, "monitored", None);
    issuer.await_reason("Ready");
    issue(&issuer);
    let metrics = cluster.metrics().unwrap();
    let served = served(&metrics);
    for file in ["dashboard.json", "alerts.yaml"] {
        let mut found = Vec::new();
        expressions(&read(file), &mut found);
        assert!(found.len() > 10, "{file}: {found:?}");
        for expression in &found {
            let named = named(expression);
            assert!(!named.is_empty(), "{file}: {expression}");
            for (name, labels) in named {
                let has = served.get(name).unwrap_or_else(|| panic!("{file}: {name}, not among\n{metrics}"));
                for label in labels {
                    assert!(has.contains(label), "{file}: {name} has no label {label}, only {has:?}");
                }
            }
        }
    }
}

#[test]
fn case_9_7_every_alert_says_what_it_means_and_what_to_do() {
    let rules = read("alerts.yaml");
    let rules = rules["groups"][0]["rules"].as_array().unwrap();
    let names: BTreeSet<_> = rules.iter().map(|rule| rule["alert"].as_str().unwrap()).collect();
    assert_eq!(names.len(), rules.len(), "no two have one name");
    for rule in rules {
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| text.len() > 20), "{rule}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning", "info"].contains(&severity), "{rule}");
    }
}

/// Whoever may write objects in one namespace must not raise an alert that wakes people.
#[test]
fn case_9_7_no_critical_alert_is_raised_by_what_a_namespace_decides() {
    let rules = read("alerts.yaml");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        if rule["labels"]["severity"] != "critical" {
            continue;
        }
        for selector in expression
            .split("tcs_")
            .skip(1)
            .filter(|part| part.starts_with("issuers") || part.starts_with("cas_"))
        {
            let selector = selector.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
            let cluster_only = selector.contains("kind=\"TCSClusterIssuer\"");
            let lost = selector == "reason=~\"KeyLost|SealedKeyNotKept\"";
            assert!(cluster_only || lost, "{name}: {selector}");
        }
    }
}

#[test]
fn w_d12_a_request_shows_in_the_metrics_when_it_ends() {
    let cluster = shared();
    let issuer = Issuer::self_signed(cluster, "counted", None);
    issuer.await_reason("Ready");
    let value = |series: &str| -> u64 {
        let metrics = cluster.metrics().unwrap();
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{metrics}"));
        line.trim().parse().unwrap()
    };
    let ended = "tcs_requests_total{api=\"CertificateSigningRequest\",outcome=\"Issued\",reason=\"\"}";
    let timed = "tcs_request_duration_seconds_count{api=\"CertificateSigningRequest\",waited=\"false\"}";
    // Other tests issue certificates at the same time.
    let before = (value(ended), value(timed));
    issue(&issuer);
    cluster
        .wait_until("the certificate to be counted", || value(ended) > before.0 && value(timed) > before.1);
    assert!(value("tcs_issuers{kind=\"TCSIssuer\",ready=\"True\",reason=\"Ready\"}") > 0);
    assert!(value("tcs_ca_earliest_end_timestamp_seconds{kind=\"TCSIssuer\"}") > 1_700_000_000);
}

#[test]
fn a_status_says_when_it_was_confirmed_and_an_old_one_is_confirmed_anew() {
    let cluster = shared();
    let issuer = Issuer::self_signed(cluster, "confirmed", None);
    issuer.await_reason("Ready");
    let confirmed = || issuer.status().last_confirmed.unwrap_or_default();
    let first = confirmed();
    assert!(first.starts_with("20"), "{first}");
    let old = serde_json::json!({"status": {"lastConfirmed": "2026-01-01T00:00:00Z"}}).to_string();
    let target = ["patch", "tcsissuers.tcs.intel.com", "-n", &issuer.namespace, &issuer.name];
    cluster.kubectl(&[&target[..], &["--subresource=status", "--type=merge", "-p", &old]].concat());
    cluster.wait_until("the status to be confirmed", || confirmed() >= first);
    assert_eq!(issuer.reason(), "Ready");
    let printed = cluster.kubectl(&["get", "tcsissuers", "-o", "wide", "-n", &issuer.namespace]);
    assert!(printed.lines().next().unwrap().ends_with("CONFIRMED"), "{printed}");
}
