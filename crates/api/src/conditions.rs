//! Condition types, and how condition lists are written and read.
//!
//! An issuer's list is ours alone, a map by type. A `QuoteAttestation`'s list is shared with people who append to
//! it by JSON Patch, so a type may stand in it more than once: the last entry of a type is the one that counts.

use crate::v1alpha1::QuoteCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Issuer: it signs. `QuoteAttestation` of a later flow: the key owner's verdict.
pub const READY: &str = "Ready";
/// `QuoteAttestation`: the service made the status, so that there is a list to append to.
pub const INIT: &str = "Init";
/// `QuoteAttestation`: the key owner's word that the Secret with the wrapped key is there.
pub const CA_SECRET_READY: &str = "CASecretReady";
/// `QuoteAttestation`: the key owner's word that the quote was verified.
pub const QUOTE_VERIFIED: &str = "QuoteVerified";
/// `QuoteAttestation`: False when the service refused what was delivered.
pub const KEY_ACCEPTED: &str = "KeyAccepted";

/// Puts a condition into an issuer's list, in place of one of its type; answers whether anything changed.
///
/// `lastTransitionTime` changes only when the status does (conformance A13): otherwise the old one stays, also
/// if reason, message or observed generation are new. An equal condition is no change, so nothing is written.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition) -> bool {
    let Some(have) = conditions.iter_mut().find(|have| have.type_ == condition.type_) else {
        conditions.push(condition);
        return true;
    };
    if have.status == condition.status {
        condition.last_transition_time = have.last_transition_time.clone();
    }
    let changed = *have != condition;
    *have = condition;
    changed
}

/// The entry of a type that counts: the last one.
#[must_use]
pub fn last<'a>(conditions: &'a [QuoteCondition], type_: &str) -> Option<&'a QuoteCondition> {
    conditions.iter().rfind(|condition| condition.type_.as_deref() == Some(type_))
}

/// Whether the last entry of a type is true, in any letter case: the user's document writes `"true"`.
#[must_use]
pub fn is_true(conditions: &[QuoteCondition], type_: &str) -> bool {
    last(conditions, type_).and_then(|condition| condition.status.as_deref()).is_some_and(is_true_any_case)
}

/// Whether a condition's status is `True`, in any letter case.
#[must_use]
pub fn is_true_any_case(status: &str) -> bool {
    status.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn ready(status: &str, reason: &str, second: i64) -> Condition {
        Condition {
            last_transition_time: Time(jiff::Timestamp::from_second(second).unwrap()),
            message: "m".into(),
            observed_generation: Some(1),
            reason: reason.into(),
            status: status.into(),
            type_: READY.into(),
        }
    }

    fn entry(type_: &str, status: &str) -> QuoteCondition {
        QuoteCondition { type_: Some(type_.into()), status: Some(status.into()), ..QuoteCondition::default() }
    }

    #[test]
    fn a13_transition_time_follows_status_only() {
        let mut list = Vec::new();
        assert!(set(&mut list, ready("False", "AwaitingKey", 1)));
        assert!(!set(&mut list, ready("False", "AwaitingKey", 2)), "only the time is new");
        assert!(set(&mut list, ready("False", "KeyRejected", 3)));
        assert_eq!(list, vec![ready("False", "KeyRejected", 1)]);
        assert!(set(&mut list, ready("True", "Ready", 4)));
        assert_eq!(list, vec![ready("True", "Ready", 4)]);
    }

    #[test]
    fn a_new_observed_generation_is_a_change() {
        let mut list = vec![ready("True", "Ready", 1)];
        assert!(set(&mut list, Condition { observed_generation: Some(2), ..ready("True", "Ready", 5) }));
        assert_eq!(list, vec![Condition { observed_generation: Some(2), ..ready("True", "Ready", 1) }]);
    }

    #[test]
    fn other_types_stay() {
        let other = Condition { type_: "Other".into(), ..ready("True", "Ready", 1) };
        let mut list = vec![other.clone()];
        set(&mut list, ready("True", "Ready", 1));
        assert_eq!(list, vec![other, ready("True", "Ready", 1)]);
    }

    #[test]
    fn the_last_entry_of_a_type_counts_in_any_letter_case() {
        let list = [entry(CA_SECRET_READY, "False"), entry(CA_SECRET_READY, "true"), entry(INIT, "True")];
        assert!(is_true(&list, CA_SECRET_READY));
        let list = [entry(CA_SECRET_READY, "true"), entry(CA_SECRET_READY, "False")];
        assert!(!is_true(&list, CA_SECRET_READY));
        assert!(!is_true(&list, QUOTE_VERIFIED));
        assert!(!is_true(&[QuoteCondition { status: None, ..entry(INIT, "") }], INIT));
        assert!(["True", "true", "TRUE"].into_iter().all(is_true_any_case));
        assert!(["", "False", "Unknown", "truely"].into_iter().all(|status| !is_true_any_case(status)));
    }
}
