//! Streamed lists of the most recent state.
//!
//! kube's watcher asks for streamed lists of any state that the API server has cached
//! (`resourceVersion=0`). After a reconnection to another API server that could be older than what the
//! service knows, and would make an issuer look deleted. Without a resource version the list is a consistent
//! read ([Streaming lists]).
//!
//! [Streaming lists]: https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists

use axum::http::{Request, Uri};

/// Asks for the most recent state if the request is for a streamed list.
pub fn most_recent<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = without_version(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// `None` if the URI stays as it is.
fn without_version(uri: &Uri) -> Option<Uri> {
    let parameters: Vec<&str> = uri.query()?.split('&').collect();
    if !parameters.contains(&"sendInitialEvents=true") {
        return None;
    }
    let kept: Vec<&str> = parameters.into_iter().filter(|one| *one != "resourceVersion=0").collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{}?{}", uri.path(), kept.join("&")).parse().ok();
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::api::{ListParams, WatchParams};
    use tcs_api::v1alpha1::TCSIssuer;

    fn sent(parameters: &WatchParams, version: &str) -> String {
        let url = <TCSIssuer as kube::Resource>::url_path(&(), Some("ns"));
        let request = kube::core::Request::new(url).watch(parameters, version).unwrap();
        most_recent(request).uri().to_string()
    }

    #[test]
    fn a_streamed_list_is_of_the_most_recent_state() {
        let streamed = sent(&WatchParams { send_initial_events: true, ..WatchParams::default() }, "0");
        assert!(streamed.contains("sendInitialEvents=true"), "{streamed}");
        assert!(!streamed.contains("resourceVersion="), "{streamed}");
        assert!(streamed.contains("resourceVersionMatch=NotOlderThan"), "{streamed}");
    }

    #[test]
    fn a_list_without_a_version_stays_without_one() {
        let url = <TCSIssuer as kube::Resource>::url_path(&(), None);
        let list = kube::core::Request::new(url).list(&ListParams::default().limit(50)).unwrap();
        let sent = list.uri().to_string();
        assert!(!sent.contains("resourceVersion"), "{sent}");
        assert_eq!(most_recent(list).uri().to_string(), sent);
    }

    #[test]
    fn a_watch_that_continues_keeps_its_version() {
        let continued = sent(&WatchParams::default(), "0");
        assert!(continued.contains("resourceVersion=0"), "{continued}");
    }
}
