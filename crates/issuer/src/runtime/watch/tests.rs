use super::*;
use crate::runtime::metrics::Metrics;
use axum::http::{Request, Response};
use kube::ResourceExt as _;
use kube::client::Body;
use kube::runtime::reflector;
use serde_json::{Value, json};
use std::collections::HashSet;
use tcs_api::v1alpha1::TCSIssuer;
use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};

const KIND: &str = "TCSIssuer";

fn object(name: &str, version: &str, secret: &Value) -> Guarded<TCSIssuer> {
    let object = json!({
        "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "resourceVersion": version},
        "spec": {"secretName": secret},
    });
    serde_json::from_value(object).unwrap()
}

fn good(name: &str) -> Guarded<TCSIssuer> {
    object(name, "1", &json!("s"))
}

fn bad(name: &str) -> Guarded<TCSIssuer> {
    object(name, "2", &json!(5))
}

fn nameless() -> Guarded<TCSIssuer> {
    serde_json::from_value(json!({"metadata": 1})).unwrap()
}

/// A watch of given events that are applied to a store.
struct Fixture {
    watch: Watch<TCSIssuer>,
    writer: Writer<TCSIssuer>,
    unreadable: Arc<UnreadableObjects>,
    metrics: Metrics,
}

impl Fixture {
    fn new(events: Vec<watcher::Event<Guarded<TCSIssuer>>>) -> Self {
        let metrics = Metrics::default();
        // Nobody receives announcements; the log has them all the same.
        let (announce, _) = tokio::sync::mpsc::channel(1);
        let unreadable = Arc::new(UnreadableObjects::new(&metrics, announce));
        let events = futures::stream::iter(events.into_iter().map(Ok));
        let watch = Watch::of(events, Arc::clone(&unreadable));
        Self { watch, writer: reflector::store().1, unreadable, metrics }
    }

    /// Applies the next event to the store and names it.
    async fn step(&mut self) -> String {
        match self.watch.next().await {
            None => "end".into(),
            Some(GuardedEvent::Unreadable(bad)) => {
                remove_from(&mut self.writer, &bad);
                format!("unreadable {}", bad.name())
            }
            Some(GuardedEvent::UnknownKind) => "unknown kind".to_owned(),
            Some(GuardedEvent::Deleted(bad)) => format!("deleted {}", bad.name()),
            Some(GuardedEvent::Event(event)) => {
                self.writer.apply_watcher_event(&event);
                event.to_string()
            }
        }
    }

    async fn steps(&mut self, expected: &[&str]) {
        for step in expected {
            assert_eq!(self.step().await, *step);
        }
    }

    fn stored(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.writer.as_reader().state().iter().map(|object| object.name_any()).collect();
        names.sort();
        names
    }

    fn unreadable(&self) -> Vec<&'static str> {
        let names = ["a", "b", "c"];
        names.into_iter().filter(|name| self.unreadable.why(KIND, Some("ns"), name).is_some()).collect()
    }

    fn existing(&self) -> Result<Vec<String>, String> {
        let store = self.writer.as_reader();
        let readable = || store.state().iter().filter_map(|object| object.uid()).collect();
        let mut uids: Vec<_> = self.unreadable.existing(&[KIND], readable)?.into_iter().collect();
        uids.sort();
        Ok(uids)
    }
}

/// An API server that answers 422 to a request for a streamed list, as one does without the feature
/// `WatchList`, and knows one issuer.
fn server_without_streams(request: &Request<Body>) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default();
    let (code, body) = if query.contains("sendInitialEvents=true") {
        let message = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents \
                       is forbidden for watch unless the WatchList feature gate is enabled";
        (
            422,
            json!({"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422, "message": message}),
        )
    } else if query.contains("watch=true") {
        (
            200,
            json!({"type": "BOOKMARK", "object": {
                "apiVersion": "tcs.intel.com/v1alpha1", "kind": KIND, "metadata": {"resourceVersion": "8"},
            }}),
        )
    } else {
        assert!(query.contains(&format!("limit={PAGE_SIZE}")), "{query}");
        let item = json!({"metadata": {"name": "a", "namespace": "ns"}, "spec": {"secretName": "s"}});
        (200, json!({"metadata": {"resourceVersion": "7"}, "items": [item]}))
    };
    Response::builder().status(code).body(Body::from(format!("{body}\n").into_bytes())).unwrap()
}

#[tokio::test]
async fn review_m2_an_object_with_a_very_long_name_is_not_there() {
    use watcher::Event::{Apply, Init, InitApply, InitDone};
    let (longest, long) = ("n".repeat(MAX_NAME), "n".repeat(MAX_NAME + 1));
    let listed = [Init, InitApply(good(&long)), InitApply(good(&longest)), InitDone];
    let changed = [Apply(good(&long)), Apply(bad(&long)), Apply(good("a"))];
    let mut fixture = Fixture::new(listed.into_iter().chain(changed).collect());
    while fixture.step().await != "end" {}
    assert_eq!(fixture.stored(), ["a".to_owned(), longest]);
    assert!(fixture.unreadable.why("TCSIssuer", Some("ns"), &long).is_none());
}

#[tokio::test]
async fn lists_are_read_in_pages_if_the_api_server_does_not_stream_them() {
    let service = tower::service_fn(|request: Request<Body>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(server_without_streams(&request)))
    });
    let client = kube::Client::new(service, "default");
    let (announce, _) = tokio::sync::mpsc::channel(1);
    let unreadable = Arc::new(UnreadableObjects::new(&Metrics::default(), announce));
    let mut watch: Watch<TCSIssuer> = Watch::new(Api::all(client), unreadable);
    for expected in ["Init", "InitApply(a)", "InitDone"] {
        let next = tokio::time::timeout(Duration::from_mins(1), watch.next()).await.unwrap();
        let Some(GuardedEvent::Event(event)) = next else { panic!("{next:?}") };
        assert_eq!(event.to_string(), expected);
    }
}

#[tokio::test]
async fn case_10_5_a_kind_that_the_api_server_does_not_know_is_told_from_other_failures() {
    for (code, is_unknown) in [(404, true), (403, false), (500, false)] {
        let service = tower::service_fn(move |_: Request<Body>| {
            let body = Body::from(b"404 page not found\n".to_vec());
            let answer = Response::builder().status(code).body(body).unwrap();
            std::future::ready(Ok::<_, std::convert::Infallible>(answer))
        });
        let error =
            events::<TCSIssuer>(Api::all(kube::Client::new(service, "default")), InitialList::Streamed);
        let error = error.try_filter(|event| std::future::ready(!matches!(event, Init)));
        let error = std::pin::pin!(error).try_next().await.unwrap_err();
        assert_eq!(is_unknown_kind(&error), is_unknown, "{code}: {error:?}");
    }
}

#[tokio::test]
async fn review_h1_a_list_with_unreadable_objects_is_complete_without_them() {
    let again = [Init, InitApply(good("b")), InitApply(bad("c")), InitDone];
    let events = [Init, InitApply(good("a")), InitApply(bad("b")), InitApply(good("c")), InitDone];
    let mut fixture = Fixture::new(events.into_iter().chain(again).collect());
    fixture.steps(&["Init", "InitApply(a)", "InitApply(c)", "InitDone"]).await;
    assert_eq!((fixture.stored(), fixture.unreadable()), (vec!["a".into(), "c".into()], vec!["b"]));
    assert_eq!(fixture.existing().unwrap(), ["uid-a", "uid-b", "uid-c"]);
    assert!(fixture.metrics.text().contains("tcs_unreadable_objects{kind=\"TCSIssuer\"} 1"));
    let why = fixture.unreadable.why(KIND, Some("ns"), "b").unwrap();
    assert!(why.starts_with("TCSIssuer ns/b cannot be read: spec.secretName"), "{why}");

    // During the second list, b is known at every moment, and a until the list is complete.
    for step in ["Init", "InitApply(b)", "InitDone"] {
        fixture.steps(&[step]).await;
        let existing = fixture.existing().unwrap();
        assert!(existing.iter().any(|uid| uid == "uid-b"), "{step}");
    }
    fixture.steps(&["end"]).await;
    assert_eq!((fixture.stored(), fixture.unreadable()), (vec!["b".into()], vec!["c"]));
    assert_eq!(fixture.existing().unwrap(), ["uid-b", "uid-c"]);
}

#[tokio::test]
async fn review_h1_an_object_that_becomes_unreadable_is_not_used_and_returns_when_it_is_corrected() {
    let events = vec![
        Init,
        InitDone,
        Apply(good("a")),
        Apply(bad("a")),
        Apply(good("a")),
        Apply(bad("b")),
        Delete(bad("b")),
    ];
    let mut fixture = Fixture::new(events);
    fixture.steps(&["Init", "InitDone", "Apply(a)", "unreadable a"]).await;
    assert_eq!(
        (fixture.stored(), fixture.unreadable()),
        (vec![], vec!["a"]),
        "an earlier version is not used"
    );
    assert_eq!(fixture.existing().unwrap(), ["uid-a"]);
    fixture.steps(&["Apply(a)"]).await;
    assert_eq!(fixture.existing().unwrap(), ["uid-a"]);
    fixture.steps(&["unreadable b"]).await;
    assert_eq!((fixture.stored(), fixture.unreadable()), (vec!["a".into()], vec!["b"]));
    fixture.steps(&["deleted b", "end"]).await;
    assert_eq!((fixture.unreadable(), fixture.existing().unwrap()), (vec![], vec!["uid-a".into()]));
    assert!(fixture.metrics.text().contains("tcs_unreadable_objects{kind=\"TCSIssuer\"} 0"));
}

#[tokio::test]
async fn review_h1_without_a_uid_nobody_knows_what_exists() {
    let mut fixture = Fixture::new(vec![Init, InitApply(good("a")), InitApply(nameless()), InitDone]);
    fixture.steps(&["Init", "InitApply(a)", "InitDone"]).await;
    let error = fixture.existing().unwrap_err();
    assert!(error.contains("no UID that can be read: TCSIssuer "), "{error}");
    assert!(fixture.unreadable.existing(&["TCSClusterIssuer"], HashSet::new).is_ok());
}

#[test]
fn review_h1_each_version_of_an_unreadable_object_is_announced_once() {
    let lines = crate::runtime::log::tests::Lines::default();
    let log = crate::runtime::log::tests::text_subscriber("info", &lines);
    let (announce, mut announced) = tokio::sync::mpsc::channel(8);
    let unreadable = UnreadableObjects::new(&Metrics::default(), announce);
    tracing::subscriber::with_default(log, || {
        for version in ["2", "2", "3", "3"] {
            unreadable.add(&object("a", version, &json!("hush".repeat(2).len())).read().unwrap_err());
        }
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.lines().all(|line| line.contains("ns/a cannot be read") && line.contains("uid-a")),
        "{text}"
    );
    let received: Vec<_> = std::iter::from_fn(|| announced.try_recv().ok()).collect();
    let references: Vec<_> = received.iter().map(|object| object.reference()).collect();
    assert_eq!(references.len(), 2);
    assert_eq!(references[0].kind.as_deref(), Some("TCSIssuer"));
    assert_eq!((references[0].namespace.as_deref(), references[0].name.as_deref()), (Some("ns"), Some("a")));
}
