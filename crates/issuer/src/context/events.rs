//! Publishes Events, beside the path of the work that they report.

use crate::clock::now;
use crate::runtime::lease::leadership::Leadership;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use prometheus_client::metrics::counter::Counter;
use serde_json::json;
use std::collections::HashMap;
use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tcs_api::SERVICE_ACCOUNT;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

/// Maximum number of Events that wait to be published.
const MAX_WAITING: usize = 512;
/// Maximum number of Events that are remembered. Each needs about 2 KiB.
const MAX_RECENT: usize = 512;
/// How often an Event of what happens all the time is published in the long run.
const ROUTINE_INTERVAL: Duration = Duration::from_millis(100);
/// How much earlier than that such Events may be published: 50 at once after a pause.
const ROUTINE_ADVANCE: Duration = Duration::from_secs(5);
/// How long the publication of an Event may take. The client has no time limit of its own.
const LIMIT: Duration = Duration::from_secs(10);

/// What an Event says.
#[derive(Clone, Copy)]
pub struct EventText<'a> {
    /// Warning instead of Normal.
    pub warning: bool,
    /// `CamelCase` reason.
    pub reason: &'a str,
    /// What the controller did or tried, as a `CamelCase` verb.
    pub action: &'a str,
    /// One or two sentences.
    pub message: &'a str,
}

/// The queue of Events to publish. Nobody waits for an Event.
pub struct EventPublisher {
    queue: Sender<Event>,
    dropped: Counter,
    /// When the next routine Event would be due in the long run.
    routine_due: Mutex<Instant>,
}

/// The Events that wait to be published.
pub struct EventQueue(Receiver<Event>);

impl EventPublisher {
    /// A publisher, which counts in `dropped` what finds the queue full.
    pub fn new(dropped: Counter) -> (Self, EventQueue) {
        let (queue, waiting) = channel(MAX_WAITING);
        (Self { queue, dropped, routine_due: Mutex::new(Instant::now()) }, EventQueue(waiting))
    }

    /// Enqueues an Event about an object. Events only help people: if the queue is full, because the API
    /// server is slow, the Event is dropped and counted. Returns whether it found a place.
    pub fn publish(&self, object: &ObjectReference, text: EventText<'_>) -> bool {
        let enqueued = self.queue.try_send(event(object, text)).is_ok();
        if !enqueued {
            self.dropped.inc();
            tracing::debug!(
                reason = text.reason,
                "too many Events wait to be published; this one is dropped"
            );
        }
        enqueued
    }

    /// As [`Self::publish`], for what happens all the time. Such an Event costs the API server as much as
    /// what it reports, so there are ten in a second, and 50 at once after a pause. It is not counted if it
    /// is left out.
    pub fn publish_routine(&self, object: &ObjectReference, text: EventText<'_>) {
        if self.routine_is_due(Instant::now()) {
            self.publish(object, text);
        }
    }

    fn routine_is_due(&self, now: Instant) -> bool {
        let mut due = self.routine_due.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = due.max(now).checked_add(ROUTINE_INTERVAL) else { return false };
        let is_due = next.duration_since(now) <= ROUTINE_ADVANCE;
        if is_due {
            *due = next;
        }
        is_due
    }
}

/// An Event without its name and its time.
fn event(object: &ObjectReference, text: EventText<'_>) -> Event {
    let EventText { warning, reason, action, message } = text;
    Event {
        type_: Some(if warning { "Warning" } else { "Normal" }.into()),
        reason: Some(reason.into()),
        action: Some(action.into()),
        // The API allows at most 1024 bytes.
        note: Some(message.chars().filter(char::is_ascii).take(1000).collect()),
        regarding: Some(object.clone()),
        reporting_controller: Some(SERVICE_ACCOUNT.into()),
        metadata: ObjectMeta {
            // Events about objects of the cluster are in this namespace.
            namespace: Some(object.namespace.clone().unwrap_or_else(|| "default".into())),
            ..ObjectMeta::default()
        },
        ..Event::default()
    }
}

/// A name for an Event about an object. A name has at most 253 characters.
fn name(object: Option<&ObjectReference>, now: Timestamp) -> String {
    let object = object.and_then(|object| object.name.as_deref()).unwrap_or(SERVICE_ACCOUNT);
    let start: String = object.chars().take(200).collect();
    format!("{}.{:x}", start.trim_end_matches(['.', '-']), now.as_nanosecond())
}

impl EventQueue {
    /// Publishes the Events of the queue in the name of this pod, one after the other, as soon as this
    /// controller leads. An Event that cannot be published fails nothing.
    pub async fn publish_all(self, client: Client, leadership: Leadership) -> anyhow::Result<()> {
        leadership.acquired().await;
        let pod = env::var("POD_NAME").unwrap_or_else(|_| SERVICE_ACCOUNT.into());
        self.publish_with(Recorder { client, pod, recent: HashMap::new() }, LIMIT).await
    }

    async fn publish_with(mut self, mut recorder: Recorder, limit: Duration) -> anyhow::Result<()> {
        while let Some(event) = self.0.recv().await {
            let reason = event.reason.clone().unwrap_or_default();
            match tokio::time::timeout(limit, recorder.record(event, now())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, reason, "an Event could not be published"),
                Err(_) => tracing::warn!(reason, "an Event could not be published in time"),
            }
        }
        anyhow::bail!("the queue of Events ended")
    }
}

/// Writes Events. An Event that says the same as a recent one is counted in the series of that one.
struct Recorder {
    client: Client,
    /// The name of the pod.
    pod: String,
    /// The name and the count of Events, by what they say.
    recent: HashMap<String, (String, i32)>,
}

impl Recorder {
    async fn record(&mut self, mut event: Event, now: Timestamp) -> anyhow::Result<()> {
        let api = Api::<Event>::namespaced(
            self.client.clone(),
            event.metadata.namespace.as_deref().unwrap_or_default(),
        );
        let key = serde_json::to_string(&event)?;
        if let Some((name, count)) = self.recent.get_mut(&key) {
            *count = count.saturating_add(1);
            let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(series)).await {
                // The API server keeps an Event for an hour.
                Err(kube::Error::Api(answer)) if answer.is_not_found() => {}
                answer => return Ok(answer.map(drop)?),
            }
        }
        let name = name(event.regarding.as_ref(), now);
        event.metadata.name = Some(name.clone());
        event.event_time = Some(MicroTime(now));
        event.reporting_instance = Some(self.pod.clone());
        api.create(&PostParams::default(), &event).await?;
        if self.recent.len() >= MAX_RECENT {
            self.recent.clear();
        }
        self.recent.insert(key, (name, 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Request, Response};
    use kube::client::Body;
    use serde_json::Value;
    use std::convert::Infallible;
    use std::future::pending;
    use std::sync::Arc;

    const TEXT: EventText<'_> = EventText { warning: true, reason: "R", action: "A", message: "m\u{e4}\n" };

    impl EventQueue {
        /// Empties the queue and returns how many Events it contained.
        pub fn drain(&mut self) -> usize {
            std::iter::from_fn(|| self.0.try_recv().ok()).count()
        }
    }

    #[test]
    fn case_8_5_events_beyond_the_queue_are_dropped_and_counted_and_nobody_waits() {
        let dropped = Counter::default();
        let (publisher, mut queue) = EventPublisher::new(dropped.clone());
        let object = ObjectReference::default();
        let found_place = (0..MAX_WAITING + 3).filter(|_| publisher.publish(&object, TEXT)).count();
        assert_eq!((found_place, dropped.get()), (MAX_WAITING, 3));
        let first = queue.0.try_recv().unwrap();
        assert_eq!((first.type_.as_deref(), first.note.as_deref()), (Some("Warning"), Some("m\n")));
        assert_eq!(queue.drain(), MAX_WAITING - 1);
    }

    #[test]
    fn a07_of_what_happens_all_the_time_fifty_events_are_published_at_once_and_then_ten_in_a_second() {
        let (publisher, mut queue) = EventPublisher::new(Counter::default());
        let start = Instant::now();
        let due = |after: u64| publisher.routine_is_due(start + Duration::from_millis(after));
        assert_eq!((0..100).filter(|_| due(0)).count(), 50);
        let in_a_minute = (0..60_000).filter(|millisecond| due(*millisecond)).count();
        assert!((599..=600).contains(&in_a_minute), "{in_a_minute}");
        // What people must know finds its place all the same.
        publisher.publish_routine(&ObjectReference::default(), TEXT);
        assert_eq!(queue.drain(), 0);
        assert!(publisher.publish(&ObjectReference::default(), TEXT));
        assert_eq!(queue.drain(), 1);
    }

    /// The methods and bodies of the requests to an API server.
    type Requests = Arc<Mutex<Vec<(String, Value)>>>;

    /// A recorder at an API server that answers each request with itself, if its note is not `hangs`. It has
    /// forgotten Events about objects named `expired`.
    fn recorder(requests: &Requests) -> Recorder {
        let requests = Arc::clone(requests);
        let service = tower::service_fn(move |request: Request<Body>| {
            let requests = Arc::clone(&requests);
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect_bytes().await.unwrap();
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                requests.lock().unwrap().push((head.method.to_string(), value.clone()));
                if value["note"] == "hangs" {
                    pending::<()>().await;
                }
                let is_gone = head.method == "PATCH" && head.uri.path().contains("expired");
                let status = if is_gone { 404 } else { 200 };
                let gone = br#"{"status": "Failure", "message": "", "reason": "NotFound", "code": 404}"#;
                let answer = Body::from(if is_gone { gone.to_vec() } else { bytes.to_vec() });
                let answer = Response::builder().status(status).body(answer).unwrap();
                Ok::<_, Infallible>(answer)
            }
        });
        Recorder { client: Client::new(service, "default"), pod: "p".into(), recent: HashMap::new() }
    }

    fn note(name: &str, message: &str) -> Event {
        let object = ObjectReference { name: Some(name.into()), ..ObjectReference::default() };
        event(&object, EventText { message, ..TEXT })
    }

    #[tokio::test]
    async fn an_event_is_counted_only_if_it_says_the_same() {
        let requests = Requests::default();
        let mut recorder = recorder(&requests);
        for message in ["one", "two", "one", "one"] {
            recorder.record(note("a", message), now()).await.unwrap();
        }
        let requests = requests.lock().unwrap();
        let seen: Vec<_> = requests
            .iter()
            .map(|(method, body)| (method.as_str(), body["note"].as_str(), body["series"]["count"].as_i64()))
            .collect();
        assert_eq!(
            seen,
            [
                ("POST", Some("one"), None),
                ("POST", Some("two"), None),
                ("PATCH", None, Some(2)),
                ("PATCH", None, Some(3)),
            ]
        );
    }

    #[tokio::test]
    async fn an_event_that_the_api_server_has_forgotten_is_made_anew() {
        let requests = Requests::default();
        let mut recorder = recorder(&requests);
        for _ in 0..2 {
            recorder.record(note("expired", "m"), now()).await.unwrap();
        }
        let methods: Vec<_> = requests.lock().unwrap().iter().map(|(method, _)| method.clone()).collect();
        assert_eq!(methods, ["POST", "PATCH", "POST"]);
    }

    #[test]
    fn the_name_of_an_event_is_never_too_long() {
        let named = |object: String| {
            let object = ObjectReference { name: Some(object), ..ObjectReference::default() };
            name(Some(&object), Timestamp::from_nanosecond(255).unwrap())
        };
        assert_eq!(named("a.b".into()), "a.b.ff");
        assert_eq!(named("a".repeat(253)), format!("{}.ff", "a".repeat(200)));
        assert_eq!(named("a".repeat(198) + ".-b"), format!("{}.ff", "a".repeat(198)));
    }

    #[tokio::test]
    async fn the_memory_of_events_is_bounded() {
        let mut recorder = recorder(&Requests::default());
        for number in 0..3 * MAX_RECENT {
            recorder.record(note("a", &number.to_string()), now()).await.unwrap();
            assert!(recorder.recent.len() <= MAX_RECENT);
        }
    }

    #[tokio::test]
    async fn an_event_that_hangs_does_not_hold_up_the_next() {
        let requests = Requests::default();
        let (publisher, queue) = EventPublisher::new(Counter::default());
        for message in ["hangs", "next"] {
            assert!(publisher.publish(&ObjectReference::default(), EventText { message, ..TEXT }));
        }
        drop(publisher);
        let publishing = queue.publish_with(recorder(&requests), Duration::from_millis(300));
        let ended = tokio::time::timeout(Duration::from_mins(1), publishing).await.unwrap();
        assert_eq!(ended.unwrap_err().to_string(), "the queue of Events ended");
        let notes: Vec<_> = requests.lock().unwrap().iter().map(|(_, body)| body["note"].clone()).collect();
        assert_eq!(notes, ["hangs", "next"]);
    }
}
