//! Requests of cert-manager, and what two request APIs share.

use super::*;
use crate::requests::certificaterequest::CertificateRequest;

/// A request of cert-manager whose condition `Ready` has this message.
fn of_cert_manager(version: &str, message: &str, condition: &str) -> CertificateRequest {
    let ready = json!({"type": "Ready", "status": "False", "reason": "Pending", "message": message});
    serde_json::from_value(json!({
        "metadata": {"name": "r", "namespace": "ns", "uid": "u", "resourceVersion": version},
        "spec": {"request": "", "issuerRef": {"group": "tcs.intel.com", "name": "a"}},
        "status": {"conditions": [ready, {"type": condition, "status": "True"}]},
    }))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn x03_what_the_service_writes_about_a_request_is_no_reason_to_try_it_again() {
    let table = RequestTable::<CertificateRequest>::default();
    let version = |job: &Job<CertificateRequest>| job.request.resource_version().unwrap();
    table.apply(of_cert_manager("1", "", "Approved"));
    let job = held(table.next().await);
    table.apply(of_cert_manager("2", "first", "Approved"));
    table.finish(&job, Next::Failed);
    assert!(table.next().now_or_never().is_none(), "it is written while a worker has it");
    table.apply(of_cert_manager("3", "second", "Approved"));
    assert!(table.next().now_or_never().is_none(), "it does not end the pause");
    let waking = async { tokio::join!(table.wake_delayed(), async {}) };
    let job = tokio::select! { _ = waking => panic!(), work = table.next() => held(work) };
    assert_eq!(version(&job), "3");
    table.finish(&job, Next::OnChange);
    // What others change counts, and so does a denial in any case.
    table.apply(of_cert_manager("4", "second", "Approved"));
    let job = held(table.next().now_or_never().unwrap());
    assert_eq!(version(&job), "4");
    table.finish(&job, Next::OnChange);
    table.apply(of_cert_manager("5", "third", "Denied"));
    assert_eq!(version(&held(table.next().now_or_never().unwrap())), "5");
}

#[tokio::test]
async fn review_m2_two_request_apis_take_no_more_memory_than_one() {
    let size = large("a", "a", "1").memory();
    let budget = Budget::new(Limits { all: size * 2, large: size * 2, small: 1 });
    let tables = [(); 2].map(|()| Table::new(budget.beside()));
    for (table, name) in tables.iter().flat_map(|table| ["a", "b"].map(|name| (table, name))) {
        table.apply(large(name, name, "1"));
    }
    let counts = |table: &Table| (table.counts().open, table.counts().not_held);
    assert_eq!(tables.each_ref().map(counts), [(2, 0), (2, 2)]);
    assert_eq!(budget.used().0, size * 2);
    // Those of the other API are read one at a time, and wait for nobody of the first.
    let mut first = tables[1].next().await;
    assert!(matches!(first, Work::Read(_)) && tables[1].next().now_or_never().is_none());
    tables[0].retain(&HashSet::new());
    assert_eq!(budget.used().0, 0, "what one gives back the other can have");
    first = tables[1].next().await;
    assert!(matches!(first, Work::Read(_)));
    assert_eq!(budget.used().0, size);
}
