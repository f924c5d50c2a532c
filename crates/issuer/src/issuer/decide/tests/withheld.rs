//! While the admission policies are not in force, nothing is served and nothing in the status is lost.

use super::fixture::*;
use super::*;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::IssuerStatus;

const WHY: &str = "ValidatingAdmissionPolicy x is missing";

#[test]
fn review_l9_without_the_policies_an_issuer_is_not_ready_and_keeps_its_status() {
    let mut ready = Fixture::holding(1);
    ready.status = ready.plan().status;
    let delivered = Fixture::delivered();
    let mut waits = Fixture::offering(1);
    waits.status = waits.plan().status;
    let check = |mut fixture: Fixture| {
        let before = fixture.status.clone();
        fixture.withheld = Some(WHY.into());
        let plan = fixture.plan();
        let condition = ready_condition(&plan.status).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            ("False", reasons::ADMISSION_POLICY_NOT_ENFORCED)
        );
        assert_eq!(condition.message, WHY);
        assert_eq!((plan.events.len(), plan.events[0].warning), (1, true));
        assert_eq!(IssuerStatus { conditions: before.conditions.clone(), ..plan.status.clone() }, before);
        assert!(!plan.seal);
        assert!(plan.ca_secret.is_none() && plan.attestation_conditions.is_empty());
        assert_eq!(plan.attestation, AttestationStep::Keep);

        // It is reported once. When the policies are in force again, everything continues.
        fixture.status = plan.status;
        assert!(fixture.plan().events.is_empty());
        fixture.withheld = None;
        let ready = before.conditions.first().map(|condition| condition.reason.clone());
        match fixture.decide() {
            Decision::Settle(after) => {
                assert!(ready.is_none_or(|ready| reason(&after) == ready));
                assert!(after.events.iter().all(|event| event.reason != reasons::CA_REPLACED));
            }
            Decision::Ask(_) => assert_eq!(ready, None),
        }
    };
    check(ready);
    check(delivered);
    check(waits);
    check(Fixture::vacant());
}
