//! The key of a published CA is lost: what the issuer reports, and what must happen before another CA is
//! made.

use super::fixture::*;
use super::*;
use tcs_api::conditions::ready_condition;
use tcs_api::v1alpha1::CaSpec;

/// The value contains letters, so that upper and lower case differ.
const LOST: u8 = 0xab;

/// An issuer that has signed, and for which the enclave no longer holds anything.
fn lost(self_sign: bool) -> Fixture {
    let mut fixture = Fixture::holding(LOST);
    fixture.issuer.spec.self_sign = self_sign;
    fixture.status = fixture.plan().status;
    assert_eq!(reason(&fixture.plan()), reasons::READY);
    fixture.ca = None;
    fixture.vacant = self_sign;
    fixture.offer = (!self_sign).then(|| offer(1));
    fixture
}

/// `allowEphemeral` allows that the key is lost, but not that another one replaces it.
#[test]
fn w_d2_an_ephemeral_ca_that_is_lost_is_not_replaced_without_its_own_fingerprint() {
    let mut fixture = lost(true);
    fixture.identity.sealing = false;
    fixture.issuer.spec.ca = Some(CaSpec { allow_ephemeral: true, ..CaSpec::default() });
    let old = "ab".repeat(32);
    let (upper, part) = (old.to_uppercase(), &old[..32]);
    let spaced = format!("{old} ");
    for allowed in [None, Some("true"), Some(""), Some(&*upper), Some(part), Some(&*spaced)] {
        fixture.issuer.metadata.annotations =
            allowed.map(|value| [("tcs.intel.com/new-ca".to_owned(), value.to_owned())].into());
        let plan = fixture.plan();
        assert_eq!(reason(&plan), reasons::KEY_LOST, "{allowed:?}");
        assert_eq!(plan.status.ca.as_ref().unwrap().fingerprint, old);
        assert!(ready_condition(&plan.status).unwrap().message.contains(&format!("new-ca={old}")));
    }
    fixture.issuer.metadata.annotations = Some([("tcs.intel.com/new-ca".to_owned(), old)].into());
    assert!(fixture.decide().generate().is_some());
}

#[test]
fn a_lost_key_is_reported_with_the_reason_why_it_was_not_restored() {
    // The enclave's refusals.
    let refusals = [
        (RefusalCode::SealedBlobForeign, "the sealed CA key belongs to another issuer"),
        (RefusalCode::SealedBlobForeign, "the CA key was sealed on another machine"),
        (
            RefusalCode::SealedBlobForeign,
            "the CA key was sealed by another enclave; each version of the program is a different enclave",
        ),
        (RefusalCode::SealedBlobOld, "the issuer has had a newer CA key since; restore the newest one"),
    ];
    for self_sign in [true, false] {
        for (code, text) in refusals {
            let mut fixture = lost(self_sign);
            fixture.restore_refusal = Some(refusal(code, text));
            let plan = fixture.plan();
            assert_eq!(reason(&plan), reasons::KEY_LOST, "{text}");
            let messages = [&ready_condition(&plan.status).unwrap().message, &plan.events[0].message];
            for message in messages {
                assert!(message.contains(code.as_str()) && message.contains(text), "{message}");
            }
            assert!(plan.requeue.is_none(), "the refusal does not pass with time");
            assert!(plan.ca_secret.is_none());
        }
    }
}
