//! An elector at an API server that keeps one Lease.

use super::*;
use crate::runtime::lease::fence::FenceLayer;
use crate::runtime::lease::leadership::NotLeading;
use axum::http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tower::{BoxError, Layer as _, ServiceExt as _, service_fn};

/// What an API server does with writes of the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Accepted,
    /// Accepted, and answered after this time.
    Late(Duration),
    Conflict,
    Unanswered,
    /// The namespace does not exist.
    NotFound,
}

struct Server {
    lease: Option<Lease>,
    version: u64,
    writes: Writes,
    /// When the last write arrived.
    arrived: Option<BootTime>,
}

#[derive(Clone)]
struct ApiServer(Arc<Mutex<Server>>);

impl ApiServer {
    fn new(lease: Option<Lease>) -> Self {
        let server = Server { lease, version: 1, writes: Writes::Accepted, arrived: None };
        Self(Arc::new(Mutex::new(server)))
    }

    fn set_writes(&self, writes: Writes) {
        self.0.lock().unwrap().writes = writes;
    }

    fn holder(&self) -> Option<String> {
        self.0.lock().unwrap().lease.as_ref()?.spec.as_ref()?.holder_identity.clone()
    }

    fn elector(&self, identity: &str, leadership: &Leadership) -> Elector {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect_bytes().await.unwrap();
                let Some((status, answer)) = server.answer(&head.method, &bytes) else {
                    std::future::pending::<()>().await;
                    unreachable!("the future never ends");
                };
                let writes = server.0.lock().unwrap().writes;
                if let Writes::Late(delay) = writes {
                    sleep(delay).await;
                }
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(status).body(answer).unwrap())
            }
        });
        let client = Client::new(service, "default");
        Elector::new(client, identity.to_owned(), timings(), leadership.clone())
    }

    fn answer(&self, method: &Method, body: &[u8]) -> Option<(StatusCode, Value)> {
        let mut server = self.0.lock().unwrap();
        if method == Method::GET {
            return Some(server.lease.as_ref().map_or_else(
                || failure(StatusCode::NOT_FOUND, "NotFound"),
                |lease| (StatusCode::OK, json!(lease)),
            ));
        }
        let mut lease: Lease = serde_json::from_slice(body).unwrap();
        let same = server.lease.as_ref().map(|lease| &lease.metadata.resource_version)
            == Some(&lease.metadata.resource_version);
        let fits = same || (server.lease.is_none() && method == Method::POST);
        server.arrived = Some(BootTime::now());
        match server.writes {
            Writes::Unanswered => None,
            Writes::NotFound => Some(failure(StatusCode::NOT_FOUND, "NotFound")),
            Writes::Accepted | Writes::Late(_) if fits => {
                server.version += 1;
                lease.metadata.resource_version = Some(server.version.to_string());
                server.lease = Some(lease.clone());
                Some((StatusCode::OK, json!(lease)))
            }
            Writes::Accepted | Writes::Late(_) | Writes::Conflict => {
                Some(failure(StatusCode::CONFLICT, "Conflict"))
            }
        }
    }
}

fn failure(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    let body = json!({"status": "Failure", "message": reason, "reason": reason, "code": status.as_u16()});
    (status, body)
}

fn timings() -> LeaseTimings {
    let milliseconds = Duration::from_millis;
    LeaseTimings::new(milliseconds(3_000), milliseconds(2_000), milliseconds(100)).unwrap()
}

/// A Lease that another controller holds. It names a shorter duration than ours, which counts.
fn held_by_other() -> Lease {
    serde_json::from_value(json!({
        "metadata": {"name": LEASE, "resourceVersion": "1"},
        "spec": {"holderIdentity": "other", "leaseDurationSeconds": 1, "leaseTransitions": 4},
    }))
    .unwrap()
}

/// A write of the controller, through the layer that all its writes go through.
async fn sign(leadership: &Leadership) -> Result<(), BoxError> {
    let server = service_fn(|_: Request<()>| std::future::ready(Ok::<_, BoxError>(())));
    FenceLayer::new(leadership.clone()).layer(server).oneshot(Request::put("/a").body(()).unwrap()).await
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), future).await.expect("in time")
}

/// A controller that has acquired the Lease.
async fn leader(server: &ApiServer) -> (Leadership, tokio::task::JoinHandle<Result<(), LeadershipLost>>) {
    let leadership = Leadership::default();
    let running = tokio::spawn(server.elector("me", &leadership).run(CancellationToken::new()));
    in_time(leadership.acquired()).await;
    sign(&leadership).await.unwrap();
    (leadership, running)
}

#[tokio::test]
async fn case_n7_a_holder_whose_renewals_all_conflict_stops_before_the_next_one_signs() {
    for writes in [Writes::Conflict, Writes::Unanswered] {
        let server = ApiServer::new(None);
        let (leadership, running) = leader(&server).await;
        // Nobody sees a change from now on.
        server.set_writes(writes);
        let unchanged = BootTime::now();
        let deadline = leadership.deadline();
        assert!(deadline <= unchanged.after(timings().renew_deadline()), "{writes:?}");
        let lost = in_time(running).await.unwrap().unwrap_err();
        assert!(matches!(lost, LeadershipLost::NotRenewed { .. }), "{writes:?}: {lost}");
        let refused = sign(&leadership).await.unwrap_err();
        assert!(refused.is::<NotLeading>(), "{writes:?}: {refused}");
        // The next one may lead a lease duration after the last change that it saw.
        let next = unchanged.after(timings().duration());
        assert!(BootTime::now() < next, "{writes:?}");
    }
}

#[tokio::test]
async fn the_deadline_counts_from_the_sending_of_a_write_that_is_answered_late() {
    let delay = Duration::from_millis(300);
    let server = ApiServer::new(Some(serde_json::from_value(json!({"metadata": {"name": LEASE}})).unwrap()));
    server.set_writes(Writes::Late(delay));
    let leadership = Leadership::default();
    let running = tokio::spawn(server.elector("me", &leadership).run(CancellationToken::new()));
    in_time(leadership.acquired()).await;
    for _ in 0..2 {
        // Only one task runs at a time, so nothing is sent between these lines.
        let (deadline, arrived) = (leadership.deadline(), server.0.lock().unwrap().arrived.unwrap());
        assert!(arrived.until(BootTime::now()) >= delay, "the answer was late");
        assert!(deadline <= arrived.after(timings().renew_deadline()));
        in_time(async {
            while leadership.deadline() == deadline {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    running.abort();
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_a_problem() {
    let server = ApiServer::new(None);
    server.set_writes(Writes::NotFound);
    let leadership = Leadership::default();
    let running = tokio::spawn(server.elector("me", &leadership).run(CancellationToken::new()));
    in_time(async {
        while leadership.problem().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(leadership.problem().unwrap().contains("NotFound"), "{:?}", leadership.problem());
    running.abort();
}

#[tokio::test]
async fn a_lease_that_another_one_took_ends_the_leadership_at_once() {
    let server = ApiServer::new(None);
    let (leadership, running) = leader(&server).await;
    {
        let mut server = server.0.lock().unwrap();
        let mut taken = held_by_other();
        server.version += 1;
        taken.metadata.resource_version = Some(server.version.to_string());
        server.lease = Some(taken);
    }
    let lost = in_time(running).await.unwrap().unwrap_err();
    assert!(matches!(&lost, LeadershipLost::TakenOver { holder } if holder == "other"), "{lost}");
    assert!(sign(&leadership).await.is_err());
    assert_eq!(server.holder().as_deref(), Some("other"), "it is not released for the other one");
}

#[tokio::test]
async fn a_holder_that_is_gone_is_replaced_after_the_lease_duration() {
    let server = ApiServer::new(Some(held_by_other()));
    let leadership = Leadership::default();
    let begun = BootTime::now();
    let release = CancellationToken::new();
    let running = tokio::spawn(server.elector("me", &leadership).run(release.clone()));
    in_time(leadership.acquired()).await;
    assert!(begun.until(BootTime::now()) >= timings().duration());
    assert_eq!(server.holder().as_deref(), Some("me"));
    release.cancel();
    in_time(running).await.unwrap().unwrap();
    assert_eq!(server.holder().as_deref(), Some(""), "released");
    assert!(sign(&leadership).await.is_err());

    // The next one need not wait.
    let next = Leadership::default();
    let begun = BootTime::now();
    let _running = tokio::spawn(server.elector("next", &next).run(CancellationToken::new()));
    in_time(next.acquired()).await;
    assert!(begun.until(BootTime::now()) < Duration::from_secs(1));
}

#[tokio::test]
async fn of_many_candidates_one_leads() {
    let server = ApiServer::new(None);
    let release = CancellationToken::new();
    let leaderships: Vec<_> = (0..8).map(|_| Leadership::default()).collect();
    let names: Vec<_> = (0..8).map(|number| format!("candidate-{number}")).collect();
    let running: Vec<_> = leaderships
        .iter()
        .zip(&names)
        .map(|(leadership, name)| tokio::spawn(server.elector(name, leadership).run(release.clone())))
        .collect();
    let all = leaderships.iter().map(|leadership| Box::pin(leadership.acquired()));
    in_time(futures::future::select_all(all)).await;
    let leading = leaderships.iter().filter(|leadership| leadership.check().is_ok()).count();
    assert_eq!(leading, 1);
    release.cancel();
    for running in running {
        in_time(running).await.unwrap().unwrap();
    }
    assert_eq!(server.holder().as_deref(), Some(""));
}

#[tokio::test]
async fn a_candidate_that_is_told_to_end_releases_nothing_of_others() {
    let server = ApiServer::new(Some(held_by_other()));
    let release = CancellationToken::new();
    release.cancel();
    let running = tokio::spawn(server.elector("me", &Leadership::default()).run(release));
    in_time(running).await.unwrap().unwrap();
    assert_eq!(server.holder().as_deref(), Some("other"));
}

#[tokio::test]
async fn a_lease_that_is_deleted_is_made_anew_by_its_holder() {
    let server = ApiServer::new(None);
    let (leadership, running) = leader(&server).await;
    server.0.lock().unwrap().lease = None;
    in_time(async {
        while server.holder().is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.holder().as_deref(), Some("me"));
    leadership.check().unwrap();
    running.abort();
}

#[test]
fn the_pause_of_a_candidate_is_between_one_and_2_2_periods() {
    let period = Duration::from_secs(2);
    for _ in 0..1_000 {
        let pause = jittered(period);
        assert!(period <= pause && pause <= period.mul_f64(2.2), "{pause:?}");
    }
}
