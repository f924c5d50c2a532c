//! What an error of the API server says, for the log.

use super::rights::right::Right;

/// The text of an error. kube's own text of a refusal repeats it in its debugging form.
pub fn text_of(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) if answer.code == 403 => format!(
            "{}; if it is the right that is missing, apply deployment/access.yaml of this version",
            answer.message
        ),
        kube::Error::Api(answer) => format!("{} (status {})", answer.message, answer.code),
        error => error.to_string(),
    }
}

/// Whether an error is due to a missing right. Then one line of the log names it for all objects
/// ([`super::rights`]).
pub fn is_missing_right(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(answer) if answer.code == 403 && Right::missing(&answer.message).is_some())
}

/// Whether the API server refuses a write for a reason that lies in the object or in a policy, so that the
/// same write is refused again.
pub fn is_refused_for_good(error: &kube::Error) -> bool {
    let kube::Error::Api(answer) = error else { return false };
    let is_refused = matches!(answer.code, 400 | 403 | 413 | 422) || is_too_large(error);
    is_refused && !is_missing_right(error) && !is_starting(error)
}

/// Whether an object is larger than the API server takes, or than its etcd does: then it answers 500.
pub fn is_too_large(error: &kube::Error) -> bool {
    let kube::Error::Api(answer) = error else { return false };
    answer.code == 413 || answer.code == 500 && answer.message.contains(ETCD_TOO_LARGE)
}

/// A part of the error `ErrRequestTooLarge` of etcd.
const ETCD_TOO_LARGE: &str = "etcdserver: request is too large";

/// Whether the API server refuses a write because it has just started and does not know its policies or
/// webhooks yet. It answers 403 then (`k8s.io/apiserver/pkg/admission`, `WaitForReady`).
fn is_starting(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(answer) if answer.code == 403 && answer.message.contains(NOT_YET_READY))
}

const NOT_YET_READY: &str = "not yet ready to handle request";

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn a_refusal_is_told_once_and_not_in_its_debugging_form() {
        let refusal = |message: &str, code| {
            text_of(&kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed()))
        };
        let is_missing = |message: &str, code| {
            is_missing_right(&kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed()))
        };
        let right = "User \"u\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"n\"";
        assert!(is_missing(right, 403) && !is_missing(right, 500) && !is_missing("denied", 403));
        let for_good = |message: &str, code| {
            is_refused_for_good(&kube::Error::Api(Status::failure(message, "Reason").with_code(code).boxed()))
        };
        assert!([400, 403, 413, 422].into_iter().all(|code| for_good("no", code)));
        assert!(![404, 409, 429, 500, 503].into_iter().any(|code| for_good("no", code)));
        assert!(!for_good(right, 403), "a right can be granted at any time");
        assert!(for_good("etcdserver: request is too large", 500));
        let starting = "csr \"a\" is forbidden: not yet ready to handle request";
        assert!(!for_good(starting, 403), "it has only just started");
        assert_eq!(refusal("x is not there", 404), "x is not there (status 404)");
        let forbidden = refusal("User \"u\" cannot patch resource \"r\"", 403);
        assert!(forbidden.starts_with("User \"u\" cannot patch resource \"r\"; "), "{forbidden}");
        assert!(forbidden.ends_with("apply deployment/access.yaml of this version"), "{forbidden}");
    }
}
