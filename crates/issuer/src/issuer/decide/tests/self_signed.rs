//! Self-signed issuers whose CA key the enclave does not hold.

use super::fixture::*;
use super::*;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::CaSpec;

#[test]
fn a_self_signed_issuer_asks_for_the_originals_ca_with_a_better_key() {
    let mut fixture = Fixture::vacant();
    let request = fixture.decide().generate().unwrap();
    assert_eq!(request.subject.common_name, "SGX self-signed root certificate authority");
    assert_eq!(request.subject.organizations, ["Intel(R) Corporation"]);
    assert_eq!((request.key_algorithm.as_str(), request.lifetime), ("ECDSA-P256", 365 * 86_400));
    assert_eq!((request.path_length, request.now), (Some(0), 1000));
    fixture.issuer.spec.ca = Some(CaSpec {
        common_name: Some("Mesh".into()),
        organizations: Some(vec![]),
        key_algorithm: Some("RSA-3072".into()),
        lifetime_days: Some(10),
        max_path_len: Some(1),
        ..CaSpec::default()
    });
    let request = fixture.decide().generate().unwrap();
    assert_eq!((request.subject.common_name.as_str(), request.subject.organizations.len()), ("Mesh", 0));
    assert_eq!((request.key_algorithm.as_str(), request.lifetime), ("RSA-3072", 864_000));
    assert_eq!(request.path_length, Some(1));
}

#[test]
fn w_d2_a_lost_ca_is_not_replaced_without_its_own_fingerprint() {
    let mut fixture = Fixture::holding(7);
    fixture.issuer.spec.self_sign = true;
    fixture.status = fixture.plan().status;
    (fixture.ca, fixture.vacant) = (None, true);
    let refusal = refusal(RefusalCode::SealedBlobInvalid, "it does not open");
    fixture.restore_refusal = Some(refusal);
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::KEY_LOST);
    let old = "07".repeat(32);
    let message = &ready_condition(&plan.status).unwrap().message;
    assert!(message.contains("SealedBlobInvalid") && message.contains(&format!("new-ca={old}")), "{message}");
    assert_eq!(plan.status.ca.unwrap().fingerprint, old);
    for (allowed, made) in [("true", false), ("08", false), (&*"08".repeat(32), false), (&*old, true)] {
        let annotations = [("tcs.intel.com/new-ca".to_owned(), allowed.to_owned())];
        fixture.issuer.metadata.annotations = Some(annotations.into());
        assert_eq!(fixture.decide().generate().is_some(), made, "{allowed}");
    }
}

/// A sealed key that cannot be restored because of the clock is not lost: no message advises to replace the
/// CA, and nobody can replace it.
#[test]
fn w_d2_a_key_that_can_be_restored_later_is_not_replaced() {
    let mut fixture = Fixture::vacant();
    let mut held = Fixture::holding(7);
    held.issuer.spec.self_sign = true;
    fixture.status = held.plan().status;
    fixture.issuer.metadata.annotations =
        Some(std::collections::BTreeMap::from([("tcs.intel.com/new-ca".to_owned(), "07".repeat(32))]));
    for code in [
        RefusalCode::ClockTooEarly,
        RefusalCode::CertificateNotYetValid,
        RefusalCode::CertificateExpired,
        RefusalCode::TooManyIssuers,
    ] {
        fixture.restore_refusal = Some(refusal(code, "why"));
        let plan = fixture.plan();
        assert_eq!(reason(&plan), reasons::KEY_LOST);
        assert!(plan.requeue.is_some());
        assert!(!ready_condition(&plan.status).unwrap().message.contains("NEW CA"));
    }
    fixture.restore_refusal = Some(refusal(RefusalCode::SealedBlobInvalid, "why"));
    assert!(fixture.decide().generate().is_some(), "a damaged blob stays damaged");
}

#[test]
fn a_key_that_cannot_be_sealed_is_made_only_if_the_issuer_allows_it() {
    let mut fixture = Fixture::vacant();
    fixture.identity.sealing = false;
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::NO_SEALING);
    fixture.issuer.spec.ca = Some(CaSpec { allow_ephemeral: true, ..CaSpec::default() });
    assert!(fixture.decide().generate().is_some());
    // Then nothing is sealed.
    let mut fixture = Fixture::holding(7);
    fixture.identity.sealing = false;
    assert!(!fixture.plan().seal);
}

#[test]
fn a_ca_that_the_enclave_refuses_to_make_is_reported_with_its_code() {
    let mut fixture = Fixture::vacant();
    fixture.refusal = Some(refusal(RefusalCode::IdentityForbidden, "reserved"));
    let plan = fixture.plan();
    assert_eq!(reason(&plan), reasons::CA_REFUSED);
    assert!(ready_condition(&plan.status).unwrap().message.contains("IdentityForbidden"));
}

#[test]
fn review_l8_a_ca_key_that_is_not_made_in_time_is_asked_for_again() {
    let mut fixture = Fixture::vacant();
    fixture.refusal = Some(refusal(RefusalCode::TimedOut, "why"));
    let plan = fixture.plan();
    assert_eq!((reason(&plan), plan.requeue), (reasons::CA_REFUSED, Some(Duration::from_secs(30))));
    let message = ready_condition(&plan.status).unwrap().message.clone();
    assert!(message.contains("TimedOut: why; this is tried again"), "{message}");
}
