//! Events about a request.

use crate::cluster::Cluster;
use crate::error::Error;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};

/// Events about objects of the cluster are in this namespace.
const NAMESPACE: &str = "default";

/// What an Event says.
#[derive(Clone, Debug)]
pub struct EventFact {
    /// `Normal` or `Warning`.
    pub type_: String,
    /// The reason.
    pub reason: String,
    /// The message.
    pub message: String,
    /// How often it was said.
    pub count: i64,
    /// The component that said it, as it named itself: whoever may create Events can write any name.
    pub reporter: String,
    /// When it was said last, RFC 3339.
    pub time: Option<String>,
}

/// The Events about an object with this UID, the oldest first. The namespace of an object of the cluster is
/// `None`.
pub async fn about(
    cluster: &Cluster,
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    uid: &str,
) -> Result<Vec<EventFact>, Error> {
    let namespace = namespace.unwrap_or(NAMESPACE);
    let fields = format!("involvedObject.kind={kind},involvedObject.name={}", selected(name));
    let listed = cluster.list_with::<Event>(Some(namespace), ListParams::default().fields(&fields)).await?;
    Ok(oldest_first(listed.iter().filter(|event| is_about(event, uid)).map(read).collect()))
}

/// Another object may have had the name before, and an Event without a UID may be about any of them.
fn is_about(event: &Value, uid: &str) -> bool {
    let found = event.pointer("/involvedObject/uid").and_then(Value::as_str);
    found.is_some_and(|found| found == uid && !uid.is_empty())
}

/// Sorts Events by their times. One without a time that can be read is old.
fn oldest_first(mut events: Vec<EventFact>) -> Vec<EventFact> {
    events.sort_by_key(|event| event.time.as_ref().and_then(|time| time.parse::<Timestamp>().ok()));
    events
}

/// A value of a field selector. These characters have a meaning there.
fn selected(value: &str) -> String {
    value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\=")
}

/// Events are read without a type, so that none is lost for a field that nobody needs.
fn read(event: &Value) -> EventFact {
    let text = |path: &str| event.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |path: &str| event.pointer(path).and_then(Value::as_i64);
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    EventFact {
        type_: text("/type").unwrap_or_default().to_owned(),
        reason: text("/reason").unwrap_or_default().to_owned(),
        message: text("/message").unwrap_or_default().to_owned(),
        count: number("/series/count").or_else(|| number("/count")).unwrap_or(1),
        reporter: text("/reportingComponent")
            .or_else(|| text("/source/component"))
            .unwrap_or_default()
            .to_owned(),
        time: times.into_iter().find_map(text).map(str::to_owned),
    }
}

impl EventFact {
    /// The JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "type": self.type_, "reason": self.reason, "message": self.message, "count": self.count,
            "time": self.time, "reporter": self.reporter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_and_not_their_texts() {
        let event = |time: &str| read(&json!({"message": time, "lastTimestamp": time}));
        let sorted = oldest_first(
            ["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z", "zzz"].map(event).into_iter().collect(),
        );
        let sorted: Vec<&str> = sorted.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(sorted, ["zzz", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"]);
    }

    #[test]
    fn an_event_is_about_the_object_with_its_uid_only() {
        let about = |object: Value| is_about(&json!({"involvedObject": object}), "1");
        assert!(about(json!({"name": "web", "uid": "1"})));
        assert!(!about(json!({"name": "web", "uid": "2"})) && !about(json!({"name": "web"})));
        assert!(!is_about(&json!({"involvedObject": {"uid": ""}}), ""));
    }

    #[test]
    fn a_name_with_a_comma_is_one_value() {
        assert_eq!(selected(r"a,b=c\d"), r"a\,b\=c\\d");
    }

    #[test]
    fn an_event_is_read_with_whatever_it_has() {
        let event = read(&json!({
            "type": "Warning", "reason": "UsageForbidden", "message": "no",
            "eventTime": "2026-01-01T00:00:00Z", "lastTimestamp": null,
            "series": {"count": 3, "lastObservedTime": "2026-01-01T00:01:00Z"},
        }));
        assert_eq!((event.count, event.time.as_deref()), (3, Some("2026-01-01T00:01:00Z")));
        let empty = read(&json!({"message": 5}));
        assert_eq!((empty.count, empty.message.as_str(), empty.time), (1, "", None));
    }
}
