use super::layer::ObserverLayer;
use super::*;
use crate::runtime::log::tests::{Lines, text_subscriber};
use axum::http::{Request, Response};
use http::Method;
use tower::{Layer as _, ServiceExt as _, service_fn};

const ISSUERS: &str = "/apis/tcs.intel.com/v1alpha1/tcsissuers?watch=true";
const SECRETS: &str = "/api/v1/namespaces/tcs-issuer/secrets?watch=true";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/// What an API server answers to a GET, as the client sees it.
async fn answer(reads: &Reads, uri: &str, answer: Result<u16, &str>) {
    let server = service_fn(move |_: Request<()>| {
        let answer = answer.map_err(|error| BoxError::from(error.to_owned()));
        std::future::ready(answer.map(|code| Response::builder().status(code).body(()).unwrap()))
    });
    let request = Request::builder().method(Method::GET).uri(uri).body(()).unwrap();
    let _ = ObserverLayer::new(reads.clone()).layer(server).oneshot(request).await;
}

#[tokio::test(start_paused = true)]
async fn case_9_7_a_missing_right_is_one_line_that_names_it_and_its_end_is_another() {
    let (lines, reads) = (Lines::default(), Reads::default());
    let _log = tracing::subscriber::set_default(text_subscriber("info", &lines));
    answer(&reads, SECRETS, Ok(200)).await;
    assert!(lines.text().is_empty() && reads.problems().is_empty() && reads.has_read("secrets"));
    for _ in 0..50 {
        answer(&reads, SECRETS, Ok(403)).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let expected = "the service may not watch secrets in namespace tcs-issuer; apply the manifest of its version, with your images: \
                    kubectl apply -f deployment/tcs_issuer.yaml";
    assert_eq!(lines.text().lines().count(), 1, "{}", lines.text());
    assert!(lines.text().contains(expected), "{}", lines.text());
    assert_eq!(reads.problems(), [expected], "it fails readiness at once");

    // It is not forgotten, either.
    for _ in 0..24 * 60 {
        answer(&reads, SECRETS, Ok(403)).await;
        tokio::time::advance(Duration::from_mins(1)).await;
    }
    let count = lines.text().lines().count();
    assert!((10..40).contains(&count), "{count} lines in a day");
    answer(&reads, SECRETS, Ok(200)).await;
    assert!(lines.text().ends_with("the service can watch secrets in namespace tcs-issuer again\n"));
    assert_eq!(lines.text().lines().count(), count + 1);
    assert!(reads.problems().is_empty());
}

#[tokio::test]
async fn case_9_7_each_problem_names_its_remedy() {
    let reads = Reads::default();
    for (uri, code, parts) in [
        (
            ISSUERS,
            404,
            ["watch tcsissuers.tcs.intel.com in the whole cluster", "kubectl apply -f deployment/crds/"],
        ),
        (
            ISSUERS,
            403,
            ["may not watch tcsissuers.tcs.intel.com", "kubectl apply -f deployment/tcs_issuer.yaml"],
        ),
        (ISSUERS, 401, ["does not accept its token", "ServiceAccount tcs-issuer in namespace tcs-issuer"]),
        (REQUESTS, 404, ["list certificatesigningrequests.certificates.k8s.io", "Kubernetes 1.32"]),
    ] {
        answer(&reads, uri, Ok(code)).await;
        let problems = reads.problems().join("\n");
        assert!(parts.iter().all(|part| problems.contains(part)), "{code}: {problems}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_counts_only_if_it_lasts() {
    let reads = Reads::default();
    for failure in [Ok(503), Err("connection refused")] {
        answer(&reads, ISSUERS, Ok(200)).await;
        answer(&reads, ISSUERS, failure).await;
        assert!(reads.problems().is_empty(), "{failure:?}");
        tokio::time::advance(PATIENCE).await;
        // Another failure does not begin anew.
        answer(&reads, ISSUERS, Ok(500)).await;
        answer(&reads, ISSUERS, failure).await;
        let problems = reads.problems().join("\n");
        assert!(problems.contains("it is tried again"), "{failure:?}: {problems}");
    }
}

#[tokio::test]
async fn answers_that_the_watches_handle_are_no_problems() {
    let reads = Reads::default();
    for code in [200, 410, 422] {
        answer(&reads, ISSUERS, Ok(code)).await;
    }
    assert!(reads.failing().iter().all(|(_, fails)| !fails));
    assert_eq!(reads.failing().len(), 1);
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
