//! Clocks that agree as far as the service requires it, and are not the same: those of the service, of the
//! API server and of the pods that use certificates.

use crate::by_clock::fixture::Fixture;
use crate::by_clock::key_owner::KeyOwner;
use crate::by_clock::time::DAY;
use tcs_api::annotations::RENEW;

/// The clock of the API server, and of pods on its machine, minus that of the service, in seconds. Four
/// minutes behind is less than the five minutes by which clocks may differ.
const APART: [i64; 6] = [-240, -30, -5, 0, 5, 30];

/// openssl accepts everything that is published, at the time of a pod: no certificate and no CA begins in the
/// future of the pod (istio/istio#32176, KEP-4317).
fn is_valid_for_pods(fixture: &mut Fixture, apart: i64) {
    for behind in [0, 5, 30] {
        // The pod may also be behind the API server.
        let pod = fixture.now + apart.min(0) - behind;
        fixture.published.check(pod);
    }
}

#[test]
fn case_n5_not_before_never_lies_in_the_future_of_a_pod() {
    for apart in APART {
        let mut fixture = Fixture::with_sealing(KeyOwner::Nobody);
        fixture.server = Some(fixture.now + apart);
        fixture.reconcile();
        assert_eq!(fixture.reason(), "Ready", "{apart}");
        fixture.issue();
        is_valid_for_pods(&mut fixture, apart);

        // The same holds for the next CA and what is signed below it at once.
        fixture.now += 10 * DAY;
        fixture.server = Some(fixture.now + apart);
        let annotations = fixture.issuer.metadata.annotations.get_or_insert_default();
        annotations.insert(RENEW.into(), "1".into());
        fixture.reconcile();
        assert_eq!(fixture.fingerprints.len(), 2, "{apart}");
        fixture.issue();
        is_valid_for_pods(&mut fixture, apart);
    }
}
