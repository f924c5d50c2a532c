//! What becomes of the pending key when something fails, and what the user is told about it. Every error
//! after the key was written passes here.

use super::files::Files;
use crate::command::with_name;
use crate::error::Error;

/// What an error says about the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// There is no certificate for the key, and there will be none.
    Hopeless,
    /// There is a certificate that must not be used.
    Foreign,
    /// The certificate can still come.
    Open,
}

/// An error of the request that creates the object. Only a refusal proves that nothing was created.
pub fn of_creation(error: Error, files: &Files, name: &str) -> Error {
    let is_unknown = matches!(
        error,
        Error::Unreachable { .. }
            | Error::RequestTimeout { .. }
            | Error::Unavailable { .. }
            | Error::ObjectUnreadable { .. }
    );
    told(error, if is_unknown { Fate::Open } else { Fate::Hopeless }, files, name)
}

/// An error after the object was created.
pub fn of_request(error: Error, files: &Files, name: &str) -> Error {
    let fate = match error {
        Error::RequestRefused { .. } | Error::RequestDeleted(_) | Error::RequestAltered { .. } => {
            Fate::Hopeless
        }
        Error::CertificateForeign { .. } => Fate::Foreign,
        _ => Fate::Open,
    };
    told(error, fate, files, name)
}

fn told(mut error: Error, fate: Fate, files: &Files, name: &str) -> Error {
    let step = match fate {
        Fate::Hopeless => {
            files.forget_key();
            return error;
        }
        Fate::Foreign => format!(
            "the private key is still in {}; remove it once you know what happened",
            files.pending().display()
        ),
        Fate::Open => files.later(),
    };
    if let Error::Deadline { next, .. } = &mut error {
        // It names the request, and says what it waits for.
        next.push(step);
        return error;
    }
    let mut next = error.next().to_vec();
    next.extend(Some(error.advice()).filter(|advice| !advice.is_empty()));
    if fate == Fate::Open {
        next.push(with_name(name, |name| {
            format!("kubectl tcs why csr {name}   # what became of the request")
        }));
    }
    next.push(step);
    Error::Unfinished { name: name.to_owned(), error: Box::new(error), next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::KeyChoice;
    use crate::cluster::api_error;
    use crate::request::key::NewKey;
    use kube::core::Status;

    fn answer(code: u16, reason: &str) -> Error {
        api_error("create", kube::Error::Api(Box::new(Status::failure("said", reason).with_code(code))))
    }

    /// Whether the key is kept, and the error.
    fn after(of: impl Fn(Error, &Files, &str) -> Error, error: Error) -> (bool, Error) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files = Files::check(&path("tls.key"), &path("tls.crt"), "web", false).unwrap();
        let _certificate = files.prepare(&NewKey::generate(KeyChoice::EcdsaP256).unwrap()).unwrap();
        let error = of(error, &files, "web");
        (files.pending().exists(), error)
    }

    #[test]
    fn only_a_refusal_to_create_the_request_removes_the_key() {
        for code in [400, 401, 403, 409, 413, 422] {
            let (is_kept, error) = after(of_creation, answer(code, "No"));
            assert!(!is_kept && error.next().is_empty(), "{code}");
        }
        let timeout = || Error::RequestTimeout { action: "create".to_owned() };
        let unreachable = || Error::Unreachable { action: "create".to_owned(), cause: "reset".to_owned() };
        for error in [
            answer(408, "Timeout"),
            answer(429, "TooManyRequests"),
            answer(504, "Timeout"),
            timeout(),
            unreachable(),
        ] {
            let (code, exit) = (error.code(), error.exit());
            let (is_kept, error) = after(of_creation, error);
            assert!(is_kept, "{code}");
            assert_eq!((error.code(), error.exit()), (code, exit));
            assert!(error.to_string().contains("web"), "{error}");
            assert!(error.next().last().unwrap().starts_with("kubectl get csr web "), "{:?}", error.next());
        }
    }

    #[test]
    fn whatever_fails_after_the_request_was_created_the_key_is_kept_and_the_step_for_later_is_told() {
        let unwritable = || Error::FileUnwritable { path: "tls.crt".into(), cause: "no space".into() };
        for error in [answer(403, "Forbidden"), answer(500, "InternalError"), unwritable()] {
            let code = error.code();
            let (is_kept, error) = after(of_request, error);
            assert!(is_kept && error.to_string().contains("CertificateSigningRequest web"), "{error}");
            assert!(error.next().iter().any(|step| step.starts_with("kubectl tcs why csr web")), "{code}");
            assert!(error.next().last().unwrap().contains("> "), "{:?}", error.next());
        }
    }

    #[test]
    fn a_key_without_hope_is_removed_and_a_foreign_certificate_is_never_placed() {
        let (is_kept, _) = after(of_request, Error::RequestDeleted("web".into()));
        assert!(!is_kept);
        let (is_kept, _) =
            after(of_request, Error::RequestAltered { name: "web".into(), field: "spec.usages" });
        assert!(!is_kept);
        let foreign = Error::CertificateForeign { name: "web".into(), why: "no".into() };
        let (is_kept, error) = after(of_request, foreign);
        assert!(is_kept && !error.next().concat().contains("base64"), "{:?}", error.next());
        assert!(error.next().concat().contains("tls.key.web.pending"), "{:?}", error.next());
    }
}
