//! Nothing is served while the admission policies are not in force, and nothing that is known is forgotten.

use super::*;

const WHY: &str = "ValidatingAdmissionPolicy x is missing";

#[test]
fn review_l9_without_the_policies_an_issuer_is_unready_and_keeps_what_is_recorded_of_it() {
    let mut ready = Scene::holding(1);
    ready.status = ready.decide().status;
    let mut delivered = Scene::offering(1);
    delivered.attestation = Some(patched(published(&delivered.issuer, &offer(1)), "wrapped-key", "KMRA"));
    delivered.secret = Some(secret("1"));
    let mut waits = Scene::offering(1);
    waits.status = waits.decide().status;
    let check = |mut scene: Scene| {
        let before = scene.status.clone();
        scene.withheld = Some(WHY.into());
        let plan = scene.decide();
        let condition = ready_condition(&plan.status).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            ("False", reasons::ADMISSION_POLICY_NOT_ENFORCED)
        );
        assert_eq!(condition.message, WHY);
        assert_eq!((plan.notes.len(), plan.notes[0].warning), (1, true));
        assert_eq!(IssuerStatus { conditions: before.conditions.clone(), ..plan.status.clone() }, before);
        assert!(plan.deliver.is_none() && plan.generate.is_none() && plan.next.is_none() && !plan.seal);
        assert!(plan.ca_secret.is_none() && plan.attestation_conditions.is_empty());
        assert_eq!(plan.attestation, AttestationStep::Keep);

        // Said once; and when it is mended, everything goes on from where it was.
        scene.status = plan.status;
        assert!(scene.decide().notes.is_empty());
        scene.withheld = None;
        let ready = before.conditions.first().map(|condition| condition.reason.clone());
        let after = scene.decide();
        assert!(ready.is_none_or(|ready| reason(&after) == ready));
        assert!(after.notes.iter().all(|note| note.reason != reasons::CA_REPLACED));
    };
    check(ready);
    check(delivered);
    check(waits);
    check(Scene::vacant());
}
