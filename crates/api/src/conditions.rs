//! Condition types, and how lists of conditions are written and read.
//!
//! An issuer's list belongs to the service alone and is a map by type. The list of a `QuoteAttestation` is
//! shared with people who append to it by JSON Patch, so one type may occur more than once: the last entry of
//! a type is used.

use crate::v1alpha1::{IssuerStatus, QuoteCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Issuer: it signs. `QuoteAttestation`, in a flow that is not served yet: the key owner's result.
pub const READY: &str = "Ready";
/// `QuoteAttestation`: the service has initialized the status, so that there is a list to append to.
pub const INIT: &str = "Init";
/// `QuoteAttestation`: the key owner says that the Secret with the wrapped key exists.
pub const CA_SECRET_READY: &str = "CASecretReady";
/// `QuoteAttestation`: the key owner says that the quote was verified.
pub const QUOTE_VERIFIED: &str = "QuoteVerified";
/// `QuoteAttestation`: False when the service refused the delivered key.
pub const KEY_ACCEPTED: &str = "KeyAccepted";

/// The Ready condition of an issuer.
#[must_use]
pub fn ready_condition(status: &IssuerStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == READY)
}

/// Whether the Ready condition of an issuer is True.
#[must_use]
pub fn is_ready(status: &IssuerStatus) -> bool {
    ready_condition(status).is_some_and(|ready| ready.status == "True")
}

/// Sets a condition in an issuer's list, where it replaces the one of its type. Returns whether the list
/// changed.
///
/// `lastTransitionTime` changes only when the status does (`docs/conformance.md`, A13). Otherwise the old
/// time stays, even if the reason, the message or the observed generation is new. An equal condition is no
/// change, so that nothing is written.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition) -> bool {
    let Some(current) = conditions.iter_mut().find(|current| current.type_ == condition.type_) else {
        conditions.push(condition);
        return true;
    };
    if current.status == condition.status {
        condition.last_transition_time = current.last_transition_time.clone();
    }
    let changed = *current != condition;
    *current = condition;
    changed
}

/// The last entry of a type, which is the one that counts.
#[must_use]
pub fn last<'a>(conditions: &'a [QuoteCondition], type_: &str) -> Option<&'a QuoteCondition> {
    conditions.iter().rfind(|condition| condition.type_.as_deref() == Some(type_))
}

/// Whether the last entry of a type is true in any letter case: the original walk-through writes `"true"`.
#[must_use]
pub fn is_true(conditions: &[QuoteCondition], type_: &str) -> bool {
    last(conditions, type_).and_then(|condition| condition.status.as_deref()).is_some_and(is_true_any_case)
}

/// Whether the status of a condition is `True` in any letter case.
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
