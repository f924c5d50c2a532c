use super::super::admission_policies::expected;
use super::*;
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The response of the API server to a request, if it differs from that of a healthy one.
type Answer = fn(&Method, &str) -> Option<(StatusCode, Value)>;

const REFUSAL: &str = "secrets \"x\" is forbidden: ValidatingAdmissionPolicy 'tcs-issuer-secrets' with binding 'tcs-issuer-secrets' denied request: no";

/// Stands for a value that is nested 300 levels deep.
const NESTED: &str = "nested";

fn status(code: StatusCode, reason: &str, message: &str) -> (StatusCode, Value) {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code.as_u16() });
    (code, body)
}

fn not_found() -> (StatusCode, Value) {
    status(StatusCode::NOT_FOUND, "NotFound", "not found")
}

/// The objects of the manifest, with a time that Rust's types cannot hold, and nested deeper than a JSON
/// parser reads.
fn healthy(method: &Method, path: &str) -> (StatusCode, Value) {
    if method == Method::POST {
        return status(StatusCode::FORBIDDEN, "Forbidden", REFUSAL);
    }
    let resources = json!([{ "name": "validatingadmissionpolicies", "singularName": "", "namespaced": false, "kind": "ValidatingAdmissionPolicy", "verbs": [] }]);
    let list = json!({ "kind": "APIResourceList", "groupVersion": API_VERSION, "resources": resources });
    let objects = expected().unwrap();
    let object = objects.iter().find(|object| path == format!("{}/{}", url(object.kind), object.name));
    let object = object.map(|object| {
        json!({
            "metadata": { "name": object.name, "managedFields": [{ "time": "9999-12-31T23:59:59Z", "deep": NESTED }] },
            "spec": object.spec(),
        })
    });
    (StatusCode::OK, object.unwrap_or(list))
}

async fn checked(answer: Answer) -> Result<Result<(), PolicyFault>, kube::Error> {
    let server = Router::new().fallback(move |method: Method, uri: Uri| {
        let path = Arc::<str>::from(uri.path());
        assert!(method == Method::GET || uri.query() == Some("&dryRun=All"), "{uri}");
        let (code, body) = answer(&method, &path).unwrap_or_else(|| healthy(&method, &path));
        let nested = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        std::future::ready((code, body.to_string().replace(&format!("\"{NESTED}\""), &nested)))
    });
    check(&Client::new(server, "default"), &expected().unwrap(), Duration::ZERO).await
}

fn is_binding_of_tokens(path: &str) -> bool {
    path.ends_with("/validatingadmissionpolicybindings/tcs-issuer-tokens")
}

#[tokio::test]
async fn review_l9_policies_that_are_there_and_refuse_are_in_force() {
    assert_eq!(checked(|_, _| None).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn review_l9_a_missing_policy_is_distinguished_from_an_api_server_without_policies() {
    let fault = checked(|_, path| is_binding_of_tokens(path).then(not_found)).await.unwrap().unwrap_err();
    assert_eq!(fault, PolicyFault::Missing { kind: ObjectKind::Binding, name: "tcs-issuer-tokens".into() });
    assert!(fault.to_string().contains("kubectl apply -f deployment/access.yaml"), "{fault}");

    let group_unknown = |_: &Method, path: &str| path.starts_with("/apis/").then(not_found);
    let kind_unknown = |_: &Method, path: &str| match path {
        "/apis/admissionregistration.k8s.io/v1" => {
            Some((StatusCode::OK, json!({ "groupVersion": API_VERSION, "resources": [] })))
        }
        other => other.starts_with("/apis/").then(not_found),
    };
    for answer in [group_unknown, kind_unknown as Answer] {
        let fault = checked(answer).await.unwrap().unwrap_err();
        assert_eq!(fault, PolicyFault::Unsupported);
        assert!(fault.to_string().contains("Kubernetes 1.32"), "{fault}");
    }
}

#[tokio::test]
async fn review_l9_a_policy_that_may_not_be_read_is_not_in_force() {
    let refused: Answer =
        |_, path| is_binding_of_tokens(path).then(|| status(StatusCode::FORBIDDEN, "Forbidden", "no right"));
    let fault = checked(refused).await.unwrap().unwrap_err();
    assert!(matches!(&fault, PolicyFault::Unreadable { why, .. } if why == "no right"), "{fault}");
}

/// Nobody knows what such an object checks. This differs from an API server that could not be reached.
#[tokio::test]
async fn review_l9_a_policy_that_cannot_be_read_is_not_in_force() {
    let unreadable: Answer = |_, path| {
        is_binding_of_tokens(path)
            .then(|| (StatusCode::OK, json!({ "metadata": {}, "spec": { "x": NESTED } })))
    };
    let fault = checked(unreadable).await.unwrap().unwrap_err();
    assert!(matches!(&fault, PolicyFault::Unreadable { name, .. } if name == "tcs-issuer-tokens"), "{fault}");
}

/// An API server answers in this way after its start, before it has loaded the roles.
#[tokio::test]
async fn review_l9_a_read_that_is_refused_at_first_is_tried_again() {
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    let starting: Answer = |_, _| {
        (REFUSED.fetch_add(1, Ordering::Relaxed) < 3)
            .then(|| status(StatusCode::FORBIDDEN, "Forbidden", "cannot get resource"))
    };
    assert_eq!(checked(starting).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn review_l9_a_policy_that_refuses_nothing_is_not_in_force() {
    for (answer, text) in [
        (
            (|method, _| (method == Method::POST).then(|| (StatusCode::CREATED, json!({})))) as Answer,
            "accepted",
        ),
        (
            |method, _| {
                (method == Method::POST)
                    .then(|| status(StatusCode::FORBIDDEN, "Forbidden", "a quota is used up"))
            },
            "a quota is used up",
        ),
        (
            |method, _| {
                (method == Method::POST).then(|| status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", REFUSAL))
            },
            "denied request",
        ),
    ] {
        let fault = checked(answer).await.unwrap().unwrap_err();
        assert!(matches!(&fault, PolicyFault::NotEnforced { answer } if answer.contains(text)), "{fault}");
    }
}

#[tokio::test]
async fn review_l9_an_api_server_that_fails_says_nothing_about_policies() {
    let down: Answer = |_, _| Some(status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "etcd"));
    assert!(checked(down).await.is_err());
    let busy: Answer = |method, _| {
        (method == Method::POST).then(|| status(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "later"))
    };
    assert!(checked(busy).await.is_err());
}
