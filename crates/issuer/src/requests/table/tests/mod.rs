mod room;
mod two_apis;

use super::budget::Limits;
use super::*;
use crate::access::shared_reviews::{Decided, Decision};
use crate::requests::csr::KubernetesCsr;
use futures::FutureExt as _;
use serde_json::json;
use tokio::time::{advance, timeout};

type Table = RequestTable<KubernetesCsr>;

fn request(name: &str, uid: &str, version: &str) -> KubernetesCsr {
    serde_json::from_value(json!({
        "metadata": {"name": name, "uid": uid, "resourceVersion": version},
        "spec": {"request": "", "signerName": "tcsissuer.tcs.intel.com/ns.issuer"},
    }))
    .unwrap()
}

/// An approved request of more than 64 KiB.
pub fn large(name: &str, uid: &str, version: &str) -> KubernetesCsr {
    let mut request = request(name, uid, version);
    request.annotations_mut().insert("large".into(), "x".repeat(64 << 10));
    request
}

impl<K: RequestKind> RequestTable<K> {
    /// A table that holds nothing.
    #[must_use]
    pub fn without_room() -> Self {
        Self::with_limits(Limits { all: 0, large: 0, small: 0 })
    }

    fn with_limits(limits: Limits) -> Self {
        Self::new(Budget::new(limits))
    }
}

impl<K: RequestKind> Default for RequestTable<K> {
    fn default() -> Self {
        Self::new(Budget::default())
    }
}

fn name(name: &str) -> ObjectName {
    ObjectName::of(&request(name, "", "").metadata)
}

/// The next job, if there is one now. All requests are held.
fn take(table: &Table) -> Option<Job<KubernetesCsr>> {
    table.next().now_or_never().map(held)
}

fn held<K>(work: Work<K>) -> Job<K> {
    let Work::Reconcile(job) = work else { panic!("it is not held") };
    job
}

fn allowed() -> Decided {
    Decided::now(Ok(Decision::Allowed))
}

fn version(job: Option<&Job<KubernetesCsr>>) -> Option<String> {
    job?.request.resource_version()
}

#[tokio::test]
async fn requests_are_taken_in_the_order_in_which_they_came_and_each_by_one_worker() {
    let table = Table::default();
    for name in ["c", "a", "b"] {
        table.apply(request(name, name, "1"));
    }
    let jobs: Vec<_> = std::iter::from_fn(|| take(&table)).collect();
    let names: Vec<_> = jobs.iter().map(|job| job.request.name_any()).collect();
    assert_eq!(names, ["c", "a", "b"]);
    table.enqueue(&|_| true);
    assert!(take(&table).is_none(), "all are with workers");
    table.finish(&jobs[0], Next::OnChange);
    assert_eq!(take(&table).unwrap().request.name_any(), "c", "what it waits for has changed meanwhile");
    assert!(take(&table).is_none());
}

#[tokio::test]
async fn a_request_that_changes_while_a_worker_has_it_is_reconciled_again_in_its_new_version() {
    let table = Table::default();
    table.apply(request("a", "u", "1"));
    table.apply(request("a", "u", "2"));
    let job = take(&table);
    assert_eq!(version(job.as_ref()).as_deref(), Some("2"));
    assert!(take(&table).is_none(), "it was enqueued once");
    table.apply(request("a", "u", "3"));
    assert!(take(&table).is_none());
    table.finish(&job.unwrap(), Next::After(Duration::from_hours(1)));
    assert_eq!(version(take(&table).as_ref()).as_deref(), Some("3"));
}

#[tokio::test]
async fn a_worker_that_waits_gets_what_comes() {
    let table = Arc::new(Table::default());
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let table = Arc::clone(&table);
            tokio::spawn(async move { held(table.next().await).request.name_any() })
        })
        .collect();
    tokio::task::yield_now().await;
    for name in ["a", "b", "c"] {
        table.apply(request(name, name, "1"));
    }
    let mut names = Vec::new();
    for worker in workers {
        names.push(timeout(Duration::from_mins(1), worker).await.unwrap().unwrap());
    }
    names.sort();
    assert_eq!(names, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_tried_again_after_longer_and_longer_pauses() {
    let table = Table::default();
    let waking = async { table.wake_delayed().await };
    let working = async {
        table.apply(request("a", "u", "1"));
        let mut job = held(table.next().await);
        let mut pauses = Vec::new();
        for next in [Next::Failed, Next::Failed, Next::After(Duration::from_millis(5)), Next::Failed] {
            table.finish(&job, next);
            let ended = Instant::now();
            job = held(table.next().await);
            pauses.push(ended.elapsed().as_millis());
        }
        pauses
    };
    let pauses = tokio::select! { () = waking => unreachable!(), pauses = working => pauses };
    assert_eq!(pauses[0] / 1000, 1);
    assert_eq!(pauses[1] / 1000, 2);
    assert!(pauses[2] < 100, "{pauses:?}");
    assert_eq!(pauses[3] / 1000, 1, "a success in between");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_tried_again_ever_more_rarely_and_no_issuer_changes_that() {
    let table = Table::default();
    let waking = async { table.wake_delayed().await };
    let working = async {
        table.apply(request("a", "u", "1"));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            table.finish(&held(table.next().await), Next::Refused);
            let ended = Instant::now();
            table.enqueue(&|_| true);
            assert!(take(&table).is_none(), "an issuer changed");
            let job = held(table.next().await);
            pauses.push(ended.elapsed().as_secs() / 60);
            table.finish(&job, Next::Refused);
            table.enqueue(&|_| true);
        }
        table.apply(request("a", "u", "1"));
        assert!(take(&table).is_none(), "it was listed again");
        let failing = held(table.next().await);
        table.finish(&failing, Next::Failed);
        table.enqueue(&|_| true);
        assert!(take(&table).is_none(), "that it failed meanwhile does not make it like others");
        table.apply(request("a", "u", "2"));
        table.finish(&take(&table).expect("it changed itself"), Next::Refused);
        let ended = Instant::now();
        let job = held(table.next().await);
        assert_eq!(ended.elapsed().as_secs() / 60, 1, "the first refusal of what it is now");
        table.finish(&job, Next::OnChange);
        table.enqueue(&|_| true);
        assert!(take(&table).is_some(), "it is like others again");
        pauses
    };
    let pauses = tokio::select! { () = waking => unreachable!(), pauses = working => pauses };
    assert_eq!(pauses, [1, 4, 16, 60, 60, 60, 60, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_a_pause() {
    let table = Table::default();
    table.apply(request("a", "u", "1"));
    table.finish(&take(&table).unwrap(), Next::After(Duration::from_hours(1)));
    assert!(take(&table).is_none());
    table.apply(request("a", "u", "2"));
    assert_eq!(version(take(&table).as_ref()).as_deref(), Some("2"));
    assert!(table.lock().delayed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn b01_a_request_is_open_since_it_was_first_seen() {
    let table = Table::default();
    table.apply(request("a", "u", "1"));
    let first = take(&table).unwrap();
    advance(Duration::from_secs(1)).await;
    table.finish(&first, Next::OnChange);
    table.apply(request("a", "u", "2"));
    let second = take(&table).unwrap();
    assert_eq!(second.opened, first.opened, "a change does not make it newer");
    table.finish(&second, Next::OnChange);
    table.apply(request("a", "other", "3"));
    assert!(take(&table).unwrap().opened > first.opened, "it is another request of the same name");
}

#[tokio::test]
async fn review_l7_requests_that_vanished_leave_nothing() {
    let table = Table::default();
    let is_empty = |table: &Table| {
        let state = table.lock();
        let Queues { held, small, large } = &state.queues;
        let queues = [held, small, large];
        state.entries.is_empty() && queues.iter().all(|queue| queue.is_empty()) && state.delayed.is_empty()
    };
    // At every stage: ready, delayed, idle and with a worker.
    for stage in 0..4 {
        table.apply(request("a", "u", "1"));
        let job = (stage > 0).then(|| take(&table).unwrap());
        match (stage, &job) {
            (1, Some(job)) => table.finish(job, Next::After(Duration::from_hours(1))),
            (2, Some(job)) => table.finish(job, Next::OnChange),
            _ => {}
        }
        assert!(!is_empty(&table));
        if stage % 2 == 0 {
            table.remove(&name("a"));
        } else {
            table.retain(&HashSet::new());
        }
        assert!(is_empty(&table), "stage {stage}");
        if let Some(job) = job {
            table.finish(&job, Next::Failed);
            assert!(is_empty(&table) && !table.start_wait(&job, "NotReady"), "stage {stage}");
        }
        assert!(take(&table).is_none());
    }
    table.apply(request("a", "u", "1"));
    table.apply(request("b", "v", "1"));
    table.retain(&HashSet::from([name("b")]));
    assert_eq!(table.counts().open, 1);
    let job = take(&table).unwrap();
    table.close(&job);
    assert!(is_empty(&table), "it has its result");
}

/// A worker that is late must not end, close or announce anything for a request of the same name.
#[tokio::test]
async fn a_late_worker_does_not_touch_a_new_request_of_the_same_name() {
    let table = Table::default();
    table.apply(request("a", "old", "1"));
    let old = take(&table).unwrap();
    table.remove(&name("a"));
    table.apply(request("a", "new", "2"));
    assert!(!table.start_wait(&old, "NotReady"));
    table.close(&old);
    table.finish(&old, Next::OnChange);
    let new = take(&table).unwrap();
    assert_eq!(new.request.uid().as_deref(), Some("new"));
    table.close(&old);
    assert_eq!(table.counts().open, 1);
    table.finish(&old, Next::OnChange);
    table.apply(request("a", "new", "3"));
    assert!(take(&table).is_none(), "the new one is with its worker");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_open_request_shows_whatever_it_waits_for() {
    let table = Table::default();
    table.apply(request("a", "a", "1"));
    advance(Duration::from_secs(90)).await;
    table.apply(request("b", "b", "1"));
    assert_eq!(table.counts().oldest, Duration::from_secs(90));
    table.remove(&name("a"));
    assert_eq!(table.counts().oldest, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn open_requests_are_counted_by_what_they_wait_for() {
    let table = Table::default();
    for name in ["a", "b", "c"] {
        table.apply(request(name, name, "1"));
    }
    let (a, b) = (take(&table).unwrap(), take(&table).unwrap());
    table.start_wait(&a, "NotReady");
    table.start_wait(&b, "NotThere");
    table.start_wait(&b, "NotReady");
    let counts = |open, waiting| OpenCounts {
        open,
        not_held: 0,
        oldest: Duration::ZERO,
        waiting: BTreeMap::from([("NotReady", waiting)]),
    };
    table.end_wait(&b, "NotReady");
    assert_eq!(table.counts(), counts(3, 2));
    table.close(&a);
    assert_eq!(table.counts(), counts(2, 1));
    table.end_wait(&b, "NotWritten");
    assert_eq!(table.counts().waiting, BTreeMap::new());
    table.start_wait(&b, "NotReady");
    assert!(b.announced.is_none());
    table.finish(&b, Next::OnChange);
    table.apply(request("b", "b", "2"));
    assert!(take(&table).unwrap().announced.is_none(), "c");
    assert!(take(&table).unwrap().announced.is_some(), "b");
}

#[tokio::test]
async fn one_reason_to_wait_is_announced_once() {
    let table = Table::default();
    table.apply(request("a", "u", "1"));
    let job = take(&table).unwrap();
    let start = |reason| table.start_wait(&job, reason);
    assert!(start("NotReady") && !start("NotReady") && start("NotThere"));
    table.take_wait_back(&job, "NotReady");
    assert!(!start("NotThere"), "another reason was announced meanwhile");
    table.take_wait_back(&job, "NotThere");
    assert!(start("NotThere"), "nobody was told");
    table.finish(&job, Next::OnChange);
    table.apply(request("a", "u", "2"));
    let job = take(&table).unwrap();
    assert!(!table.start_wait(&job, "NotThere"), "a change of the request does not announce it again");
}

/// The names of the requests that workers can take now, and the work, so that it goes on. Those that are read
/// end with a star.
fn take_all(table: &Table) -> (Vec<String>, Vec<Work<KubernetesCsr>>) {
    let works: Vec<_> = std::iter::from_fn(|| table.next().now_or_never()).collect();
    let names = works.iter().map(|work| match work {
        Work::Reconcile(job) => job.request.name_any(),
        Work::Read(unread) => format!("{}*", unread.name.name()),
    });
    (names.collect(), works)
}

/// All of it ends, and waits for a change.
fn end_all(table: &Table, works: &[Work<KubernetesCsr>]) {
    for work in works {
        match work {
            Work::Reconcile(job) => table.finish(job, Next::OnChange),
            Work::Read(unread) => table.finish(unread, Next::OnChange),
        }
    }
}

#[tokio::test]
async fn a_request_that_was_set_aside_goes_on_with_what_was_found_once() {
    let table = Table::default();
    table.apply(request("a", "u", "1"));
    let job = take(&table).unwrap();
    assert!(job.decided.is_none());
    table.apply(request("a", "u", "2"));
    assert!(take(&table).is_none(), "it waits for its review, whatever changes");
    table.resume(&job, allowed());
    let job = take(&table).unwrap();
    assert!(matches!(job.decided, Some(Decided { found: Ok(Decision::Allowed), .. })));
    assert_eq!(version(Some(&job)).as_deref(), Some("2"));
    table.finish(&job, Next::OnChange);
    table.enqueue(&|_| true);
    let job = take(&table).unwrap();
    assert!(job.decided.is_none(), "the next time access is checked again");
    table.remove(&name("a"));
    table.apply(request("a", "other", "3"));
    table.resume(&job, allowed());
    assert!(take(&table).unwrap().decided.is_none(), "it is another request of the same name");
}

#[tokio::test]
async fn a_request_that_was_set_aside_is_reconciled_before_those_that_came_later() {
    let table = Table::default();
    for name in ["a", "b", "c"] {
        table.apply(request(name, name, "1"));
    }
    let aside = take(&table).unwrap();
    table.resume(&aside, allowed());
    assert_eq!(take_all(&table).0, ["a", "b", "c"]);
}
