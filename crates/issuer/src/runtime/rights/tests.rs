use super::layer::{Answer, ObserverLayer};
use super::*;
use crate::runtime::log::tests::{Lines, text_subscriber};
use axum::body::{Bytes, to_bytes};
use axum::http::header::RETRY_AFTER;
use axum::http::{Request, Response};
use http::Method;
use kube::client::DynBody;
use tower::{Layer as _, ServiceExt as _, service_fn};

const ISSUERS: &str = "/apis/tcs.intel.com/v1alpha1/tcsissuers?watch=true";
const SECRETS: &str = "/api/v1/namespaces/tcs-issuer/secrets?watch=true";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// What an API server answers to a GET, as the client sees it.
async fn answer(rights: &Rights, uri: &str, answer: Result<u16, &str>) {
    let _ = send(rights, Method::GET, uri, answer, "").await;
}

async fn send(
    rights: &Rights,
    method: Method,
    uri: &str,
    answer: Result<u16, &str>,
    text: &'static str,
) -> Result<Response<Box<DynBody>>, BoxError> {
    let server = service_fn(move |_: Request<()>| {
        let answer = answer.map_err(|error| BoxError::from(error.to_owned()));
        let body: Box<DynBody> = Box::new(Answer(Some(Bytes::from_static(text.as_bytes()))));
        let answer = answer.map(|code| Response::builder().status(code).header(RETRY_AFTER, "20").body(body));
        std::future::ready(answer.map(Result::unwrap))
    });
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    ObserverLayer::new(rights.clone()).layer(server).oneshot(request).await
}

const STATUS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests/a/status";
const NO_RIGHT: &str = r#"{"message":"x is forbidden: User \"s\" cannot update resource \"certificatesigningrequests/status\" in API group \"certificates.k8s.io\" at the cluster scope"}"#;

#[tokio::test(start_paused = true)]
async fn case_9_7_a_missing_right_to_write_is_one_line_and_fails_readiness() {
    let (lines, rights) = (Lines::default(), Rights::default());
    let _log = tracing::subscriber::set_default(text_subscriber("info", &lines));
    // A policy refuses what is written, not the right.
    let denied = r#"{"message":"ValidatingAdmissionPolicy 'p' denied request: no","code":403}"#;
    for (code, text) in [(200, ""), (403, denied), (500, NO_RIGHT)] {
        let answer = send(&rights, Method::PUT, STATUS, Ok(code), text).await.unwrap();
        assert_eq!(
            axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1000).await.unwrap(),
            text
        );
    }
    assert!(rights.failing().is_empty() && !rights.lacks_rights(), "{:?}", rights.failing());
    for _ in 0..50 {
        let answer = send(&rights, Method::PUT, STATUS, Ok(403), NO_RIGHT).await.unwrap();
        let text = axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1000).await.unwrap();
        assert_eq!(text, NO_RIGHT, "whoever sent it reads the answer");
    }
    let right = "update certificatesigningrequests/status.certificates.k8s.io in the whole cluster";
    assert_eq!(lines.text().lines().count(), 1, "{}", lines.text());
    let problems = rights.problems().join("\n");
    assert!(problems.contains(&format!("the service may not {right}; apply")), "{problems}");
    // Others prove nothing.
    let other = "/apis/tcs.intel.com/v1alpha1/tcsclusterissuers/a/status";
    drop(send(&rights, Method::PUT, other, Ok(200), "").await.unwrap());
    drop(send(&rights, Method::PUT, STATUS, Ok(409), "").await.unwrap());
    assert_eq!(rights.problems().len(), 1);
    drop(send(&rights, Method::PUT, STATUS, Ok(200), "").await.unwrap());
    assert!(rights.problems().is_empty());
    assert!(lines.text().ends_with(&format!("the service can {right} again\n")), "{}", lines.text());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_not_seen_any_more_is_over() {
    let rights = Rights::default();
    drop(send(&rights, Method::PUT, STATUS, Ok(403), NO_RIGHT).await.unwrap());
    answer(&rights, ISSUERS, Ok(403)).await;
    tokio::time::advance(OUTDATED / 2).await;
    answer(&rights, ISSUERS, Ok(403)).await;
    assert_eq!(rights.problems().len(), 2);
    tokio::time::advance(OUTDATED / 2).await;
    assert_eq!(rights.problems().len(), 1, "nobody tries to write");
    assert_eq!(rights.failing().iter().filter(|(_, fails)| *fails).count(), 1);
}

/// Paused time advances by itself when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn case_9_7_a_read_that_gets_no_answer_is_noticed() {
    let rights = Rights::default();
    let server =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<Box<DynBody>>, BoxError>>());
    let request = Request::builder().uri(ISSUERS).body(()).unwrap();
    let sent = ObserverLayer::new(rights.clone()).layer(server).oneshot(request);
    let answer = tokio::time::timeout(Duration::from_mins(1), sent).await.expect("an error");
    assert_eq!(answer.err().unwrap().to_string(), "nothing within 30 seconds");
    tokio::time::advance(PATIENCE).await;
    let problems = rights.problems().join("\n");
    assert!(problems.contains("does not answer (nothing within 30 seconds)"), "{problems}");
}

#[tokio::test(start_paused = true)]
async fn a_read_waits_as_long_as_the_api_server_asks_it_to_and_is_seen_before() {
    let rights = Rights::default();
    for (code, seconds) in [(429, 20), (503, 20), (500, 0), (200, 0)] {
        let began = Instant::now();
        answer(&rights, ISSUERS, Ok(code)).await;
        assert_eq!(began.elapsed().as_secs(), seconds, "{code}");
        assert_eq!(rights.failing()[0].1, code != 200);
    }
    for (code, seconds) in [(429, 20), (503, 20), (500, 0)] {
        let began = Instant::now();
        send(&rights, Method::PUT, STATUS, Ok(code), "").await.unwrap();
        assert_eq!(began.elapsed().as_secs(), seconds, "a write, {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_9_7_a_missing_right_is_one_line_that_names_it_and_its_end_is_another() {
    let (lines, rights) = (Lines::default(), Rights::default());
    let _log = tracing::subscriber::set_default(text_subscriber("info", &lines));
    answer(&rights, SECRETS, Ok(200)).await;
    assert!(lines.text().is_empty() && rights.problems().is_empty() && rights.has_read("secrets"));
    for _ in 0..50 {
        answer(&rights, SECRETS, Ok(403)).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let expected = "the service may not watch secrets in namespace tcs-issuer; apply the rights of its version: kubectl apply \
                    -f deployment/access.yaml";
    assert_eq!(lines.text().lines().count(), 1, "{}", lines.text());
    assert!(lines.text().contains(expected), "{}", lines.text());
    assert_eq!(rights.problems(), [expected], "it fails readiness at once");

    // It is not forgotten, either.
    for _ in 0..24 * 60 {
        answer(&rights, SECRETS, Ok(403)).await;
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    let count = lines.text().lines().count();
    assert!((10..40).contains(&count), "{count} lines in a day");
    answer(&rights, SECRETS, Ok(200)).await;
    assert!(lines.text().ends_with("the service can watch secrets in namespace tcs-issuer again\n"));
    assert_eq!(lines.text().lines().count(), count + 1);
    assert!(rights.problems().is_empty());
}

/// Whoever may name a request has the API server repeat its name.
#[tokio::test]
async fn what_strangers_write_is_not_taken_for_a_missing_right() {
    let rights = Rights::default();
    let strange =
        r#"{"message":"requests \"x\" cannot get resource \"r\" in API group \"g\"\" is forbidden: denied"}"#;
    let answer = send(&rights, Method::PUT, STATUS, Ok(403), strange).await.unwrap();
    let body = to_bytes(axum::body::Body::new(answer.into_body()), usize::MAX).await.unwrap();
    assert_eq!(body, strange.as_bytes(), "it is passed on");
    assert!(rights.failing().is_empty() && !rights.lacks_rights());
    send(&rights, Method::PUT, STATUS, Ok(403), NO_RIGHT).await.unwrap();
    assert!(rights.lacks_rights());

    let long: &'static str = " ".repeat(128 << 10).leak();
    let answer = send(&rights, Method::PUT, STATUS, Ok(403), long).await.expect("a status, not an error");
    let body = to_bytes(axum::body::Body::new(answer.into_body()), usize::MAX).await.unwrap();
    let status: kube::core::Status = serde_json::from_slice(&body).unwrap();
    assert_eq!(status.code, 403);
}

#[tokio::test]
async fn case_9_7_each_problem_names_its_remedy() {
    let rights = Rights::default();
    for (uri, code, parts) in [
        (
            ISSUERS,
            404,
            ["watch tcsissuers.tcs.intel.com in the whole cluster", "kubectl apply -f deployment/crds/"],
        ),
        (ISSUERS, 403, ["may not watch tcsissuers.tcs.intel.com", "kubectl apply -f deployment/access.yaml"]),
        (ISSUERS, 401, ["does not accept its token", "ServiceAccount tcs-issuer in namespace tcs-issuer"]),
        (REQUESTS, 404, ["list certificatesigningrequests.certificates.k8s.io", "Kubernetes 1.32"]),
    ] {
        answer(&rights, uri, Ok(code)).await;
        let problems = rights.problems().join("\n");
        assert!(parts.iter().all(|part| problems.contains(part)), "{code}: {problems}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_counts_only_if_it_lasts() {
    let rights = Rights::default();
    for failure in [Ok(502), Err("connection refused")] {
        answer(&rights, ISSUERS, Ok(200)).await;
        answer(&rights, ISSUERS, failure).await;
        assert!(rights.problems().is_empty(), "{failure:?}");
        tokio::time::advance(PATIENCE).await;
        // Another failure does not begin anew.
        answer(&rights, ISSUERS, Ok(500)).await;
        answer(&rights, ISSUERS, failure).await;
        let problems = rights.problems().join("\n");
        assert!(problems.contains("it is tried again"), "{failure:?}: {problems}");
    }
}

#[tokio::test]
async fn answers_that_the_watches_handle_are_no_problems() {
    let rights = Rights::default();
    for code in [200, 410, 422] {
        answer(&rights, ISSUERS, Ok(code)).await;
    }
    assert!(rights.failing().iter().all(|(_, fails)| !fails));
    assert_eq!(rights.failing().len(), 1);
}

#[tokio::test]
async fn case_10_5_a_kind_of_cert_manager_may_be_absent_and_rights_to_it_may_not() {
    const CERT_MANAGER: &str = "/apis/cert-manager.io/v1/certificaterequests?watch=true";
    let rights = Rights::default();
    for code in [404, 200, 404] {
        answer(&rights, CERT_MANAGER, Ok(code)).await;
        assert!(rights.problems().is_empty() && !rights.failing()[0].1, "{code}");
    }
    answer(&rights, CERT_MANAGER, Ok(403)).await;
    let problems = rights.problems().join("\n");
    assert!(problems.contains("may not watch certificaterequests.cert-manager.io"), "{problems}");
    answer(&rights, CERT_MANAGER, Ok(404)).await;
    assert!(rights.problems().is_empty(), "the right is asked for before the kind is looked up");
}

#[test]
fn an_error_is_told_with_its_causes_and_without_repetitions() {
    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("connection refused"));
    assert_eq!(with_sources(&error), "client error (Connect): connection refused");
    assert_eq!(with_sources(&std::io::Error::other("x".repeat(1000))).len(), MAX_TEXT);
}
