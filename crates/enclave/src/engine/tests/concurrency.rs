use super::Served;
use super::fixture::{Controller, TestCa, csr, engine, issue};
use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;
use tcs_enclave_rpc::RefusalCode;

#[test]
fn w_r3_all_who_begin_at_once_get_the_same_offer() {
    let engine = engine();
    let barrier = Barrier::new(4);
    let offers: HashSet<Vec<u8>> = thread::scope(|scope| {
        let begin = || {
            barrier.wait();
            engine.begin("uid").unwrap().offer_id.to_vec()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(offers.len(), 1);
}

#[test]
fn w_r3_of_many_equal_deliveries_exactly_one_is_accepted() {
    let engine = engine();
    let offer = engine.begin("uid").unwrap();
    let delivery = TestCa::new().delivery("uid", &offer);
    let barrier = Barrier::new(8);
    let accepted = thread::scope(|scope| {
        let deliver = || {
            barrier.wait();
            engine.deliver(delivery.clone())
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(deliver)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results
            .filter(|result| match result {
                Ok(_) => true,
                Err(refusal) => {
                    assert_eq!(refusal.code, RefusalCode::AlreadyProvisioned);
                    false
                }
            })
            .count()
    });
    assert_eq!(accepted, 1);
}

/// W-R3: many issuers begin, deliver, issue and destroy at the same time, over one connection.
#[test]
fn w_r3_issuers_do_not_disturb_one_another() {
    let enclave = Served::start(engine());
    let ca = TestCa::new();
    enclave.provision("steady", &ca);
    let request = csr(|_| {});
    thread::scope(|scope| {
        for number in 0..3 {
            let (enclave, ca, request) = (&enclave, &ca, &request);
            scope.spawn(move || {
                let uid = format!("passing-{number}");
                enclave.provision(&uid, ca);
                enclave.issue(issue(&uid, request.clone())).unwrap();
                enclave.destroy(&uid);
                assert_eq!(enclave.issue(issue(&uid, request.clone())), Err(RefusalCode::NotProvisioned));
            });
            scope.spawn(move || {
                for _ in 0..50 {
                    enclave.issue(issue("steady", request.clone())).unwrap();
                    assert!(!enclave.health(None).issuers.is_empty());
                }
            });
        }
    });
    assert_eq!(enclave.health(None).issuers.len(), 1);
}
